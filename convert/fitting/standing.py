"""Which soles stand, told from a first solve: by how they move across the picture, how high they are, and that somebody must.

One camera knows depth least. A first solve lets whole bodies drift along the line of sight at the speed of a slow swing, so
that motion counts less there; a foot that steps toward the camera still rises and comes down the picture.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..stance.contacts import runs_of

Array = NDArray[np.float64]

# A sole that moves slower than the first speed stands, faster than the second does not, metres a second; the speed along the
# line of sight counts by this share.
_STANDING_M_S, _ALONG_SHARE = (0.25, 0.5), 0.42
# A sole lower than the first height over the ground may stand, higher than the second does not: heels are lifted slowly.
_STANDING_M = (0.04, 0.08)
# A foot whose place jumps within a stance, as where legs cross in the picture, does so for no longer.
_JUMP_S = 0.35
_SURE = 0.5


def standing(soles_m: Array, times_s: Array) -> Array:
    """Tell how surely each sole (F,4,3; camera axes, metres) stands from a frame to the next: (F,4), 0…1, the last as the one before."""
    velocity = np.diff(soles_m, axis=0) / np.diff(times_s)[:, None, None]
    sight = soles_m[1:] / np.maximum(np.linalg.norm(soles_m[1:], axis=-1, keepdims=True), 1e-9)
    along = np.sum(velocity * sight, axis=-1)
    across = np.linalg.norm(velocity - along[..., None] * sight, axis=-1)
    sure = _falling(np.hypot(across, _ALONG_SHARE * along), _STANDING_M_S)
    return np.concatenate([sure, sure[-1:]])


def standing_on(sure: Array, height_m: Array, times_s: Array) -> Array:
    """Return what `standing` told (F,4), once it is known how high each sole is over the ground (F,4), metres.

    What is high does not stand. Where nothing stands for a moment, the foot stands that did before and does again, and
    stayed low between: its place jumped, and nobody flies so low.
    """
    sure = sure * _falling(np.maximum(height_m, np.concatenate([height_m[1:], height_m[-1:]])), _STANDING_M)
    stands = sure > _SURE
    nobody = np.asarray(~stands.any(axis=1))
    for sole in range(sure.shape[1]):
        for (_, end), (start, _) in pairwise(runs_of(stands[:, sole])):
            low = height_m[end:start + 1, sole].max() < _STANDING_M[1]
            if low and times_s[start] - times_s[end] <= _JUMP_S and nobody[end:start].mean() > _SURE:
                sure[end:start, sole] = 1.0
    return sure


def _falling(values: Array, limits: tuple[float, float]) -> Array:
    """1 up to the lower limit, 0 from the upper on, a line between."""
    low, high = limits
    return np.asarray(np.clip((high - values) / (high - low), 0.0, 1.0))
