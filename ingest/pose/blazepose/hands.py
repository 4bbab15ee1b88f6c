"""Both hands of one body over time: read side by side, and never two readings of one hand."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...rows import Rows
from ...tracks import HAND_LANDMARK_COUNT
from ..body_pose import WRISTS, BodyPose
from .hand import HandNet, HandPose, LastHand, same_hand

Hands = tuple[HandPose | None, HandPose | None]
"""The person's left and right hand, where they are seen."""


class HandsNet:
    """Two hand nets, one a side, on a thread each; serves any number of bodies, one after another."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._nets = (HandNet(), HandNet())

    def __call__(self, image_bgr: NDArray[np.uint8], body: BodyPose, last: HandsMemory, turn: int) -> Hands:
        """Return the body's hands in a picture; ``last`` is where they were in the one before, or empty."""
        left_last, right_last = last
        right = self._threads.submit(self._nets[1], image_bgr, body, 1, right_last, turn)
        return _distinct(self._nets[0](image_bgr, body, 0, left_last, turn), right.result(), body)


HandsMemory = tuple[LastHand | None, LastHand | None]
NO_MEMORY: HandsMemory = (None, None)


def remember(hands: Hands, body: BodyPose) -> HandsMemory:
    """Return what the next picture needs to know of this one's hands."""
    left, right = (None if hand is None else LastHand(hand, body.points_px[WRISTS[side]]) for side, hand in enumerate(hands))
    return left, right


def _distinct(left: HandPose | None, right: HandPose | None, body: BodyPose) -> Hands:
    """Leave out the less likely of two readings that are of the same hand."""
    if left is None or right is None or not same_hand(left, right):
        return left, right
    left_gap = float(np.linalg.norm(left.points_px[0] - body.points_px[WRISTS[0]]))
    right_gap = float(np.linalg.norm(right.points_px[0] - body.points_px[WRISTS[1]]))
    total = max(left_gap + right_gap, 1e-6)
    left_fit = left.score * left.sidedness(0) + right_gap / total
    right_fit = right.score * right.sidedness(1) + left_gap / total
    return (left, None) if left_fit >= right_fit else (None, right)


_LAYOUT = np.dtype([
    ("sighting", np.int32), ("points_px", np.float32, (2, HAND_LANDMARK_COUNT, 2)), ("points_m", np.float32, (2, HAND_LANDMARK_COUNT, 3)),
    ("score", np.float32, (2,)), ("sidedness", np.float32, (2,)),
])


class HandsLog:
    """The hands of a clip, packed; a body of which no hand was seen takes no room."""

    def __init__(self) -> None:
        self._rows = Rows(_LAYOUT)

    def add(self, sighting: int, hands: Hands) -> None:
        """Keep the hands of a body, if any was seen; ``sighting`` is the body's row among the clip's sightings."""
        if any(hands):
            self._rows.add(sighting, *zip(*(_numbers(hand, side) for side, hand in enumerate(hands)), strict=True))

    def column(self, name: str, sightings: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return ``points_px``, ``points_m``, ``score`` or ``sidedness`` of the hands of N sightings as (N,2,…).

        A hand that was not seen has a score of 0, and is NaN else.
        """
        values = np.full((len(sightings), *_LAYOUT[name].shape), 0.0 if name == "score" else np.nan, dtype=np.float32)
        _, at, rows = np.intersect1d(sightings, self._rows.column("sighting"), assume_unique=True, return_indices=True)
        values[at] = self._rows.column(name, rows)
        return values


def _numbers(hand: HandPose | None, side: int) -> tuple[Any, ...]:
    if hand is None:
        return np.full((HAND_LANDMARK_COUNT, 2), np.nan), np.full((HAND_LANDMARK_COUNT, 3), np.nan), 0.0, np.nan
    return hand.points_px, hand.points_m, hand.score, hand.sidedness(side)
