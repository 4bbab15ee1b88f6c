"""Exponential means: each value draws the one before it along by a share, which may differ from frame to frame.

They lag. A file knows its future, though: run forward and back and averaged, what one way is late the other is early.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_continuous

Array = NDArray[np.float64]


def exponential_places(values: Array, share: Array) -> Array:
    """Return y (F,…,C) with y₀ = x₀ and y = y_before + share · (x − y_before), for shares that broadcast to (F,…)."""
    return _mean(values, share, unit=False)


def exponential_turns(quat_xyzw: Array, share: Array) -> Array:
    """Return turns (F,J,4), each the weighted chordal mean of the one before it and the given one; signs are continuous."""
    return _mean(quat_continuous(quat_xyzw), share, unit=True)


def both_ways(forward: Callable[[Array, Array], Array], values: Array, times_s: Array) -> Array:
    """Return the mean of a filter of values (F,…,C) and times (F,), and of the same filter on the reversed clip.

    Quaternions must be continuous in sign, and the filter must keep theirs; the mean of two is not of length 1.
    """
    return np.asarray((forward(values, times_s) + forward(values[::-1], -times_s[::-1])[::-1]) / 2)


def _mean(values: Array, share: Array, unit: bool) -> Array:
    share = np.broadcast_to(share.reshape(*share.shape, *[1] * (values.ndim - 1 - share.ndim)), values.shape[:-1])[..., None]
    mean = np.empty(values.shape)
    now = values[0]
    mean[0] = now
    for frame in range(1, len(values)):
        now = now + share[frame] * (values[frame] - now)
        if unit:
            now = now / np.maximum(np.sqrt(np.einsum("...c,...c->...", now, now)), 1e-12)[..., None]
        mean[frame] = now
    return mean
