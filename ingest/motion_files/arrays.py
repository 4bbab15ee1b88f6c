"""NumPy's files, .npz and .npy, opened so that nothing in them is executed and every fault names the file and the field."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError

_ZIP_MAGIC, _PICKLE_MAGIC = b"PK", b"\x80"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What zipfile and numpy raise on files that are cut, encrypted, packed in a way that Python can't unpack, or no such files at all.
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, SyntaxError, OSError, RuntimeError, MemoryError)
_PICKLED = "found pickled Python objects, expected plain arrays; a pickle can run any program: --trust reads it, if you know who made it"


class NpzArrays(Mapping[str, NDArray[Any]]):
    """The arrays of one .npz file by key, each read when it is first asked for, then kept; a bad one raises `ReadError`."""

    def __init__(self, path: Path, *, trust: bool = False) -> None:
        self.path, self._trust = path, trust
        self._read: dict[str, NDArray[Any]] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        except _FAULTS as error:
            raise ReadError(f"{path}: found no whole .npz ({error}), expected NumPy's zip of arrays; copy or export it again") from error

    def __getitem__(self, key: str) -> NDArray[Any]:
        if key not in self._read:
            self._read[key] = self._array(key, self._members[key])
        return self._read[key]

    def _array(self, key: str, member: str) -> NDArray[Any]:
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as file:
                return _array_in(file, f"{self.path}: {key}", self._trust)
        except _FAULTS as error:
            raise ReadError(f"{self.path}: {key}: found no whole array ({error}), expected one; copy or export the file again") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, key: object) -> bool:
        return key in self._members  # the Mapping's own would read the array to find out


def open_npz(path: Path, *, trust: bool = False) -> NpzArrays:
    """Return the arrays of an .npz by key, none of them read yet.

    Raises `ReadError` here where it is no zip, or a cut one, and later, with the key, where that array is cut or pickled;
    ``trust`` reads pickled ones.
    """
    return NpzArrays(path, trust=trust)


def is_npz_with(path: Path, *keys: str) -> bool:
    """Say whether ``path`` is an .npz with all of these keys; reads its table of contents only, and raises nothing."""
    try:
        arrays = open_npz(path)
    except ReadError:
        return False
    return all(key in arrays for key in keys)


def read_npy(path: Path, *, trust: bool = False) -> Any:
    """Return what an .npy holds: an array, or with ``trust`` the object that is pickled in it.

    Raises `ReadError` where it is cut, is not NumPy's, or holds a pickle and isn't trusted; then nothing of it is executed.
    """
    if not trust and _begins_with(path, _PICKLE_MAGIC):
        raise ReadError(f"{path}: {_PICKLED}")
    try:
        with path.open("rb") as file:
            value = _loaded(file, str(path)) if trust else _array_in(file, str(path), trust)
    except _FAULTS as error:
        raise ReadError(f"{path}: found no whole .npy file ({error}), expected NumPy's; copy or export it again") from error
    return value[()] if isinstance(value, np.ndarray) and value.dtype.hasobject and value.ndim == 0 else value


def is_pickled(path: Path) -> bool:
    """Say whether a file is an .npy of Python objects, or a bare pickle, by its first bytes; raises nothing."""
    if _begins_with(path, _PICKLE_MAGIC):
        return True
    try:
        with path.open("rb") as file:
            return _has_objects(file)
    except _FAULTS:
        return False


def is_zip(path: Path) -> bool:
    """Say whether a file begins as a zip does: whoever saves to an open file may call an .npz anything."""
    return _begins_with(path, _ZIP_MAGIC)


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _has_objects(file: IO[bytes]) -> bool:
    """Say whether the array at the beginning of an open .npy is one of Python objects, from its header."""
    version = np.lib.format.read_magic(file)
    _, _, dtype = _HEADERS.get(version, np.lib.format.read_array_header_2_0)(file)
    return bool(dtype.hasobject)


def _array_in(file: IO[bytes], where: str, trust: bool) -> NDArray[Any]:
    """Return the array that an open .npy holds; whether it is pickled is asked of its header first."""
    pickled = _has_objects(file)
    if pickled and not trust:
        raise ReadError(f"{where}: {_PICKLED}")
    file.seek(0)
    return np.asarray(_loaded(file, where) if pickled else np.lib.format.read_array(file, allow_pickle=False))


def _loaded(file: IO[bytes], where: str) -> Any:
    """Return what an open, trusted file holds, unpickled."""
    try:
        return np.load(file, allow_pickle=True)
    except Exception as error:  # a pickle raises whatever its author's classes raise, or lack here
        raise ReadError(f"{where}: found a pickle that can't be read here ({type(error).__name__}: {error}), "
                        "expected one of plain NumPy arrays; export it again as .npz") from error
