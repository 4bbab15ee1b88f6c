"""The landmark net: 33 points of one person in a square of the picture, as pixels and as metres."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body_pose import LIMBS, SWAPPED, BodyPose
from ..roi import Roi, crop, upright_square
from .heatmap import refine
from .net import Net

_OUTPUTS = (0, 1, 3, 4)  # points, score, heat maps, points in metres; 2 is a mask of the person
_ROI_GROWTH = 1.25
_MIDDLE_HIP, _CIRCLE = 33, 34  # the two extra points that say where the body's square is
_SIDES = np.concatenate([SWAPPED, [_MIDDLE_HIP, _CIRCLE]])
# Two readings of one picture differ by 0.004 of the square (median); from here on they mean different poses.
_SAME_POSE = 0.06
# A point that the two readings put this far apart (share of the square) counts half.
_HALF_TRUST = 0.04


@dataclass(frozen=True, eq=False)
class _Reading:
    """The net's numbers in the crop's own axes; points in the unit square."""

    score: float
    points: NDArray[np.float64]  # (35,2)
    points_m: NDArray[np.float64]  # (33,3)
    visibility: NDArray[np.float64]  # (33,)

    def mirrored(self) -> _Reading:
        """Return what the mirror image would have given, seen from this side."""
        flipped = _Reading(self.score, self.points * (-1.0, 1.0) + (1.0, 0.0), self.points_m * (-1.0, 1.0, 1.0), self.visibility)
        return flipped.other_sides()

    def other_sides(self) -> _Reading:
        """Return the same points with left called right."""
        return _Reading(self.score, self.points[_SIDES], self.points_m[SWAPPED], self.visibility[SWAPPED])

    def apart(self, points: NDArray[np.float64]) -> float:
        """Return the mean distance of the limbs to other points (33 or 35,2), as a share of the square."""
        order = list(LIMBS)
        return float(np.linalg.norm(self.points[order] - points[order], axis=1).mean())


class BodyNet:
    """The landmark net, ``full`` or ``heavy``; with ``mirror`` the mirror image is read beside it and both are averaged.

    Averaging lowers the error by 5 to 11 % and the jitter by 11 to 33 %. Both readings run at once, on a thread each.
    Where they mean different poses, the one nearer to the last pose is taken, since a mean of two poses is none.
    """

    def __init__(self, size: str, mirror: bool, threads: Executor) -> None:
        self._threads = threads
        name = f"pose_landmark_{size}"
        self._nets = [Net(name, _OUTPUTS), Net(name, _OUTPUTS)] if mirror else [Net(name, _OUTPUTS, threads=2)]

    def __call__(self, image_bgr: NDArray[np.uint8], roi: Roi, last: BodyPose | None = None) -> BodyPose:
        """Return the person in ``roi``, who may be anybody or nobody: see `BodyPose.score`. ``last`` is the same person before."""
        picture = crop(image_bgr, roi, self._nets[0].side)
        if len(self._nets) == 1:
            return _in_picture(_read(self._nets[0], picture), roi)
        twin = self._threads.submit(_read, self._nets[1], np.ascontiguousarray(picture[:, ::-1]))
        plain = _read(self._nets[0], picture)
        last_points = None if last is None else roi.to_roi(last.points_px)
        return _in_picture(_agree(plain, twin.result().mirrored(), last_points), roi)


def alignment_roi(centre_px: NDArray[np.float64], circle_px: NDArray[np.float64]) -> Roi:
    """Return the square that the landmark net wants, of a hip centre and a point on the circle that holds the body."""
    return upright_square(centre_px, circle_px).scaled(_ROI_GROWTH)


def _read(net: Net, picture: NDArray[np.float32]) -> _Reading:
    flat, score, heat, flat_m = net.run(picture)
    values = flat.astype(np.float64).reshape(39, 5)
    points = refine(values[:, :2] / net.side, heat)
    visibility = 1.0 / (1.0 + np.exp(-values[:33, 3]))
    points_m = flat_m.astype(np.float64).reshape(39, 3)[:33]
    return _Reading(float(score[0]), points[:35], points_m, visibility)


def _agree(one: _Reading, other: _Reading, last_points: NDArray[np.float64] | None) -> _Reading:
    """Return the mean of two readings that mean the same pose, else the one that goes on from the last pose."""
    if one.apart(other.points) < _SAME_POSE:
        return _mean(one, other)
    turned = other.other_sides()
    if one.apart(turned.points) < _SAME_POSE:
        mean = _mean(one, turned)
        return _nearest([mean, mean.other_sides()], last_points)
    chosen = _nearest([one, other], last_points)
    return _Reading(chosen.score / 2, chosen.points, chosen.points_m, chosen.visibility / 2)


def _nearest(readings: list[_Reading], last_points: NDArray[np.float64] | None) -> _Reading:
    return readings[0] if last_points is None else min(readings, key=lambda reading: reading.apart(last_points))


def _mean(one: _Reading, other: _Reading) -> _Reading:
    apart = np.linalg.norm(one.points - other.points, axis=1)[:33]
    trust = 1.0 / (1.0 + (apart / _HALF_TRUST) ** 2)
    return _Reading(
        score=(one.score + other.score) / 2, points=(one.points + other.points) / 2, points_m=(one.points_m + other.points_m) / 2,
        visibility=(one.visibility + other.visibility) / 2 * trust,
    )


def _in_picture(reading: _Reading, roi: Roi) -> BodyPose:
    points_px = roi.to_picture(reading.points)
    points_m = reading.points_m.copy()
    points_m[:, :2] = points_m[:, :2] @ roi.R_picture_roi.T
    next_roi = alignment_roi(points_px[_MIDDLE_HIP], points_px[_CIRCLE])
    return BodyPose(reading.score, points_px[:33], points_m, reading.visibility, next_roi)
