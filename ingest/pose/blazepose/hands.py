"""Both hands of one body over time: read side by side, and never two readings of one hand."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

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
