"""A Gaussian over the whole clip: the plainest smoothing, and enough to close the seams between an estimator's batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ...motion.rotations import quat_continuous, quat_normalize
from .fill import whole_places, whole_turns

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Beyond so many deviations a Gaussian weighs less than 0.3 % of its middle. A hair more, so that a frame that lies there
# counts on both sides, whatever its time is rounded to.
_REACH = 3.5 + 1e-6


def gaussian_turns(quat_xyzw: Array, times_s: Array, seen: Mask, sigma_s: float) -> Array:
    """Return turns (F,J,4) averaged over a Gaussian window of deviation ``sigma_s``; gaps are crossed the short way first.

    The average is the chordal mean of the window (Markley et al., "Averaging quaternions", 2007) with the signs that make
    the path continuous. ``seen`` is (F,) or (F,J); NaN counts as not seen.
    """
    filled, _ = whole_turns(quat_xyzw, times_s, seen)
    return quat_continuous(quat_normalize(_averaged(filled, times_s, sigma_s)))


def gaussian_places(places_m: Array, times_s: Array, seen: Mask, sigma_s: float) -> Array:
    """Return places (F,N,C) averaged over a Gaussian window, as `gaussian_turns` does turns."""
    filled, _ = whole_places(places_m, times_s, seen)
    return _averaged(filled, times_s, sigma_s)


def frames_to_seconds(frames: float, times_s: Array) -> float:
    """How long so many frames last at the clip's usual rate."""
    return float(frames * np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0


def _averaged(values: Array, times_s: Array, sigma_s: float) -> Array:
    if sigma_s <= 0 or len(values) < 2:
        return values
    averaged = gaussian_weights(times_s, sigma_s) @ values.reshape(len(values), -1)
    return np.asarray(averaged).reshape(values.shape)


def gaussian_weights(times_s: Array, sigma_s: float) -> csr_array:
    """Return the weights (F,F) of each frame's average, rows that sum to 1.

    A straight line under a Gaussian window: where frames lie evenly to both sides this is the Gaussian itself; at the
    clip's ends, and where times are uneven, steady motion still passes through as it is.
    """
    frames = np.arange(len(times_s))
    first = np.searchsorted(times_s, times_s - _REACH * sigma_s)
    count = np.searchsorted(times_s, times_s + _REACH * sigma_s, side="right") - first
    starts = np.concatenate([[0], np.cumsum(count)])
    row = np.repeat(frames, count)
    near = np.arange(starts[-1]) - starts[row] + first[row]
    lag = (times_s[near] - times_s[row]) / sigma_s
    gauss = np.exp(-0.5 * lag**2)
    m0, m1, m2 = (np.add.reduceat(gauss * lag**power, starts[:-1]) for power in range(3))
    # A frame that is alone in its window has no line through it: the determinant is 0, and it stays as it is.
    alone = count < 2
    determinant = np.where(alone, 1.0, m0 * m2 - m1**2)
    weight = gauss * np.where(alone[row], 1.0, (m2[row] - m1[row] * lag) / determinant[row])
    return csr_array((weight, near, starts), shape=(len(times_s), len(times_s)))
