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
from ..report import read_report, unsettled_files

_WRITTEN = frozenset({".glb", ".usd", ".usda", ".usdc", ".usdz"})
_PREVIEW_NAME = "preview.mp4"


def expand(inputs: Sequence[str], out: Path) -> list[Path]:
    """Return the files that ``inputs`` name: a file as it is, a folder's clips at any depth, what a pattern finds.

    A folder that is a motion file itself, with a file for each frame, stays one; its clips are videos and motion files,
    but no GLB or USD, which are what we write. Nor does it give what conversions have made: no files of takes, wherever they
    lie, and nothing of ``out``, unless that is named itself or is around it. A pattern gives no previews.

    Each file once, in the order given, a folder's in the order of their names. Raises `ReadError` where a folder or a
    pattern holds nothing, or the system refuses to look for a file.
    """
    found: dict[Path, None] = {}
    for name in inputs:
        found.update(dict.fromkeys(_expand(name, out)))
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


def _expand(name: str, out: Path) -> list[Path]:
    path = Path(name)
    if os.path.isdir(name):  # which says no to a name that is too long to be one, where Path.is_dir raises
        if is_motion_file(path):
            return [path]
        clips = sorted(_clips_in(path, out))
        if not clips:
            raise ReadError(f"{path}: found no video and no motion file in it but what we have written, "
                            "expected files like .mp4, .mov, .npz or .bvh")
        return clips
    if os.path.exists(name) or not glob.has_magic(name):
        _expect_reachable(name)
        return [path]
    matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
    files = [match for match in matches if match.is_file() and not (match.name == _PREVIEW_NAME and match in _made_in(match.parent))]
    if not files:
        raise ReadError(f"{name}: the pattern matches no file, or nothing but previews that we have written")
    return files


def _expect_reachable(name: str) -> None:
    """Raise `ReadError` where the system refuses to look for a file; one that is just not there fails when its turn comes."""
    try:
        os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ReadError(f"{name}: can't be read ({error.strerror}); give another file") from error


def _clips_in(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the clips below a folder, and the folders there that are motion files; nothing hidden, and nothing that we have made."""
    place, made = os.path.realpath(out), set[Path]()
    for name, folders, files in os.walk(folder):
        here = Path(name)
        if here != folder and is_motion_file(here):
            folders.clear()
            yield here
            continue
        folders[:] = [each for each in folders if not each.startswith(".") and os.path.realpath(here / each) != place]
        made |= _made_in(here)
        found = (here / file for file in files if not file.startswith("."))
        yield from (file for file in found if file not in made and file.is_file() and _is_clip(file))


def _made_in(folder: Path) -> set[Path]:
    """Return the files that conversions to this folder have written in it and below it, or nothing; the clip may lie there as well."""
    return {folder / file for file in unsettled_files(folder, read_report(folder))}


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
