"""Quaternions that interpolate the short way: neighbours in time on the same side of the sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..motion.rotations import quat_continuous


def same_side(quat_xyzw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rotations (F,J,4) with signs chosen so that neighbours in time are near each other.

    Nothing is copied where they already are, as in every take of ours.
    """
    steps = np.einsum("fjk,fjk->fj", quat_xyzw[1:], quat_xyzw[:-1])
    return quat_continuous(quat_xyzw).astype(np.float32) if (steps < 0).any() else quat_xyzw
