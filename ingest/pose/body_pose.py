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
    def torso_points_px(self) -> NDArray[np.float64]:
        """Shoulders and hips (4,2)."""
        return self.points_px[list(TORSO)]

    @property
    def centre_px(self) -> NDArray[np.float64]:
        """The middle (2,) of the torso."""
        return torso_middle(self.torso_points_px)

    @property
    def torso_px(self) -> float:
        """The torso's length, see `torso_length`."""
        return float(torso_length(self.torso_points_px))

    @property
    def box_px(self) -> NDArray[np.float64]:
        """The box (4,) x0 y0 x1 y1 about all landmarks."""
        return np.concatenate([self.points_px.min(axis=0), self.points_px.max(axis=0)])


def torso_middle(torso_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle (…,2) of torsos' four points (…,4,2)."""
    return np.asarray(torso_px.mean(axis=-2), dtype=np.float64)


def torso_length(torso_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how long torsos (…,4,2) would look upright and facing the camera (…): the larger of their seen height and width."""
    height = np.linalg.norm(torso_px[..., :2, :].mean(axis=-2) - torso_px[..., 2:, :].mean(axis=-2), axis=-1)
    width = np.linalg.norm(torso_px[..., 0, :] - torso_px[..., 1, :], axis=-1)
    # Shoulders are about 0.75 torso lengths apart; a torso that points at the camera is still that wide.
    return np.asarray(np.maximum(height, width / 0.75), dtype=np.float64)


def torsos_apart(torso_px: NDArray[np.float64], other_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far torsos (…,4,2) are from others (…): the mean distance of their four points, in torso lengths."""
    # A body whose sides are read the other way round is still the same body.
    apart = [np.linalg.norm(torso_px - other_px[..., list(sides), :], axis=-1).mean(axis=-1) for sides in ((0, 1, 2, 3), (1, 0, 3, 2))]
    length = (torso_length(torso_px) + torso_length(other_px)) / 2
    return np.asarray(np.minimum(*apart) / np.maximum(1e-6, length), dtype=np.float64)


def torso_distance(one: BodyPose, other: BodyPose) -> float:
    """Return how far apart two bodies' torsos are, in torso lengths; see `torsos_apart`."""
    return float(torsos_apart(one.torso_points_px, other.torso_points_px))
