"""What somebody's clothes look like: a small histogram of colours on the torso, to tell people apart."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..pose.body_pose import TORSO, BodyPose

_GRID = 12  # samples along each side of the torso
_LIGHT_BINS, _COLOUR_BINS = 4, 8
COLOURS = _LIGHT_BINS + _COLOUR_BINS**2


def torso_colours(image_bgr: NDArray[np.uint8], pose: BodyPose) -> NDArray[np.float32]:
    """Return the histogram (68,) of a torso's lightness and colours (CIE Lab); each half sums to one half."""
    steps = (np.arange(_GRID) + 0.5) / _GRID
    left_shoulder, right_shoulder, left_hip, right_hip = (pose.points_px[point] for point in TORSO)
    upper = left_shoulder + steps[:, None] * (right_shoulder - left_shoulder)
    lower = left_hip + steps[:, None] * (right_hip - left_hip)
    points = upper[None] + steps[:, None, None] * (lower - upper)[None]
    height, width = image_bgr.shape[:2]
    columns, rows = points[..., 0].astype(int).clip(0, width - 1), points[..., 1].astype(int).clip(0, height - 1)
    lab = np.asarray(cv2.cvtColor(image_bgr[rows, columns], cv2.COLOR_BGR2LAB), dtype=int)
    light = np.bincount((lab[..., 0] * _LIGHT_BINS // 256).ravel(), minlength=_LIGHT_BINS)
    # Clothes lie in the inner half of the a-b plane.
    a, b = (((lab[..., axis] - 128) * _COLOUR_BINS // 128 + _COLOUR_BINS // 2).clip(0, _COLOUR_BINS - 1) for axis in (1, 2))
    colour = np.bincount((a * _COLOUR_BINS + b).ravel(), minlength=_COLOUR_BINS**2)
    return colours_of_counts(np.concatenate([light, colour]))


def colours_of_counts(counts: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return histograms (…,68) of how many of a torso's samples fell into each bin."""
    return (counts / (2.0 * _GRID**2)).astype(np.float32)


def counts_of_colours(colours: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return histograms (…,68) as the numbers of samples that they were made of: the same in a quarter of the room."""
    return np.asarray(np.rint(colours * (2.0 * _GRID**2)), dtype=np.uint8)


def colour_distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the Hellinger distance of two histograms: 0 the same, 1 nothing in common."""
    return float(np.sqrt(max(0.0, 1.0 - np.sqrt(one * other).sum())))
