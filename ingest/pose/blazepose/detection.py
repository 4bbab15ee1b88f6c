"""Finding people in a picture: BlazePose's detector, one square picture at a time.

The detector looks for heads and says, with each, where the middle of the hips is and how large a circle about it holds the
whole body: the square that the landmark net wants. Constants are those of MediaPipe's pose_detection graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ...people.detect import Detection
from .net import Net

_OUTPUTS = (0, 1)  # boxes with key points, and scores
_STRIDES = (8, 16, 32, 32, 32)
_ANCHORS_A_CELL_AND_LAYER = 2
_SIDE = 224
_MIN_SCORE = 0.5
_HIPS, _CIRCLE = 4, 6  # where key points 0 and 1 begin in a row of 12 numbers
_MIN_OVERLAP = 0.3


class Detector:
    """The detector net on two threads; finds people who fill a good part of the picture that it is given."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._nets = (Net("pose_detection", _OUTPUTS), Net("pose_detection", _OUTPUTS))

    def __call__(self, pictures_bgr: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """Return the people in each of several pictures (H,W,3), best first, in that picture's pixels."""
        found: list[list[Detection]] = [[] for _ in pictures_bgr]

        def every_other(start: int) -> None:
            for place in range(start, len(pictures_bgr), 2):
                found[place] = self._detect(self._nets[start], pictures_bgr[place])

        odd = self._threads.submit(every_other, 1)
        every_other(0)
        odd.result()
        return found

    def _detect(self, net: Net, picture_bgr: NDArray[np.uint8]) -> list[Detection]:
        picture, scale, margin = _letterbox(picture_bgr)
        rows, logits = net.run(picture)
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -100, 100)))
        keep = scores >= _MIN_SCORE
        if not keep.any():
            return []
        points = rows[keep].astype(np.float64).reshape(-1, 6, 2)
        points[:, (0, 2, 3, 4, 5)] += _anchors()[keep][:, None] * _SIDE
        points[:, (0, 2, 3, 4, 5)] -= margin
        points /= scale
        return _merge(points, scores[keep])


@cache
def _anchors() -> NDArray[np.float64]:
    """Return the centres (2254,2) of the SSD anchors in the unit square: cell by cell, row by row; layers of one stride share cells."""
    grids = []
    for stride in dict.fromkeys(_STRIDES):
        cells = _SIDE // stride
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(grid, _ANCHORS_A_CELL_AND_LAYER * _STRIDES.count(stride), axis=0))
    return np.concatenate(grids)


def _letterbox(image_bgr: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float, NDArray[np.float64]]:
    """Return the picture fitted into the net's square in RGB, -1…1, with the scale and the margin (x, y) that did it."""
    height, width = image_bgr.shape[:2]
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x0, y0 = (_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2
    picture = np.full((_SIDE, _SIDE, 3), -1.0, dtype=np.float32)
    picture[y0 : y0 + size[1], x0 : x0 + size[0]] = reduced[:, :, ::-1] * np.float32(2 / 255) - 1
    return picture, scale, np.array([x0, y0], dtype=np.float64)


def _merge(points: NDArray[np.float64], scores: NDArray[np.float64]) -> list[Detection]:
    """Blend rows (N,6,2: box centre, box size, four key points) whose boxes overlap, weighted by score, best first."""
    low, high = points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2
    left = np.argsort(-scores, kind="stable")
    found = []
    while len(left):
        overlap = _overlap(low[left[0]], high[left[0]], low[left], high[left])
        same = left[(overlap >= _MIN_OVERLAP) | (left == left[0])]
        row = np.average(points[same], axis=0, weights=scores[same])
        found.append(Detection(float(scores[left[0]]), row[2], row[3], np.concatenate([row[0] - row[1] / 2, row[0] + row[1] / 2])))
        left = left[~np.isin(left, same)]
    return found


def _overlap(
    low: NDArray[np.float64], high: NDArray[np.float64], lows: NDArray[np.float64], highs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the intersection over union (N,) of one box with N others."""
    shared = np.prod(np.maximum(np.minimum(high, highs) - np.maximum(low, lows), 0), axis=1)
    union = np.prod(high - low) + np.prod(highs - lows, axis=1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9), dtype=np.float64)
