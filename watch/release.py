"""Letting a file that was taken go to its place: back, or among those that are done.

Only renames inside the root, and none that overwrites; a name that is taken gets a number. There is no record of what was
begun: a crash between any two steps leaves a state that tells what comes next, so calling again goes on.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from .claim_file import Claim, beside, is_like, vanish
from .moves import disk, is_same, rename_new
from .names import DONE, FAILED, SIDECAR_SUFFIX, numbered
from .scan import Stamp

# Somebody may always be quicker, but not this often.
_ATTEMPTS = 100


def release(claim: Claim, wanted: str, announce: Callable[[Path], None] = lambda target: None) -> Path | None:
    """Move what was taken to ``wanted``, a place below the root, and let the claim vanish; returns where the file is now.

    Nothing is returned where the file is gone. ``announce`` is told the place before the file gets there. Raises `WriteError`.
    """
    with disk(claim.folder):
        if claim.is_empty:
            target = moved_before(claim, wanted)
            _rescue_sidecar(claim, wanted)
        else:
            target = _move(claim, wanted, announce)
        vanish(claim.folder)
    return target


def moved_before(claim: Claim, wanted: str) -> Path | None:
    """Return where the file of an empty claim is, if it has gone to ``wanted`` or a number of it, and still is there."""
    for target in _candidates(claim, claim.root / wanted):
        if not os.path.lexists(target):
            return None
        if Stamp.of(target) == claim.stamp:
            return target
    raise AssertionError("names never end")


def gather(claim: Claim) -> None:
    """Take the settings of a claim back into it, where they had left it, or not yet come in, when somebody died. Raises `OSError`."""
    if claim.sidecar is None or claim.sidecar_stamp is None or claim.is_empty or os.path.lexists(claim.sidecar):
        return
    for wanted in (claim.relative, f"{DONE}/{claim.relative}"):
        for target in _candidates(claim, claim.root / wanted):
            if _is_its_own(claim, target, claim.sidecar_stamp):
                rename_new(beside(target), claim.sidecar)
                return
            if not _is_taken(claim, target):
                break


def make_folder(root: Path, parts: tuple[str, ...]) -> Path:
    """Make the folder ``parts`` below the root, and return it; a part that something else has the name of gets a number.

    A link is something else, because nothing is to leave the root. Raises `OSError`; so it does where done or failed is no folder.
    """
    place = root
    for depth, part in enumerate(parts):
        for number in itertools.count(1):
            folder = place / numbered(part, number)
            if _is_folder(folder):
                break
            if depth == 0 and part in (DONE, FAILED):
                raise NotADirectoryError(errno.ENOTDIR, f"{part} is there and is no folder; move it away")
        place = folder
    return place


def _move(claim: Claim, wanted: str, announce: Callable[[Path], None]) -> Path:
    """Move settings and file; the settings first, because others may take the file as soon as it is there."""
    for _ in range(_ATTEMPTS):
        gather(claim)
        target = _choose(claim, wanted)
        announce(target)
        try:
            if claim.sidecar is not None and os.path.lexists(claim.sidecar):
                rename_new(claim.sidecar, beside(target))
            rename_new(claim.source, target)
            return target
        except FileExistsError:
            continue  # somebody was quicker
    raise FileExistsError(errno.EEXIST, "each name is taken when it is used", wanted)


def _is_its_own(claim: Claim, target: Path, stamp: Stamp) -> bool:
    """Tell whether the settings at a place are the claim's: the very file, or one that is like it and belongs to no other file."""
    alone = not os.path.lexists(target) or is_same(claim.source, target)
    return is_like(beside(target), stamp) and (alone or Stamp.of(beside(target)) == stamp)


def _rescue_sidecar(claim: Claim, wanted: str) -> None:
    """Where somebody has deleted a file that was taken, what he wrote about it stays."""
    if claim.sidecar is not None and os.path.lexists(claim.sidecar):
        rename_new(claim.sidecar, beside(_choose(claim, wanted)))


def _choose(claim: Claim, wanted: str) -> Path:
    """The first place that is free, for the file and its settings both."""
    *above, own = PurePosixPath(wanted).parts
    folder = make_folder(claim.root, tuple(above))
    return next(target for target in _candidates(claim, folder / own) if not _is_taken(claim, target))


def _candidates(claim: Claim, wanted: Path) -> Iterator[Path]:
    spare_bytes = 0 if claim.sidecar is None else len(SIDECAR_SUFFIX)
    return (wanted.with_name(numbered(wanted.name, number, spare_bytes)) for number in itertools.count(1))


def _is_taken(claim: Claim, target: Path) -> bool:
    """Tell whether something else has the name, or that of its settings."""
    pairs = [(claim.source, target)] if claim.sidecar is None else [(claim.source, target), (claim.sidecar, beside(target))]
    return any(os.path.lexists(place) and not is_same(own, place) for own, place in pairs)


def _is_folder(folder: Path) -> bool:
    """Tell whether this is a folder, and no link to one; it is made where nothing is."""
    if not os.path.lexists(folder):
        folder.mkdir(exist_ok=True)  # on a share somebody else may do so at the same time
    return folder.is_dir() and not folder.is_symlink()
