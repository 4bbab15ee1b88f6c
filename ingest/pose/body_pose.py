"""One person in one picture, as 33 landmarks; their names, their sides, and small measures on them.

The 33 points are BlazePose's, which other estimators map theirs to. Left and right are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .roi import Roi

SHOULDERS, ELBOWS, WRISTS, PINKIES, INDICES = (11, 12), (13, 14), (15, 16), (17, 18), (19, 20)  # left, right
HIPS, KNEES, ANKLES, HEELS, TOES = (23, 24), (25, 26), (27, 28), (29, 30), (31, 32)
TORSO = (*SHOULDERS, *HIPS)
LIMBS = (*SHOULDERS, *ELBOWS, *WRISTS, *HIPS, *KNEES, *ANKLES)
LEGS = (*KNEES, *ANKLES, *HEELS, *TOES)

_SIDED_PAIRS = ((1, 4), (2, 5), (3, 6), (7, 8), (9, 10), *((left, left + 1) for left in range(11, 33, 2)))


def _swapped() -> NDArray[np.intp]:
    order = np.arange(33)
    for left, right in _SIDED_PAIRS:
        order[left], order[right] = right, left
    return order


SWAPPED = _swapped()
"""The index of each of the 33 points' twin on the other side; points in the middle are their own."""


@dataclass(frozen=True, eq=False)
class BodyPose:
    """What was seen of one person in one picture."""

    score: float  # that there is a person, and that the readings agree, 0…1
    points_px: NDArray[np.float64]  # (33,2)
    points_m: NDArray[np.float64]  # (33,3), from the middle of the hips, x right, y down, z away from the camera
    visibility: NDArray[np.float64]  # (33,)
    roi: Roi  # the square to look at in the next picture

    @property
    def centre_px(self) -> NDArray[np.float64]:
        """The middle (2,) of the torso."""
        return np.asarray(self.points_px[list(TORSO)].mean(axis=0), dtype=np.float64)

    @property
    def torso_px(self) -> float:
        """How long the torso would look upright and facing the camera, in pixels: the larger of its seen height and width."""
        torso = self.points_px[list(TORSO)]
        height = float(np.linalg.norm(torso[:2].mean(axis=0) - torso[2:].mean(axis=0)))
        # Shoulders are about 0.75 torso lengths apart; a torso that points at the camera is still that wide.
        return max(height, float(np.linalg.norm(torso[0] - torso[1])) / 0.75)

    @property
    def box_px(self) -> NDArray[np.float64]:
        """The box (4,) x0 y0 x1 y1 about all landmarks."""
        return np.concatenate([self.points_px.min(axis=0), self.points_px.max(axis=0)])


def torso_distance(one: BodyPose, other: BodyPose) -> float:
    """Return how far apart two bodies' torsos are: the mean distance of their four points, in torso lengths."""
    order = list(TORSO)
    # A body whose sides are read the other way round is still the same body.
    twins = [order, [SWAPPED[point] for point in order]]
    apart = min(float(np.linalg.norm(one.points_px[order] - other.points_px[twin], axis=1).mean()) for twin in twins)
    return apart / max(1e-6, (one.torso_px + other.torso_px) / 2)
