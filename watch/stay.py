"""What is done and lies in the inbox again, where sources stay: one empty file for each, whose name says which.

They lie in the inbox, so that every machine that watches it knows them, and after a restart too. Touch a source to have it
converted again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from pathlib import Path

from .names import SERVICE

_KEEP_S = 86_400.0


def mark(root: Path, identity: str) -> None:
    """Note that the file of this `scan.Entry.identity` is done. Raises `OSError`."""
    folder = _folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / identity).touch()


def marked(root: Path) -> frozenset[str]:
    """Return the identities of all that is done. Raises `OSError` where they can't be read."""
    try:
        return frozenset(os.listdir(_folder(root)))
    except FileNotFoundError:
        return frozenset()


def prune(root: Path, there: Collection[str]) -> int:
    """Forget what is not ``there`` any more, a day after it was done; returns how many."""
    count = 0
    for identity in marked(root).difference(there):
        note = _folder(root) / identity
        # Another worker of the same folder prunes as well.
        with contextlib.suppress(OSError):
            if time.time() - note.stat().st_mtime > _KEEP_S:
                note.unlink()
                count += 1
    return count


def _folder(root: Path) -> Path:
    return root / SERVICE / "stayed"
