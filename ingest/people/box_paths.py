"""People's boxes over time: gathered picture by picture, short gaps bridged, the detector's tremble taken out.

A crop follows its box, and what is read of a body moves a little with its crop: boxes that tremble make poses that do.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..rows import Rows
from .boxes import PersonBoxes

BRIDGED_S = 0.2
"""Somebody unseen for no longer than this is looked for where a straight way between the boxes leads."""
STEADY_S = 1 / 30
"""Sigma of the mean over boxes. Those about a landmark net's bodies tremble half again as much as true ones do (second
difference, in rendered clips); so much of a mean makes them as steady, and leaves their overlap with true ones as it was."""
_BRIDGED_SCORE = 0.5  # of the lower of the scores at both ends
_REACH = 3.5  # sigmas

_LAYOUT = np.dtype([
    ("frame", np.int32), ("path", np.int32), ("score", np.float32), ("box_xyxy", np.float32, (4,)), ("occluded", np.bool_),
])


class BoxPaths:
    """Everybody's boxes as they come: a row each, of a path that a tracker numbers as it likes."""

    def __init__(self) -> None:
        self._rows = Rows(_LAYOUT)

    def add(self, frame: int, path: int, score: float, box_xyxy: NDArray[Any], occluded: bool = False) -> None:
        """Keep a box (4,); those of one path come in rising frames."""
        self._rows.add(frame, path, score, box_xyxy, occluded)

    def people(self, paths: Collection[int], least_frames: float, most: int) -> dict[int, PersonBoxes]:
        """Return those of ``paths`` that have enough frames, by path, in the order of their ids.

        Ids count from 1 by the first frame, then from left to right. Where ``most`` is not 0 it is how many are kept at most:
        those whose heights over all frames sum to most.
        """
        number = self._rows.column("path")
        rows_of = {path: np.flatnonzero(number == path) for path in sorted(paths)}
        found = {path: self._path(rows) for path, rows in rows_of.items() if len(rows) >= max(1.0, least_frames)}
        if most:
            found = dict(sorted(found.items(), key=lambda item: _presence(item[1]), reverse=True)[:most])
        ordered = sorted(found.items(), key=lambda item: (int(item[1].frame[0]), float(item[1].box_xyxy[0, 0])))
        return {path: replace(person, id=own) for own, (path, person) in enumerate(ordered, start=1)}

    def _path(self, rows: NDArray[np.intp]) -> PersonBoxes:
        frame, boxes, score, occluded = (self._rows.column(name, rows) for name in ("frame", "box_xyxy", "score", "occluded"))
        return PersonBoxes(0, frame.astype(np.int64), boxes, score, occluded)


def _presence(person: PersonBoxes) -> float:
    """Return how large and long somebody is in the picture."""
    return float((person.box_xyxy[:, 3] - person.box_xyxy[:, 1]).sum(dtype=np.float64))


def bridged(person: PersonBoxes, times_s: NDArray[np.float64]) -> PersonBoxes:
    """Return the boxes with those of short gaps put in, at half the score; ``times_s`` (F,) are the clip's."""
    before, after = person.frame[:-1], person.frame[1:]
    short = (after - before > 1) & (times_s[after] - times_s[before] <= BRIDGED_S)
    missing = [np.arange(first + 1, last) for first, last in zip(before[short].tolist(), after[short].tolist(), strict=True)]
    if not missing:
        return person
    frame = np.concatenate([person.frame, *missing])
    order = np.argsort(frame)
    frame, known = frame[order], order < len(person.frame)
    place = np.searchsorted(person.frame, frame)
    nearby = np.minimum(person.score[np.maximum(place - 1, 0)], person.score[place])
    return PersonBoxes(
        person.id, frame, _between(times_s[frame], times_s[person.frame], person.box_xyxy),
        np.where(known, person.score[place], _BRIDGED_SCORE * nearby).astype(np.float32), np.where(known, person.occluded[place], False),
    )


def _between(at_s: NDArray[np.float64], times_s: NDArray[np.float64], values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values (M,4) on the straight way between those (N,4) at times (N,)."""
    return np.stack([np.interp(at_s, times_s, column) for column in values.T], axis=1).astype(np.float32)


def steadied(person: PersonBoxes, times_s: NDArray[np.float64], sigma_s: float) -> PersonBoxes:
    """Return the boxes averaged by a Gaussian of ``sigma_s``, from as far back as ahead, so that nothing that moves evenly lags.

    Nothing is averaged over a gap: the mean narrows toward it, and toward the beginning and the end.
    """
    frame, count = person.frame, len(person.frame)
    times, boxes = times_s[frame], person.box_xyxy.astype(np.float64)
    run = np.cumsum(np.concatenate([[True], np.diff(frame) > 1]))
    total, weight = boxes.copy(), np.ones(count)
    whole = np.ones(count, dtype=bool)
    for step in range(1, count):
        back, ahead = np.arange(count) - step, np.arange(count) + step
        whole &= (back >= 0) & (ahead < count)
        whole[whole] = (run[back[whole]] == run[whole]) & (run[ahead[whole]] == run[whole])
        whole[whole] = (times[ahead[whole]] - times[back[whole]]) / 2 <= _REACH * sigma_s
        if not whole.any():
            break
        apart = (times[ahead[whole]] - times[back[whole]]) / (2 * sigma_s)
        share = np.exp(-(apart**2) / 2)
        total[whole] += share[:, None] * (boxes[back[whole]] + boxes[ahead[whole]])
        weight[whole] += 2 * share
    return replace(person, box_xyxy=(total / weight[:, None]).astype(np.float32))
