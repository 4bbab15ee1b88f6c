"""How much boxes share, and who is hidden behind whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from .boxes import PersonBoxes

_HIDDEN_SHARE = 0.5  # of a box, covered by the box of somebody in front: less leaves most of a body in sight
_DEPTH_FRAMES = 15  # over which it is settled who is in front, so that two who are level do not change places every frame
_DEPTH_HEIGHTS = 0.3  # a torso is about so much of a body: see `nearness_px`


def area_px(box_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return the area (…) of boxes (…,4)."""
    sides = np.maximum(box_xyxy[..., 2:].astype(np.float64) - box_xyxy[..., :2], 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def shared_px(one_xyxy: NDArray[Any], other_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return the area (…) that boxes (…,4) have in common with others (…,4)."""
    low = np.maximum(one_xyxy[..., :2], other_xyxy[..., :2])
    high = np.minimum(one_xyxy[..., 2:], other_xyxy[..., 2:])
    return area_px(np.concatenate([low, high], axis=-1))


def overlap(one_xyxy: NDArray[Any], other_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return what boxes (…,4) share with others (…,4), over what both cover together: 0…1 (…)."""
    shared = shared_px(one_xyxy, other_xyxy)
    return np.asarray(shared / np.maximum(area_px(one_xyxy) + area_px(other_xyxy) - shared, 1e-9))


def nearness_px(box_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return what grows as somebody comes nearer, for boxes (…,4): how low they stand, and how large they are."""
    y0, y1 = box_xyxy[..., 1].astype(np.float64), box_xyxy[..., 3].astype(np.float64)
    return np.asarray(y1 + _DEPTH_HEIGHTS * (y1 - y0))


def with_occlusion(people: Sequence[PersonBoxes]) -> tuple[PersonBoxes, ...]:
    """Return the same people, flagged where the box of one in front covers half of theirs or more."""
    hidden = [np.zeros(len(person.frame), dtype=bool) for person in people]
    for own, other in permutations(range(len(people)), 2):
        one, front = people[own], people[other]
        if one.frame[-1] < front.frame[0] or front.frame[-1] < one.frame[0]:
            continue
        _, rows, others = np.intersect1d(one.frame, front.frame, assume_unique=True, return_indices=True)
        if len(rows):
            hidden[own][rows] |= _is_hidden(one.box_xyxy[rows], front.box_xyxy[others])
    return tuple(replace(person, occluded=flags) for person, flags in zip(people, hidden, strict=True))


def _is_hidden(box_xyxy: NDArray[Any], other_xyxy: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of boxes (N,4) in rising frames whether the other one's (N,4) is in front and covers much."""
    covered = shared_px(box_xyxy, other_xyxy) > _HIDDEN_SHARE * area_px(box_xyxy)
    nearer = median_filter(nearness_px(other_xyxy) - nearness_px(box_xyxy), _DEPTH_FRAMES, mode="reflect")
    return np.asarray(covered & (nearer > 0))
