"""Sharper landmarks: what the regression says, moved to the weight of the heat map around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_REACH = 3  # cells to each side: MediaPipe's kernel of 7
_MIN_CONFIDENCE = 0.5
_OFFSETS = np.arange(-_REACH, _REACH + 1)


def refine(points: NDArray[np.float64], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return points (N,2) in the unit square, refined by heat maps (S,S,N) of logits.

    Each point goes to the mean of the 7 × 7 cells around it, weighted by their sigmoid, where one of them is at least one
    half; a point outside the square stays. This is MediaPipe's RefineLandmarksFromHeatmap, cell c standing for c / S.
    """
    size = logits.shape[0]
    centre = np.floor(points * size).astype(int)
    inside = ((centre >= 0) & (centre < size)).all(axis=1)
    columns = centre[:, 0, None, None] + _OFFSETS[None, None, :]
    rows = centre[:, 1, None, None] + _OFFSETS[None, :, None]
    valid = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    picked = logits[rows.clip(0, size - 1), columns.clip(0, size - 1), np.arange(len(points))[:, None, None]]
    weight = np.where(valid, 1.0 / (1.0 + np.exp(-picked.astype(np.float64))), 0.0)
    total = weight.sum(axis=(1, 2))
    confident = inside & (weight.max(axis=(1, 2)) >= _MIN_CONFIDENCE)
    mean = np.stack([(weight * columns).sum(axis=(1, 2)), (weight * rows).sum(axis=(1, 2))], axis=1) / np.maximum(total, 1e-9)[:, None]
    return np.where(confident[:, None], mean / size, points)
