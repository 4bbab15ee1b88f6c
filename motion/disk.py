"""A new HDF5 file on a disk that may be full.

HDF5 never lets go of a file whose last flush failed: the handle stays open, and the process dies of it at its exit. So
a refusal of the disk is kept from HDF5, which closes in peace, and is raised afterwards. The file is filled by a thread
of its own, because Python runs the handlers of signals in the main one alone: none can break into HDF5 in mid-flush.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py


def write_hdf5(path: Path, fill: Callable[[h5py.File], None]) -> None:
    """Create an HDF5 file at ``path`` and let ``fill`` fill it. Raises what ``fill`` raises, and the disk's own `OSError`."""
    with _Disk(path, "w+") as disk:
        try:
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(_fill, disk, fill).result()
        finally:
            if disk.refusal is not None:
                raise disk.refusal


def _fill(disk: _Disk, fill: Callable[[h5py.File], None]) -> None:
    with h5py.File(disk, "w") as file:
        fill(file)


class _Disk(io.FileIO):
    """A file that takes everything; what comes after the disk's first refusal is lost."""

    refusal: OSError | None = None

    def write(self, data: Any, /) -> int:
        whole = memoryview(data).cast("B")
        done = 0
        try:
            while self.refusal is None and done < len(whole):
                done += super().write(whole[done:])
        except OSError as error:
            self.refusal = error
        return len(whole)

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size) if self.refusal is None else 0
        except OSError as error:
            self.refusal = error
            return 0
