"""The motion files that can be read: ours, and those that other packages offer under ``rigdrop.readers``.

A package adds one by an entry point that names a `Reader`:

    [project.entry-points."rigdrop.readers"]
    my-reader = "my_package:MY_READER"

Readers are imported when they are first called. Whether a file is theirs they tell from its name and its first lines, or
its table of contents, without reading it all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import ReadError
from ...plugins import with_plugins
from ..recording import Recording
from .options import MotionFileOptions

GROUP = "rigdrop.readers"


@dataclass(frozen=True)
class Reader:
    """One kind of motion file: what its files are called, how to tell that a file is one, and how to read it."""

    name: str
    summary: str
    suffixes: tuple[str, ...]  # lower case; a folder of files counts as one with the suffix "/"
    is_mine: Callable[[Path], bool]  # by a look inside; called where the suffix fits
    read: Callable[[Path, MotionFileOptions], Recording]


def _late(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports ``module`` when it is called, not before."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module, __package__), name)(*arguments)

    return call


def _reader(name: str, summary: str, module: str, *suffixes: str) -> Reader:
    return Reader(name, summary, suffixes, _late(f".{module}", "is_mine"), _late(f".{module}", "read"))


READERS = {
    reader.name: reader
    for reader in (
        _reader("sam3d-body", "SAM 3D Body and SAM-Body4D: .npz, .npy, or a folder of one file a frame", "sam3d_body", ".npz", ".npy", "/"),
        _reader("amass", "AMASS, SMPL-H and SMPL-X .npz", "amass", ".npz"),
        _reader("gvhmr", "GVHMR's hmr4d_results.pt, with hands of WiLoR where they are given", "gvhmr", ".pt"),
        _reader("bvh", "Biovision hierarchy", "bvh", ".bvh"),
        _reader("glb", "skeletal animation in glTF binary", "glb", ".glb"),
        _reader("usd", "skeletal animation in USD", "usd", ".usd", ".usda", ".usdc", ".usdz"),
    )
}


def available_readers() -> dict[str, Reader]:
    """Return every reader by name: ours, then those of installed packages; a bad one is left out with a warning."""
    return with_plugins("reader", GROUP, READERS, Reader)


def motion_suffixes() -> frozenset[str]:
    """Return the suffixes, lower case, of all files that some reader may read."""
    return frozenset(suffix for reader in available_readers().values() for suffix in reader.suffixes if suffix != "/")


def reader_of(path: Path) -> Reader | None:
    """Return the reader whose file or folder ``path`` is; nothing where it is nobody's. Raises `ReadError` for a broken file."""
    suffix = "/" if path.is_dir() else path.suffix.lower()
    return next((reader for reader in available_readers().values() if suffix in reader.suffixes and reader.is_mine(path)), None)


def is_motion_file(path: Path) -> bool:
    """Tell whether ``path`` is a motion file, or is called like one; a folder only where it is one."""
    return path.suffix.lower() in motion_suffixes() if not path.is_dir() else reader_of(path) is not None


def expect_reader(path: Path) -> Reader:
    """Return the reader whose file or folder ``path`` is. Raises `ReadError` where it is not there, or nobody's."""
    if not path.exists():
        raise ReadError(f"{path}: found no such file, expected a motion file")
    reader = reader_of(path)
    if reader is None:
        suffix, what = ("/", "folder") if path.is_dir() else (path.suffix.lower(), f"{path.suffix} file")
        kinds = "; ".join(each.summary for each in available_readers().values() if suffix in each.suffixes)
        raise ReadError(f"{path}: found a {what} that no reader knows, expected one of: {kinds}")
    return reader


def read_recording(path: Path, options: MotionFileOptions) -> Recording:
    """Return what the motion file says. Raises `ReadError` where it is none, or says what it must not say."""
    return expect_reader(path).read(path, options)
