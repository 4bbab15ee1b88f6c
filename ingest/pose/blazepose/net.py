"""One small neural net on the CPU: arrays in, arrays out."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ....assets.store import asset_path
from ....errors import MissingPartError
from .net_file import only_outputs


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the runtime's own greeting, which no setting turns off, out of the stream that programs read our events from."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no such stream, as in some services
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Net:
    """A net from the assets, by name; one `Net` serves one thread at a time, and several run side by side."""

    def __init__(self, name: str, outputs: Sequence[int], threads: int = 1, path: Path | None = None) -> None:
        """Load the asset ``name`` (or the file ``path``) as far as ``outputs`` need it: places of outputs in order of their names.

        Raises `MissingPartError` where it can't be had or read.
        """
        path = path or asset_path(name)
        try:
            with _silence():
                self._interpreter = Interpreter(model_content=only_outputs(path.read_bytes(), outputs), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (OSError, ValueError, RuntimeError) as error:
            raise MissingPartError(f"{path}: found no net that can be run; run `rigdrop assets install`") from error
        self._input: dict[str, Any] = self._interpreter.get_input_details()[0]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    @property
    def side(self) -> int:
        """Width and height of the square input picture."""
        return int(self._input["shape"][1])

    def run(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the outputs for one picture (side,side,3) in RGB, without their leading axis of 1."""
        self._interpreter.set_tensor(self._input["index"], picture[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
