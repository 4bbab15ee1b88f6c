"""Single values that stand out, and seams: what an estimator does for a frame or three, and a person never does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_continuous
from .fill import whole_places, whole_turns

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPIKE_FRAMES = 3
# A spike is at least so far from where its neighbours say it should be …
SPIKE_TURN_RAD, SPIKE_PLACE_M = np.radians(6), 0.03
# … and a seam so much more than the steps beside it.
POP_TURN_RAD, POP_PLACE_M = np.radians(1), 0.005
# Nobody goes out and back in less than this while still before and after. At low rates a single frame may still leap.
_LONGEST_S = 0.2
# How many times the usual residual of a joint (7.5 deviations of its noise), and how many times the steps beside it.
_OVER_NOISE, _OVER_STEPS = 4.0, 3.0


def mend_turns(quat_xyzw: Array, times_s: Array, seen: Mask, most_frames: int = SPIKE_FRAMES) -> tuple[Array, Mask]:
    """Return turns (F,J,4) with spikes replaced by the short way between their neighbours, and which (F,J) were spikes.

    A spike is up to ``most_frames`` values that all lie further from the line between their two neighbours than the
    neighbours lie from each other, than three times the steps before and after, and than the joint's own noise allows. So
    a fast move is none, and neither is a seam, where the motion goes on from somewhere else. Two spikes are told apart
    where two good frames lie between them; the first frame and the last can't be judged. ``seen`` is (F,) or (F,J).
    """
    filled, mask = whole_turns(quat_xyzw, times_s, seen)
    spiked = _spikes(_chords(filled), times_s, mask, SPIKE_TURN_RAD, most_frames)
    return whole_turns(filled, times_s, mask & ~spiked)[0], spiked


def mend_places(
    places_m: Array, times_s: Array, seen: Mask, most_frames: int = SPIKE_FRAMES, least_m: float = SPIKE_PLACE_M
) -> tuple[Array, Mask]:
    """Return places (F,N,C) with spikes of at least ``least_m`` replaced, and which (F,N) were spikes, as `mend_turns` does."""
    filled, mask = whole_places(places_m, times_s, seen)
    spiked = _spikes(filled, times_s, mask, least_m, most_frames)
    return whole_places(filled, times_s, mask & ~spiked)[0], spiked


def turn_pops(quat_xyzw: Array) -> Mask:
    """Tell for each step between frames (F-1,J) of whole turns (F,J,4) whether the motion goes on from somewhere else."""
    return _pops(_chords(quat_continuous(quat_xyzw)), POP_TURN_RAD)


def place_pops(places_m: Array) -> Mask:
    """Tell for each step between frames (F-1,N) of places (F,N,3), metres, whether it is a seam."""
    return _pops(places_m, POP_PLACE_M)


def _chords(quat_xyzw: Array) -> Array:
    """Quaternions as points whose distances are angles, nearly: a chord of the unit sphere is half of the angle there."""
    return 2.0 * quat_xyzw


def _distance(left: Array, right: Array) -> Array:
    """Lengths (…) of the differences; of quaternions (4 coordinates) with the signs that bring them together."""
    apart = np.linalg.norm(left - right, axis=-1)
    return np.asarray(np.minimum(apart, np.linalg.norm(left + right, axis=-1)) if left.shape[-1] == 4 else apart)


def _spikes(values: Array, times_s: Array, mask: Mask, least: float, most_frames: int) -> Mask:
    spiked, frames = np.zeros(mask.shape, dtype=bool), len(values)
    if frames < 4:
        return spiked
    noise, usual = _usual_residual(values, times_s, mask), float(np.median(np.diff(times_s)))
    step = _distance(values[1:], values[:-1])
    step = np.concatenate([step[:1] * 0, step, step[:1] * 0])  # step[i] leads to frame i; none leads from outside
    for length in range(1, min(most_frames, frames - 2) + 1):
        start, stop = values[: frames - length - 1], values[length + 1 :]
        residual = _run_residual(values, times_s, length)
        beside = np.maximum(step[: frames - length - 1], step[length + 2 :])
        limit = np.maximum(np.maximum(least, _OVER_NOISE * noise), np.maximum(_OVER_STEPS * beside, _distance(start, stop)))
        short = times_s[length + 1 :] - times_s[: frames - length - 1] <= max(_LONGEST_S, 3 * usual)
        found = (residual > limit) & short[:, None]
        for place in range(1, length + 1):
            spiked[place : place + len(found)] |= found
    return spiked & mask


def _run_residual(values: Array, times_s: Array, length: int) -> Array:
    """The least distance (F-length-1,J) of a run's values from the line between the frames before and after it."""
    count = len(values) - length - 1
    start, stop = values[:count], values[length + 1 :]
    if values.shape[-1] == 4:
        stop = np.where(np.sum(start * stop, axis=-1, keepdims=True) < 0, -stop, stop)
    least = np.full(start.shape[:2], np.inf)
    for place in range(1, length + 1):
        share = (times_s[place : place + count] - times_s[:count]) / (times_s[length + 1 :] - times_s[:count])
        least = np.minimum(least, _distance(values[place : place + count], start + (stop - start) * share[:, None, None]))
    return least


def _usual_residual(values: Array, times_s: Array, mask: Mask) -> Array:
    """The median residual (J,) of a joint's seen values from the line between their neighbours: its noise, mostly."""
    residual = np.sort(np.where(mask[1:-1], _run_residual(values, times_s, 1), np.inf), axis=0)
    count = mask[1:-1].sum(0)
    middle = np.take_along_axis(residual, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    return np.where(count > 0, middle, 0.0)


def _pops(values: Array, least: float) -> Mask:
    """Steps that differ from the mean of the steps beside them by far more than those from each other."""
    popped = np.zeros((max(len(values) - 1, 0), values.shape[1]), dtype=bool)
    if len(values) < 4:
        return popped
    step = np.diff(values, axis=0)
    excess = np.linalg.norm(step[1:-1] - (step[2:] + step[:-2]) / 2, axis=-1)
    beside = np.linalg.norm(step[2:] - step[:-2], axis=-1)
    usual = np.median(excess, axis=0)
    popped[1:-1] = excess > np.maximum(np.maximum(least, _OVER_NOISE * usual), _OVER_STEPS * beside)
    return popped
