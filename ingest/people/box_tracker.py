"""Following boxes from picture to picture: who is who where a detector tells boxes and nothing else.

Each picture's boxes go to those who are followed, all at once, so that the sum of misfits is least: by overlap with where
each is expected, and where nothing overlaps, because somebody moves fast or was away, by the way and the growth. Doubtful
boxes may go on a path, and never begin one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .box_overlap import overlap, with_occlusion
from .box_paths import STEADY_S, BoxPaths, bridged, steadied
from .boxes import PersonBoxes
from .options import PeopleOptions

Array = NDArray[np.float64]

_SURE, _DOUBTFUL = 0.5, 0.2  # scores: from here on a box may begin a path, or go on one
_SAME_BOX = 0.8  # boxes of one picture that overlap by more are one person's
_LEAST_OVERLAP = 0.3
_MAX_WAY, _WAY_PER_S = 0.35, 0.8  # heights: from one picture to the next, and more for each second unseen
_MAX_GROWTH = 1.5
_FAR = 1.0  # a match with little overlap costs so much more: whoever is where they are expected is hardly sent elsewhere
_CONFIRMED_AFTER = 3
_SLOWING = 0.9  # somebody unseen is thought to go this much slower with each picture
_NEVER = 2 * _FAR  # no more than two far matches, lest somebody makes way so that one who is lost has a box


@dataclass(eq=False)
class _Path:
    """Somebody who is followed."""

    number: int
    frame: int
    box: Array  # (4,)
    seen: int = 1
    velocity: Array = field(default_factory=lambda: np.zeros(4))  # of the box's sides, a picture

    def expected(self, frame: int) -> Array:
        """Return where the box (4,) is expected in a picture: it goes on more and more slowly, and keeps its size."""
        away = frame - self.frame
        move = (self.velocity[:2] + self.velocity[2:]) / 2 * (1 - _SLOWING**away) / (1 - _SLOWING)
        return self.box + np.tile(move, 2)

    def go_on(self, frame: int, box: Array) -> None:
        """Take a box of a later picture."""
        step = (box - self.box) / (frame - self.frame)
        self.velocity = step if self.seen == 1 else (self.velocity + step) / 2
        self.frame, self.box, self.seen = frame, box, self.seen + 1


class BoxTracker:
    """Follows everybody in a clip; call `step` with each picture's boxes in turn, then `people`."""

    def __init__(self, fps: Fraction, options: PeopleOptions) -> None:
        self._fps, self._options = float(fps), options
        self._paths = BoxPaths()
        self._alive: list[_Path] = []
        self._begun = 0
        self._confirmed: set[int] = set()

    def step(self, frame: int, box_xyxy: NDArray[np.floating], score: NDArray[np.floating]) -> None:
        """Take the boxes (N,4), pixels, and scores (N,), 0…1, of a picture; pictures in which nobody is may be left out."""
        boxes, scores = _each_once(np.asarray(box_xyxy, np.float64).reshape(-1, 4), np.asarray(score, np.float64))
        self._alive = [path for path in self._alive if self._patient(path, frame)]
        free = np.ones(len(boxes), dtype=bool)
        waiting = list(self._alive)
        for chosen in (scores >= _SURE, scores < _SURE):
            rows = np.flatnonzero(chosen & free)
            for path, row in self._matched(waiting, frame, boxes[rows]):
                self._take(path, frame, boxes[rows[row]], float(scores[rows[row]]))
                free[rows[row]] = False
                waiting.remove(path)
        for row in np.flatnonzero(free & (scores >= _SURE)).tolist():
            self._begin(frame, boxes[row], float(scores[row]))

    def people(self, times_s: NDArray[np.float64]) -> tuple[PersonBoxes, ...]:
        """Return who was seen for long enough, numbered from 1 by their first frame, then from left to right.

        ``times_s`` (F,) are the clip's. Short gaps are bridged, boxes steadied, and who is hidden is flagged.
        """
        least = max(_CONFIRMED_AFTER, self._options.min_visible_s * self._fps)
        people = self._paths.people(self._confirmed, least, self._options.max_people).values()
        return with_occlusion([steadied(bridged(person, times_s), times_s, STEADY_S) for person in people])

    def _patient(self, path: _Path, frame: int) -> bool:
        """Say whether somebody may still come back; what proved to be nobody yet may miss one picture."""
        return frame - path.frame <= (max(1.0, self._options.relink_s * self._fps) if path.number in self._confirmed else 2)

    def _matched(self, paths: Sequence[_Path], frame: int, boxes: Array) -> list[tuple[_Path, int]]:
        """Return who goes on with which of a picture's boxes (N,4)."""
        if not paths or not len(boxes):
            return []
        costs = np.stack([self._costs(path, frame, boxes) for path in paths])
        owners, rows = linear_sum_assignment(costs)
        return [(paths[owner], row) for owner, row in zip(owners.tolist(), rows.tolist(), strict=True) if costs[owner, row] < _NEVER]

    def _costs(self, path: _Path, frame: int, boxes: Array) -> Array:
        """How ill boxes (N,4) go on a path: 0 to 1 by overlap, 1 to 2 by way and growth where little overlaps, else never."""
        expected = path.expected(frame)
        alike = overlap(expected, boxes)
        height = np.maximum(boxes[:, 3] - boxes[:, 1], 1e-6)
        old_height = max(float(path.box[3] - path.box[1]), 1e-6)
        away_s = (frame - path.frame - 1) / self._fps
        reach = (_MAX_WAY + _WAY_PER_S * away_s) * np.maximum(height, old_height)
        way = np.linalg.norm((boxes[:, :2] + boxes[:, 2:] - expected[:2] - expected[2:]) / 2, axis=1) / reach
        growth = np.abs(np.log(height / old_height)) / np.log(_MAX_GROWTH) / (1 + away_s)
        far = np.where((way < 1) & (growth < 1), _FAR + (way + growth) / 2, _NEVER)
        return np.where(alike >= _LEAST_OVERLAP, 1 - alike, far)

    def _take(self, path: _Path, frame: int, box: Array, score: float) -> None:
        path.go_on(frame, box)
        self._paths.add(frame, path.number, score, box)
        if path.seen >= _CONFIRMED_AFTER:
            self._confirmed.add(path.number)

    def _begin(self, frame: int, box: Array, score: float) -> None:
        self._alive.append(_Path(self._begun, frame, box))
        self._paths.add(frame, self._begun, score, box)
        self._begun += 1


def _each_once(boxes: Array, scores: Array) -> tuple[Array, Array]:
    """Return boxes (N,4) and scores (N,), best first, without what is doubtful and what repeats a better one."""
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if scores[row] >= _DOUBTFUL and not (overlap(boxes[row], boxes[kept]) > _SAME_BOX).any():
            kept.append(row)
    return boxes[kept], scores[kept]
