"""What the user may say about a clip; light to import, for the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ..errors import SettingsError

MAX_RATE = 1000  # pictures a second
# Rates that cameras and studios use; a measured average is one of these when it is within 0.02 % (24 and 23.976 differ by 0.1 %).
_NTSC_RATES = tuple(Fraction(nominal * 1000, 1001) for nominal in (24, 30, 48, 60, 120, 240))
_FILM_RATES = tuple(Fraction(rate) for rate in (*range(1, 31), 48, 50, 60, 72, 90, 96, 100, 120, 144, 200, 240))
_RATE_TOLERANCE = 2e-4


@dataclass(frozen=True)
class VideoOptions:
    """How a clip is cut and sampled."""

    start_s: float = 0.0
    """Start here, in seconds of the source's own time."""
    end_s: float | None = None
    """Stop before this time, in seconds of the source's own time; nothing means the end."""
    fps: float | None = None
    """Sample clips, and bring motion files, to this rate (29.97 means 30000/1001); nothing keeps every frame at its own time."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.start_s) or (self.end_s is not None and not self.end_s > self.start_s):
            raise SettingsError(f"start_s, end_s: found {self.start_s} to {self.end_s}, expected an end after the start")
        if self.fps is not None and not 0 < self.fps <= MAX_RATE:
            raise SettingsError(f"fps: found {self.fps}, expected a rate above 0 and up to {MAX_RATE}")

    @property
    def rate(self) -> Fraction | None:
        """The rate that was asked for, exact."""
        return None if self.fps is None else known_rate(self.fps)


def known_rate(rate: float | Fraction) -> Fraction:
    """Return the rate that a number stands for: 59.94 is 60000/1001, and 12.5 is itself."""
    if isinstance(rate, Fraction) and rate in _NTSC_RATES + _FILM_RATES:
        return rate
    known = min(_NTSC_RATES + _FILM_RATES, key=lambda candidate: abs(candidate / Fraction(rate) - 1))
    return known if abs(float(known) / float(rate) - 1) < _RATE_TOLERANCE else Fraction(rate).limit_denominator(100_000)
