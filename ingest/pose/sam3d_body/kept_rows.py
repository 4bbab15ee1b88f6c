"""What was found in a clip so far, in a folder: who is where, and their bodies, a file a chunk of frames.

Every file is there whole or not at all, so a clip that was stopped goes on with the first chunk that is missing. Between
runs of one version of Rigdrop only; what others read is the take.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....files import atomic_path
from ...people.boxes import PersonBoxes, Sighted

_PEOPLE = "people.npz"
_COLUMNS = ("frame", "box_xyxy", "score", "occluded")

Columns = Mapping[str, NDArray[Any]]


class KeptRows:
    """A folder that holds the findings of one clip; it is made when there is something to keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def people(self) -> Sighted | None:
        """Return who is where, if that is known already; outlines aren't kept."""
        found = _read(self.folder / _PEOPLE)
        if found is None:
            return None
        about = json.loads(str(found["about"]))
        people = [PersonBoxes(number, *(found[f"{number}/{name}"] for name in _COLUMNS)) for number in about["ids"]]
        return Sighted(found["times_s"], tuple(people), None, tuple(about["warnings"]), about["details"])

    def keep_people(self, sighted: Sighted) -> None:
        """Keep who is where. Raises `WriteError` where the disk refuses."""
        about = {"ids": [person.id for person in sighted.people], "warnings": sighted.warnings, "details": dict(sighted.details)}
        columns = {f"{person.id}/{name}": getattr(person, name) for person in sighted.people for name in _COLUMNS}
        _write(self.folder / _PEOPLE, {"times_s": sighted.times_s, "about": np.array(json.dumps(about)), **columns})

    def has(self, chunk: int) -> bool:
        """Tell whether the bodies of a chunk are there."""
        return self._file(chunk).is_file()

    def keep(self, chunk: int, columns: Columns) -> None:
        """Keep a chunk's rows (N,…). Raises `WriteError` where the disk refuses."""
        _write(self._file(chunk), columns)

    def rows(self, chunks: int) -> Iterator[Columns]:
        """Yield what is known of each chunk, in order, of those that hold anybody."""
        for chunk in range(chunks):
            found = _read(self._file(chunk))
            if found is not None and len(found):
                yield found

    def _file(self, chunk: int) -> Path:
        return self.folder / f"bodies_{chunk:06d}.npz"


def _write(path: Path, columns: Columns) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **columns)


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return a file's arrays; nothing where it is not there, or is of no use."""
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream), np.load(stream, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
