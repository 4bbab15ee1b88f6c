"""Where a job works until its take is finished, and how the finished take gets its name.

A take's name is reserved before the work begins, because its files carry it; the folder of that name appears by one
rename when everything is in it. Nothing that lies there already is ever touched: a name that is taken gets a number.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import WriteError
from ..report import read_report
from .job import staging_folder

SCRATCH = ".scratch"
_ATTEMPTS = 100


def reserve_name(out: Path, wanted: str, job: str) -> str:
    """Return the name that this job's take gets in ``out``: ``wanted``, or the first number of it that nobody has.

    The same job gets the same name however often it asks. Raises `WriteError` where the disk refuses.
    """
    with _disk(out):
        for name in _names(wanted):
            note = _note(out, name)
            if (out / name).exists() or not (_holder(note) == job or _take_name(note, job)):
                continue
            # Once more: another job may have put its take there, and let go of the name, just before we took it.
            if not (out / name).exists():
                return name
            shutil.rmtree(note, ignore_errors=True)
    raise AssertionError("names never end")


def sweep(out: Path, job: str) -> None:
    """Remove what a process that died over the job had written by halves; nobody else may be at work on it."""
    with _disk(out):
        for folder, _, names in os.walk(staging_folder(out, job)):
            for name in fnmatch.filter(names, ".*.part*"):
                (Path(folder) / name).unlink(missing_ok=True)


def publish(out: Path, name: str, job: str) -> Path:
    """Let the finished take appear as ``out/name``; returns that folder. Doing it again does no harm.

    Raises `WriteError` where somebody else has put something there, or the staged take is gone.
    """
    target, staged = out / name, staging_folder(out, job) / name
    with _disk(target):
        # Renaming a folder onto one that holds anything fails, so nobody's files can be lost here.
        if staged.is_dir():
            os.rename(staged, target)
        elif read_report(target).get("job") != job:
            raise WriteError(f"{target}: found neither this take nor what it is made of; retry the job")
    return target


def clear(out: Path, job: str) -> None:
    """Remove what the job left beside the takes: its staging folder, and the name that it held."""
    with _disk(out):
        shutil.rmtree(staging_folder(out, job), ignore_errors=True)
        shutil.rmtree(_note(out, f".{job}"), ignore_errors=True)
        for note in (out / ".rigdrop" / "names").glob("*"):
            if _holder(note) == job:
                shutil.rmtree(note, ignore_errors=True)
        for folder in (out / ".rigdrop" / "names", out / ".rigdrop"):
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty


def _names(wanted: str) -> Iterator[str]:
    yield wanted
    yield from (f"{wanted}_{number}" for number in itertools.count(2))


def _note(out: Path, name: str) -> Path:
    return out / ".rigdrop" / "names" / name


def _holder(note: Path) -> str | None:
    """The job that holds a name: the one file in the folder of that name."""
    try:
        return next((entry.name for entry in note.iterdir()), None)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _take_name(note: Path, job: str) -> bool:
    """Hold a name, where nobody does.

    A folder that holds something can't be renamed onto another that does, on any file system and from any machine; hard
    links would do the same, but shares have none.
    """
    draft = note.with_name(f".{job}")
    _make(draft)
    (draft / job).touch()
    try:
        os.rename(draft, note)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.EACCES) or not note.exists():
            raise
        shutil.rmtree(draft)
        return False
    return True


def _make(folder: Path) -> None:
    """Make a folder with those above it, which another job that has ended may be removing just now."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return folder.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror or error}); free space, or allow it to be written") from error
