"""SAM-Body4D's smoothing: what is nearly still is held, what moves is let alone, and in between only jumps are softened.

Its constants, on other ground: there the differences and means are of Euler parameters, which wrap, in batches of 64
frames that know nothing of each other, look back alone, and leave the camera's translation out. Here they are of turns,
the window of 64 frames goes along with each frame over the whole track, the mean runs both ways so that nothing lags, and
the root's place is smoothed too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # ndimage is loaded when it is first used: it takes a fifth of a second
from numpy.typing import NDArray

from ...motion.rotations import quat_continuous, quat_inverse, quat_multiply, quat_normalize, quat_to_rotvec
from .exponential import both_ways, exponential_places, exponential_turns
from .fill import whole_places, whole_turns

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Differences are told for one frame of the film that they were chosen on; so are the shares.
_FRAME_S = 1 / 30
_WINDOW_S = 64 * _FRAME_S
# A change of mind eases over so long, so that it is not seen as a pop.
_EASE_S = 9 * _FRAME_S


@dataclass(frozen=True)
class _Limits:
    """Below ``still`` (median and maximum of the differences) all is held; above ``moving`` nothing is touched."""

    still: tuple[float, float]
    still_share: float
    moving: tuple[float, float] = (np.inf, np.inf)
    jump_over_mean: float = 1.0
    jump_least: float = np.inf
    jump_share: float = 1.0


_BODY = _Limits(still=(0.08, 0.25), still_share=0.18, moving=(0.24, 0.75), jump_over_mean=2.2, jump_least=0.25, jump_share=0.09)
# The whole person's turn: held where still, else left alone.
_GLOBAL = _Limits(still=(0.02, 0.08), still_share=0.10)
# Its place, in metres, which they leave out: people who stand sway by less than 15 cm/s, and the slowest walk is faster.
_PLACE = _Limits(still=(0.005, 0.02), still_share=0.10)

GLOBAL_GROUP = 0


def adaptive_ema_turns(quat_xyzw: Array, times_s: Array, seen: Mask, group: NDArray[np.intp]) -> Array:
    """Return smoothed turns (F,J,4); joints of one ``group`` (J,) are judged together, by the root of their squares' sum.

    Group 0 is the whole person's turn and has limits of its own; body and hands are the others. ``seen`` is (F,) or (F,J),
    NaN counts as not seen, and gaps are crossed the short way first.
    """
    filled, _ = whole_turns(quat_xyzw, times_s, seen)
    if len(filled) < 3:
        return filled

    def forward(quat: Array, times: Array) -> Array:
        angle = np.linalg.norm(quat_to_rotvec(quat_multiply(quat_inverse(quat[:-1]), quat[1:])), axis=-1)
        share = np.ones(quat.shape[:2])
        for number in np.unique(group):
            together = np.sqrt((angle[:, group == number] ** 2).sum(1))
            share[:, group == number] = _shares(together, times, _GLOBAL if number == GLOBAL_GROUP else _BODY)[:, None]
        return exponential_turns(quat, share)

    return quat_continuous(quat_normalize(both_ways(forward, filled, times_s)))


def adaptive_ema_places(places_m: Array, times_s: Array, seen: Mask) -> Array:
    """Return smoothed places (F,N,3), metres, each judged by itself, as `adaptive_ema_turns` does the whole person's turn."""
    filled, _ = whole_places(places_m, times_s, seen)
    if len(filled) < 3:
        return filled

    def forward(places: Array, times: Array) -> Array:
        length = np.linalg.norm(np.diff(places, axis=0), axis=-1)
        return exponential_places(places, np.stack([_shares(each, times, _PLACE) for each in length.T], axis=1))

    return both_ways(forward, filled, times_s)


def _shares(difference: Array, times_s: Array, limits: _Limits) -> Array:
    """How much (F,) of each frame counts, from the differences (F-1,) between frames."""
    interval = np.diff(times_s)
    rate = difference * _FRAME_S / interval
    rate = np.concatenate([rate[:1], rate])
    usual = float(np.median(interval))
    window = 2 * (round(_WINDOW_S / usual) // 2) + 1  # odd, so that it is the same both ways
    median = scipy.ndimage.percentile_filter(rate, 50, size=window, mode="nearest")
    most, mean = scipy.ndimage.maximum_filter1d(rate, window, mode="nearest"), scipy.ndimage.uniform_filter1d(rate, window, mode="nearest")
    still = (median < limits.still[0]) & (most < limits.still[1])
    moving = (median >= limits.moving[0]) | (most >= limits.moving[1])
    held = scipy.ndimage.uniform_filter1d(np.where(still, limits.still_share, 1.0), 2 * (round(_EASE_S / usual) // 2) + 1, mode="nearest")
    jumps = ~moving & (rate > np.maximum(limits.jump_over_mean * mean, limits.jump_least))
    share = np.where(jumps, np.minimum(held, limits.jump_share), held)
    # What is left of the old value after a frame is a power of the time that went by.
    elapsed = np.concatenate([interval[:1], interval]) / _FRAME_S
    return np.asarray(1 - np.maximum(1 - share, 0.0) ** elapsed)
