"""Room on the disks that the service writes to."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def free_mb(path: Path) -> float:
    """Return how much room is left where ``path`` is, or will be, in MB."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free / 1e6


def too_full(paths: Iterable[Path], floor_mb: float) -> str | None:
    """Return, in words, which of the disks has less than ``floor_mb`` left; nothing where all have enough."""
    for path in paths:
        free = free_mb(path)
        if free < floor_mb:
            return f"{path}: {free:.0f} MB are free, {floor_mb:.0f} are needed (floor); free some"
    return None


def is_full(error: BaseException | None) -> bool:
    """Tell whether a disk without room is behind an error; quotas count."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL:
            return True
        error = error.__cause__
    return False
