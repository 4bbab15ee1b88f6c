"""The mean of many rotations that a few wrong ones do not pull away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rotations import quat_normalize

Array = NDArray[np.float64]

_STEPS = 12
# Rotations nearer than this to the mean count in full even where all the others are nearer still, rad.
_LEAST_SCALE = 1e-9


def mean_turn(quat_xyzw: Array) -> Array:
    """Return the robust mean (…,4) of N unit quaternions (…,N,4), all finite.

    The mean of a set is the eigenvector of Σ w·q·qᵀ with the largest eigenvalue (Markley and others, "Averaging
    quaternions", 2007), whatever the quaternions' signs; weights are Cauchy's of the angle to the last mean over the
    median angle, so that what stands apart from most counts for little.
    """
    quat = quat_normalize(quat_xyzw)
    weight = np.ones(quat.shape[:-1])
    mean = _weighted(quat, weight)
    for _ in range(_STEPS):
        angle = angles_to(quat, mean)
        scale = np.maximum(np.median(angle, axis=-1, keepdims=True), _LEAST_SCALE)
        mean = _weighted(quat, 1.0 / (1.0 + (angle / scale) ** 2))
    return mean


def angles_to(quat_xyzw: Array, mean_xyzw: Array) -> Array:
    """Return the angles (…,N), radians, of unit quaternions (…,N,4) from the turn (…,4)."""
    mean = mean_xyzw[..., None, :]
    # Of the half-angle: the sine from the chord to the nearer sign, which keeps its digits where the cosine loses them.
    chord = np.minimum(np.linalg.norm(quat_xyzw - mean, axis=-1), np.linalg.norm(quat_xyzw + mean, axis=-1))
    return np.asarray(4.0 * np.arcsin(np.clip(chord / 2, 0.0, 1.0)))


def _weighted(quat: Array, weight: Array) -> Array:
    moment = np.einsum("...n,...ni,...nj->...ij", weight, quat, quat)
    return np.asarray(np.linalg.eigh(moment)[1][..., -1])
