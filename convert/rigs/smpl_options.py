"""Where the user keeps body models that only they may have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmplOptions:
    """Body models that have a licence of their own; Rigdrop brings none and downloads none."""

    smpl: Path | None = None
    """Folder with the SMPL-H/X body models that you have a licence for; without it, SMPL motion goes on a standard skeleton."""
