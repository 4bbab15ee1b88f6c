"""What an estimator hands over: people as tracks of landmarks, before any body is fitted to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RigdropError

LANDMARK_COUNT = 33  # BlazePose's body landmarks
HAND_LANDMARK_COUNT = 21  # wrist, then four points a finger from thumb to pinky
LEFT, RIGHT = 0, 1  # the person's own sides, as indices into the hands' axis

Progress = Callable[[int, int | None], None]
"""Called with frames done and, where known, frames in all."""

_NUMBERS = ("landmarks_px", "landmarks_m", "visibility", "score", "box_px", "hands_px", "hands_m", "hand_score")


@dataclass(frozen=True, eq=False)
class Track:
    """One person over L consecutive frames of a clip; what was not seen is NaN, and masked by ``seen`` or a score of 0.

    Numbers are single precision, a ten-thousandth of a pixel: they are most of what a long clip weighs in memory.
    """

    id: int
    first_frame: int
    landmarks_px: NDArray[np.float32]  # (L,33,2), pixels of the upright picture, origin at the upper left
    landmarks_m: NDArray[np.float32]  # (L,33,3), from the middle of the hips, OpenCV's camera axes
    visibility: NDArray[np.float32]  # (L,33), 0…1
    seen: NDArray[np.bool_]  # (L,)
    score: NDArray[np.float32]  # (L,), 0…1
    box_px: NDArray[np.float32]  # (L,4), x0 y0 x1 y1
    hands_px: NDArray[np.float32]  # (L,2,21,2)
    hands_m: NDArray[np.float32]  # (L,2,21,3), from the wrist, OpenCV's camera axes
    hand_score: NDArray[np.float32]  # (L,2), 0 where the hand was not seen

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))
        length = len(self.seen)
        shapes: dict[str, tuple[int, ...]] = {
            "landmarks_px": (length, LANDMARK_COUNT, 2), "landmarks_m": (length, LANDMARK_COUNT, 3), "visibility": (length, LANDMARK_COUNT),
            "score": (length,), "box_px": (length, 4), "hands_px": (length, 2, HAND_LANDMARK_COUNT, 2),
            "hands_m": (length, 2, HAND_LANDMARK_COUNT, 3), "hand_score": (length, 2),
        }
        for name, expected in shapes.items():
            array: NDArray[Any] = getattr(self, name)
            if array.shape != expected:
                raise RigdropError(f"track {self.id}: {name}: found {array.shape}, expected {expected}")
        if not self.seen.any():
            raise RigdropError(f"track {self.id}: seen: found no frame, expected one or more")
        finite = np.isfinite(self.landmarks_px.sum(axis=(1, 2)) + self.landmarks_m.sum(axis=(1, 2)))
        if not finite[self.seen].all():
            raise RigdropError(f"track {self.id}: landmarks: found NaN in a frame that is marked as seen")

    @property
    def frames(self) -> slice:
        """The frames of the clip that this track spans."""
        return slice(self.first_frame, self.first_frame + len(self.seen))


@dataclass(frozen=True, eq=False)
class Observations:
    """Everything that an estimator saw in a clip."""

    times_s: NDArray[np.float64]  # (F,), strictly increasing
    fps: Fraction
    width: int
    height: int
    tracks: Sequence[Track]
    focal_px: float | None = None  # from the file's metadata or the estimator, where there is one
    timecode: str | None = None
    details: dict[str, Any] = field(default_factory=dict)  # asset hashes, versions, warnings: goes into the provenance
