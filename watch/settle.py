"""Where a source goes when its job has ended. Nothing is overwritten, and calling again after a crash ends in the same place."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ..errors import WriteError
from . import stay
from .claim_file import CLAIM_FILE, ERROR_FILE, LOG_FILE, Claim, is_like, write_small
from .moves import disk
from .names import DONE, FAILED, numbered
from .release import gather, make_folder, moved_before, release
from .scan import Entry, Stamp

_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}


def to_done(claim: Claim, sources: Literal["move", "stay"] = "move") -> Path | None:
    """Move a source to ``done/``, or back where it lay, where it is then known as done; returns where it is, if it still is there.

    Its settings go with it; a name that is taken gets a number. Raises `WriteError`.
    """
    if sources == "move":
        return release(claim, f"{DONE}/{claim.relative}")
    return release(claim, claim.relative, lambda target: _mark(claim, target))


def to_failed(claim: Claim, job: str, reason: str, code: int, log: Path | None = None) -> Path:
    """Move a claim to ``failed/<job>/``, with the reason in plain words and a copy of the job's log; returns that folder.

    A source that was already on its way out when somebody died stays where it went. Raises `WriteError`.
    """
    with disk(claim.folder):
        if not claim.folder.is_dir():
            return _failed_before(claim, job)
        if claim.is_empty:
            for wanted in (f"{DONE}/{claim.relative}", claim.relative):
                if moved := moved_before(claim, wanted):
                    release(claim, wanted)
                    return moved.parent
        gather(claim)
        _explain(claim, job, reason, code)
        _copy_log(claim, log)
        if not claim.is_empty:
            _remove_note(claim.folder)  # the file alone tells that this is a claim, if we die here
        target = _rename_to_failed(claim, job)
        _remove_note(target)
        return target


def _mark(claim: Claim, target: Path) -> None:
    sidecar = claim.sidecar
    stamp = Stamp.of(sidecar) if sidecar is not None and os.path.lexists(sidecar) else None
    place = target.relative_to(claim.root).as_posix()
    stay.mark(claim.root, Entry(claim.root, place, Stamp.of(claim.source), stamp).identity)


def _remove_note(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder / CLAIM_FILE)


def _failed_before(claim: Claim, job: str) -> Path:
    """Where a claim that is no more has gone to; the last folder of that name, where the file can't tell."""
    folders = list(itertools.takewhile(Path.is_dir, _places(claim.root / FAILED, job)))
    if not folders:
        raise WriteError(f"{claim.folder}: is gone, expected what was taken of {claim.relative}; somebody has removed it")
    return next((folder for folder in folders if is_like(folder / claim.source.name, claim.stamp)), folders[-1])


def _places(failed: Path, job: str) -> Iterator[Path]:
    return (failed / numbered(job, number) for number in itertools.count(1))


def _explain(claim: Claim, job: str, reason: str, code: int) -> None:
    """Write ``error.txt``, for a person who finds it and knows nothing else."""
    path = claim.folder / ERROR_FILE
    if path.exists():
        return  # from before a crash
    text = (
        f"Rigdrop could not convert {claim.relative}\n\n{reason}\n\n"
        f"To try again: rigdrop jobs retry {job}\nor put the file into the inbox again, when what is said above has been seen to.\n"
        f"\n{LOG_FILE}, beside this file, says what was done. The exit code is {code}.\n"
    )
    # A file name need not be Unicode; what is left of it as a surrogate becomes an escape.
    write_small(path, text.encode("utf-8", errors="backslashreplace"))


def _copy_log(claim: Claim, log: Path | None) -> None:
    if log is not None and log.is_file():
        write_small(claim.folder / LOG_FILE, log.read_bytes())


def _rename_to_failed(claim: Claim, job: str) -> Path:
    """One rename moves everything, and fails where a folder of that name holds anything."""
    for target in _places(make_folder(claim.root, (FAILED,)), job):
        try:
            os.rename(claim.folder, target)
            return target
        except OSError as error:
            if error.errno not in _TAKEN and not target.exists():
                raise
    raise AssertionError("numbers never end")
