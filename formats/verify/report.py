"""What reading a file back has shown, and how its errors are gathered without holding every frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Enough distances for a steady 95th percentile, and no more than a few megabytes.
_SAMPLE = 2_000_000


@dataclass(frozen=True)
class VerifyReport:
    """How far a file's vertices stand from the take's, over the frames that were evaluated, and which rules it breaks."""

    file: str
    person: str
    mean_mm: float
    p95_mm: float
    max_mm: float
    frames: int  # evaluated
    frame_count: int  # in the take
    broken_rules: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.broken_rules

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {**asdict(self), "broken_rules": list(self.broken_rules), "ok": self.ok}


@dataclass
class ErrorMeter:
    """Gathers distances between vertices, block by block, in constant memory."""

    expected: int  # how many distances will come
    _total: float = 0.0
    _count: int = 0
    _max: float = 0.0
    _sample: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, found_m: NDArray[np.floating], truth_m: NDArray[np.floating]) -> None:
        """Add vertices (F,V,3) as found and as they should be, metres."""
        distance = np.linalg.norm(found_m - truth_m, axis=-1).ravel()
        # NaN must not slip through a maximum.
        distance = np.where(np.isfinite(distance), distance, np.inf)
        self._total += float(distance.sum(dtype=np.float64))
        self._count += len(distance)
        self._max = max(self._max, float(distance.max(initial=0.0)))
        self._sample.append(distance[:: max(1, self.expected // _SAMPLE)].astype(np.float32))

    def report(self, path: Path, person: str, frames: int, frame_count: int, broken_rules: Iterable[str]) -> VerifyReport:
        """Close the count; with nothing evaluated the errors are infinite."""
        if self._count == 0:
            return VerifyReport(str(path), person, np.inf, np.inf, np.inf, frames, frame_count, tuple(broken_rules))
        # A distance that occurs, not a blend of two: an infinite one can't be blended.
        p95_m = float(np.percentile(np.concatenate(self._sample), 95, method="higher"))
        numbers = (self._total / self._count * 1000, p95_m * 1000, self._max * 1000)
        return VerifyReport(str(path), person, *numbers, frames, frame_count, tuple(broken_rules))
