"""Hips that sink or rise for legs that are all but straight, by a law whose way back undoes the way there.

A leg's slack is how far the hips can rise before it is straight. Another body's feet and hips leave its legs more or less of
it from frame to frame; where the source's leg is nearly straight, none may be left. Hips that came down for such legs alone
would stay down on the way back, where there is slack enough, and nearly straight knees show each tenth of a millimetre. So of
two legs that belong together neither may lack much of what the other has: the hips give way for either, alike in both directions.
"""

from __future__ import annotations

import numpy as np
import scipy  # ndimage is loaded when it is first used: it takes a fifth of a second
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The leg with less slack keeps about this share of the mean of both; the hips begin to give way well before, and softly.
_LEAST = 0.7
# Standard deviation of the time over which hips go: knees come near to straight for moments, hips are slow.
_OVER_S = 0.1
# Each round leaves no more than 1 - _LEAST of the error: two centimetres become a hundredth of a micrometre.
_ROUNDS = 12


def hips_give(source_m: Array, target_m: Array, times_s: Array) -> Array:
    """Return how far hips sink (F,) from where their target's legs have the slack ``target_m`` (F,2); below zero they rise.

    ``source_m`` (F,2) is the slack that the target's legs would have as straight as the source's. With d what they lack of it,
    m the mean of both once hips have gone by s, w from 0 to 1 as m gets small beside d, and G a mean over time, it is
    ``s = G((w₁d₁ + w₂d₂) / (1 + w₁w₂))``. Carried back, d changes its sign and m does not: so does s.
    """
    lacking, sink = source_m - target_m, np.zeros(len(source_m))
    if len(times_s) < 2 or not lacking.any():
        return sink
    frames = _OVER_S / float(np.median(np.diff(times_s)))
    for _ in range(_ROUNDS):
        sink = scipy.ndimage.gaussian_filter1d(_given(lacking, target_m + (lacking + sink[:, None]) / 2), frames)
    return sink


def _given(lacking_m: Array, mean_m: Array) -> Array:
    """What hips give (F,) for what legs lack (F,2), whose mean slack of both bodies this is (F,2)."""
    ratio = lacking_m / (2 * (1 - _LEAST) * np.maximum(mean_m, 1e-9))
    share = 1.0 - 1.0 / np.sqrt(1.0 + ratio**2)
    return np.asarray(np.sum(share * lacking_m, axis=-1) / (1.0 + share[:, 0] * share[:, 1]))
