"""Putting the source of a job that failed back into its inbox, where the service takes it as if it were new."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path, PurePosixPath

from ..errors import ReadError, TryAgainError
from .claim import find
from .claim_file import ERROR_FILE, LOG_FILE
from .job import JobSpec
from .moves import disk, rename_new
from .names import FAILED, SIDECAR_SUFFIX, is_input, numbered, sidecar_name
from .release import make_folder


def put_back(spec: JobSpec) -> Path:
    """Move what ``failed/<job>/`` holds back to where it came from, the sidecar with it; returns where the source is now.

    A name that is taken gets a number. Raises `ReadError` where the source is not there, `TryAgainError` where it is
    not there yet, `WriteError` where the disk refuses.
    """
    root, relative = Path(spec.root), PurePosixPath(spec.relative)
    source = _source(root / FAILED, spec)
    folder = source.parent
    with disk(root / relative):
        place = make_folder(root, relative.parent.parts)
        target = next(target for number in itertools.count(1) if (target := _move(source, place / source.name, number)) is not None)
    with contextlib.suppress(OSError):
        for name in (ERROR_FILE, LOG_FILE):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()  # only where it is empty: what somebody else has put there stays
    return target


def _source(failed: Path, spec: JobSpec) -> Path:
    """The file of the job, under its own name or, where somebody has renamed it, the one that can be converted."""
    for number in itertools.count(1):
        folder = failed / numbered(spec.job, number)  # it got a number where something was in its way
        if not folder.is_dir():
            break
        names = sorted(os.listdir(folder))
        found = spec.name if spec.name in names else next((name for name in names if is_input(name)), None)
        if found is not None:
            return folder / found
    if find(failed.parent, spec.job) is not None:
        raise TryAgainError(f"{spec.relative}: is still with the service that worked on it; try again in some seconds")
    raise ReadError(f"{failed / spec.job}: has no source (any more); if {spec.relative} is not in the inbox either, drop it there again")


def _move(source: Path, wanted: Path, number: int) -> Path | None:
    """Move the source and its sidecar to the name of this number; nothing where something has one of the two names.

    The sidecar goes first: the service may take the source as soon as it is there.
    """
    sidecar = source.with_name(sidecar_name(source.name))
    has_sidecar = os.path.lexists(sidecar)
    target = wanted.with_name(numbered(wanted.name, number, len(SIDECAR_SUFFIX) if has_sidecar else 0))
    beside = target.with_name(sidecar_name(target.name))
    try:
        if has_sidecar:
            rename_new(sidecar, beside)
    except FileExistsError:
        return None
    try:
        rename_new(source, target)
    except FileExistsError:
        if has_sidecar:
            rename_new(beside, sidecar)
        return None
    return target
