"""Smoothing that knows a fast move from noise: zero-phase, on SO(3), blind to what was not seen.

At each frame the motion is averaged over the widest window that tells nothing new: windows grow until the average leaves
the confidence interval of the narrower ones (the intersection-of-confidence-intervals rule, Goldenshluger and Nemirovski
1997; Katkovnik 1999). A still person is averaged over a third of a second, a punch over next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..motion.rotations import quat_inverse, quat_multiply, quat_normalize, quat_to_rotvec, rotvec_to_quat
from .cleaning.fill import whole_places, whole_turns

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SmoothOptions:
    """How jitter is taken out of a motion after the fit."""

    smooth: float = 1.0
    """Strength: 0 leaves the motion as it is, 1 is right for most clips, 2 is soft."""


# Standard deviations of the windows, seconds: from below a frame to as long as a gesture's hold.
_SIGMAS_S = (0.012, 0.022, 0.04, 0.07, 0.12, 0.2)
# How many deviations of the noise an average may stray before it is held to be motion.
_CONFIDENCE = 2.2
_BLOCK_VALUES = 500_000
_VALUES_AT_ONCE = 30_000


def smooth_turns(quat_xyzw: Array, times_s: Array, seen: Mask, options: SmoothOptions | None = None, least_s: float = 0.0) -> Array:
    """Smooth rotations (F,J,4); ``seen`` (F,) or (F,J) says which count. NaN counts as not seen; none comes out.

    ``least_s`` is the narrowest window's standard deviation, for values whose noise is not like a sensor's: it comes in
    bursts, so that a quiet moment says nothing of the next one.
    """
    options = options or SmoothOptions()
    filled, mask = whole_turns(quat_xyzw, times_s, seen)
    smoothed = np.empty(filled.shape)
    for some in _few_joints(*mask.shape):
        smoothed[:, some] = _smooth_turns(filled[:, some], times_s, mask[:, some], options.smooth, least_s)
    return smoothed


def smooth_places(places_m: Array, times_s: Array, seen: Mask, options: SmoothOptions | None = None) -> Array:
    """Smooth places (F,N,3), metres, as `smooth_turns` does rotations."""
    options = options or SmoothOptions()
    filled, mask = whole_places(places_m, times_s, seen)
    smoothed = np.empty(filled.shape)
    for some in _few_joints(*mask.shape):
        smoothed[:, some] = _smooth_places(filled[:, some], times_s, mask[:, some], options.smooth)
    return smoothed


def _few_joints(frames: int, joints: int) -> Iterator[slice]:
    """Joints are smoothed each on its own; as many at a time as long clips leave room for, at about 1 kB a value."""
    some = max(1, _VALUES_AT_ONCE // max(frames, 1))
    for start in range(0, joints, some):
        yield slice(start, start + some)


def _smooth_turns(filled: Array, times_s: Array, mask: Mask, strength: float, least_s: float) -> Array:
    if strength <= 0 or len(filled) < 3:
        return filled

    def around(frames: NDArray[np.intp], near: NDArray[np.intp]) -> Array:
        here = filled[frames][:, None]
        return quat_to_rotvec(quat_multiply(quat_inverse(here), filled[near]))

    return quat_normalize(quat_multiply(filled, rotvec_to_quat(_adaptive(around, times_s, mask, strength, least_s))))


def _smooth_places(filled: Array, times_s: Array, mask: Mask, strength: float) -> Array:
    if strength <= 0 or len(filled) < 3:
        return filled

    def around(frames: NDArray[np.intp], near: NDArray[np.intp]) -> Array:
        return np.asarray(filled[near] - filled[frames][:, None])

    return np.asarray(filled + _adaptive(around, times_s, mask, strength, 0.0))


def _adaptive(
    around: Callable[[NDArray[np.intp], NDArray[np.intp]], Array], times_s: Array, mask: Mask, strength: float, least_s: float
) -> Array:
    """Return the change (F,J,3) of every value toward the average over its widest honest window."""
    frames, joints = mask.shape
    dt = float(np.median(np.diff(times_s)))
    sigmas = [max(1e-3 * dt, least_s), *(sigma * strength for sigma in _SIGMAS_S if sigma * strength > max(0.45 * dt, least_s))]
    reach = min(int(np.ceil(2.5 * sigmas[-1] / dt)), frames - 1)
    noise = _noise(around, times_s, mask)
    change = np.zeros((frames, joints, 3))
    block = max(1, _BLOCK_VALUES // (joints * (2 * reach + 1) * 3))
    for start in range(0, frames, block):
        stop = min(start + block, frames)
        rows = np.arange(max(start - 2, 0), min(stop + 2, frames))
        near = np.clip(rows[:, None] + np.arange(-reach, reach + 1), 0, frames - 1)
        inside = rows[:, None] + np.arange(-reach, reach + 1) == near
        values = around(rows, near)  # (B,2R+1,J,3)
        lag = (times_s[near] - times_s[rows][:, None])[..., None]
        means, widest = _averages(values, lag, inside[..., None] & mask[near], sigmas, noise)
        change[start:stop] = _picked(means, _eased(widest))[start - rows[0]:stop - rows[0]]
    return change


def _averages(values: Array, lag_s: Array, counts: Mask, sigmas: list[float], noise: Array) -> tuple[Array, Array]:
    """Average ``values`` (B,W,J,3) at lags (B,W,1) over each window: means (S,B,J,3), and the widest honest window (B,J)."""
    means = np.zeros((len(sigmas), len(values), *values.shape[2:]))
    low = high = np.zeros(0)
    alive, widest = np.zeros(0, dtype=bool), np.zeros(0)
    for row, sigma in enumerate(sigmas):
        weight = _quadratic_weights(lag_s, sigma, counts)
        means[row] = np.einsum("bwj,bwjc->bjc", weight, values)
        spread = _CONFIDENCE * noise * np.sqrt((weight**2).sum(1))[..., None]
        if row == 0:
            low, high = means[row] - spread, means[row] + spread
            alive, widest = np.ones(weight.shape[::2], dtype=bool), np.zeros(weight.shape[::2])
            continue
        low, high = np.maximum(low, means[row] - spread), np.minimum(high, means[row] + spread)
        alive &= (low <= high).all(-1)
        widest[alive] = row
    return means, widest


def _quadratic_weights(lag_s: Array, sigma: float, counts: Mask) -> Array:
    """Weights (B,W,J) of a local quadratic fit under a Gaussian window: an arc passes through unharmed, peaks are kept.

    The odd moment is left in: a window that is cut at the clip's ends falls back on what it has.
    """
    gauss = np.exp(-0.5 * (lag_s / sigma) ** 2) * counts
    square = (lag_s / sigma) ** 2
    m0, m2, m4 = (np.sum(gauss * square**power, axis=1, keepdims=True) for power in range(3))
    determinant = m0 * m4 - m2**2
    # A full window has a determinant of 2; one with gaps is too thin for a parabola, which would swing through its noise.
    parabola = determinant > 0.3 * m0**2
    weight = np.where(parabola, gauss * (m4 - m2 * square) / np.where(parabola, determinant, 1.0), gauss / np.maximum(m0, 1e-12))
    return np.asarray(weight)


def _picked(means: Array, window: Array) -> Array:
    """The averages (B,J,3) at a window that may lie between two of the sizes."""
    lower = np.minimum(np.floor(window).astype(int), len(means) - 1)
    upper = np.minimum(lower + 1, len(means) - 1)
    share = (window - lower)[..., None]
    frames, joints = np.indices(window.shape)
    return np.asarray(means[lower, frames, joints] * (1 - share) + means[upper, frames, joints] * share)


def _noise(around: Callable[[NDArray[np.intp], NDArray[np.intp]], Array], times_s: Array, mask: Mask) -> Array:
    """Standard deviation of the noise (J,1) of each joint, a coordinate: from third differences, which motion hardly has."""
    frames = len(mask)
    if frames < 4:
        return np.full((mask.shape[1], 1), 1e-9)
    rows = np.arange(frames - 3)
    four = rows[:, None] + np.arange(4)
    weight = _third_difference(times_s[four])
    # Seen from either of the middle frames, so that a clip played backward has the same noise.
    third = np.stack([np.einsum("fw,fwjc->fjc", weight, around(rows + middle, four)) for middle in (1, 2)], axis=-1)
    whole = np.asarray(mask[four].all(1))
    third = np.where(whole[..., None, None], np.abs(third), np.nan)
    # The median of |N(0,1)| is 0.6745. The quieter part of the clip (the 35th percentile, 0.4538) tells noise from motion
    # where there is much of both.
    return np.asarray(np.maximum(_nan_quantile(third, 0.35) / 0.4538, 1e-9))


def _third_difference(times_s: Array) -> Array:
    """Weights (F,4) for values at four times (F,4) that take out any parabola and leave white noise its deviation.

    At even times 1 -3 3 -1, over √20: Lagrange's divided differences are these for uneven times.
    """
    apart = times_s[:, :, None] - times_s[:, None, :] + np.eye(4)
    weight = 1 / apart.prod(axis=-1)
    return np.asarray(weight / np.linalg.norm(weight, axis=-1, keepdims=True))


def _nan_quantile(values: Array, share: float) -> Array:
    """The quantile over frames and coordinates (J,1), NaN left out; a joint that has none gives 0."""
    flat = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    ordered = np.sort(flat, axis=1)
    count = np.isfinite(flat).sum(1)
    index = np.clip((share * count).astype(int), 0, max(flat.shape[1] - 1, 0))
    picked = np.take_along_axis(ordered, index[:, None], axis=1)
    return np.where(count[:, None] > 0, picked, 0.0)


def _eased(window: Array) -> Array:
    """Ease the choice of window from frame to frame (1-2-1), so that a change of window is not seen as a pop."""
    if len(window) < 3:
        return window
    eased = window.copy()
    eased[1:-1] = np.minimum(window[1:-1], 0.25 * window[:-2] + 0.5 * window[1:-1] + 0.25 * window[2:])
    return eased
