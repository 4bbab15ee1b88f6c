"""What the user names on the command line as single files, each with the folder that its take gets."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ReadError, RigdropError
from ..files import sha256_of
from ..ingest.motion_files.registry import is_motion_file, motion_suffixes, reader_of
from ..ingest.video import VIDEO_SUFFIXES
from ..motion.store import open_take
from ..naming import take_name
from ..report import read_report

_WRITTEN = frozenset({".glb", ".usd", ".usda", ".usdc", ".usdz"})


def expand(inputs: Sequence[str]) -> list[Path]:
    """Return the files that ``inputs`` name: a file as it is, a folder's clips at any depth, what a pattern finds.

    A folder that is a motion file itself, with a file for each frame, stays one; its clips are videos and motion files,
    but no GLB or USD, which are what we write.

    Each file once, in the order given, a folder's in the order of their names. Raises `ReadError` where a folder or a
    pattern holds nothing.
    """
    found: dict[Path, None] = {}
    for name in inputs:
        found.update(dict.fromkeys(_expand(name)))
    return list(found)


def assign_folders(sources: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """Return each source with its take's folder in ``out``: one of its own, and the same one from run to run.

    A name that another source has taken, in this run or in a report that lies there, gets a number.
    """
    taken: set[Path] = set()
    pairs = []
    for source in sources:
        folder = next(folder for folder in _candidates(out / take_name(source)) if folder not in taken and _is_ours(folder, source))
        taken.add(folder)
        pairs.append((source, folder))
    return pairs


def _expand(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        if is_motion_file(path):
            return [path]
        clips = sorted(_clips_in(path))
        if not clips:
            raise ReadError(f"{path}: found no video and no motion file in it, expected files like .mp4, .mov, .npz or .bvh")
        return clips
    if path.exists() or not glob.has_magic(name):
        return [path]
    matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
    files = [match for match in matches if match.is_file()]
    if not files:
        raise ReadError(f"{name}: the pattern matches no file")
    return files


def _clips_in(folder: Path) -> Iterator[Path]:
    """Yield the clips below a folder, and the folders there that are motion files; nothing hidden."""
    for name, folders, files in os.walk(folder):
        here = Path(name)
        if here != folder and is_motion_file(here):
            folders.clear()
            yield here
            continue
        folders[:] = [each for each in folders if not each.startswith(".")]
        yield from (here / file for file in files if not file.startswith(".") and (here / file).is_file() and _is_clip(here / file))


def _is_clip(file: Path) -> bool:
    """Tell whether a file in a folder is meant: among data sets' motion files lie others that are called like them."""
    suffix = file.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return True
    if suffix not in motion_suffixes() - _WRITTEN:
        return False
    try:
        return reader_of(file) is not None
    except ReadError:
        return True  # converting it says what is wrong with it


def _candidates(folder: Path) -> Iterator[Path]:
    yield folder
    number = 2
    while True:
        yield folder.with_name(f"{folder.name}_{number}")
        number += 1


def _is_ours(folder: Path, source: Path) -> bool:
    """Tell whether a folder is free, or holds what was made of this very source: by its path, else by its content."""
    report = read_report(folder)
    if not report or report.get("source") == str(source.absolute()) or source.parent.absolute() == folder.absolute():
        return True
    return source.is_file() and report.get("source_sha256") == _source_sha256(source)


def _source_sha256(source: Path) -> str:
    if source.suffix != ".h5":
        return sha256_of(source)
    try:
        with open_take(source) as take:
            return str(take.attributes["source_sha256"])
    except RigdropError:
        return ""
