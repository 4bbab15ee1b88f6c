"""What the user may say about a clip; light to import, for the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import SettingsError

MAX_RATE = 1000  # pictures a second


@dataclass(frozen=True)
class VideoOptions:
    """How a clip is cut and sampled."""

    start_s: float = 0.0
    """Start here, in seconds of the source's own time."""
    end_s: float | None = None
    """Stop before this time, in seconds of the source's own time; nothing means the end."""
    fps: float | None = None
    """Sample at this rate (29.97 means 30000/1001); nothing keeps every picture at its own time."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.start_s) or (self.end_s is not None and not self.end_s > self.start_s):
            raise SettingsError(f"start_s, end_s: found {self.start_s} to {self.end_s}, expected an end after the start")
        if self.fps is not None and not 0 < self.fps <= MAX_RATE:
            raise SettingsError(f"fps: found {self.fps}, expected a rate above 0 and up to {MAX_RATE}")
