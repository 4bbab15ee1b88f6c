"""A leg or an arm of two bones brought to a place: the law of cosines, in the plane in which the limb already bends.

Named for a leg; an arm is the same with shoulder, elbow and wrist. Bones keep their lengths, a limb that already is where
it should be does not change, and one that is asked for more than its length comes to it slowly, so that no knee pops.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import matrix_to_quat

Array = NDArray[np.float64]

# From this share of its full length on a limb lags behind what it is asked for, and reaches its length only in the limit.
SOFT_SHARE = 0.985
# A limb whose middle stands out by less than this share of its length does not say in which plane it bends.
_STRAIGHT_SHARE = 1e-3


def two_bone(hip_m: Array, knee_m: Array, ankle_m: Array, target_m: Array, knee_toward: Array | None = None) -> tuple[Array, Array]:
    """Return how thigh and shank must turn in the world, (F,4) xyzw each, to bring the ankle to a target; all places (F,3).

    Both turns come before what the bone already does, ``R_new = turn · R_old``, and the second is the shank's own, whole
    turn: what hangs on the knee turns by it alone. ``knee_toward`` (F,3) says to which side a straight limb gives; nothing
    means the world's +Z. The plane in which a bent limb bends turns only as far as the ankle takes it along. Targets
    out of reach are pointed at: the ankle stops at `reached_m` of the way.
    """
    thigh_m, shank_m = (np.linalg.norm(bone, axis=-1) for bone in (knee_m - hip_m, ankle_m - knee_m))
    to_ankle, to_target = ankle_m - hip_m, target_m - hip_m
    before_m = np.linalg.norm(to_ankle, axis=-1)
    length_m = reached_m(np.linalg.norm(to_target, axis=-1), before_m, thigh_m, shank_m)
    down = _unit(to_ankle, np.array([0.0, -1.0, 0.0]))
    toward = _unit(to_target, down)
    front = _front(knee_m - hip_m, down, thigh_m + shank_m, np.array([0.0, 0.0, 1.0]) if knee_toward is None else knee_toward)
    new_front = _carried(front, down, toward)
    along = (thigh_m**2 - shank_m**2 + length_m**2) / (2.0 * np.maximum(length_m, 1e-12))
    out = np.sqrt(np.maximum(thigh_m**2 - along**2, 0.0))
    knee = toward * along[..., None] + new_front * out[..., None]
    hinge, new_hinge = np.cross(front, down), np.cross(new_front, toward)
    return (_turn(knee_m - hip_m, hinge, knee, new_hinge),
            _turn(ankle_m - knee_m, hinge, toward * length_m[..., None] - knee, new_hinge))


def reached_m(wanted_m: Array, before_m: Array, thigh_m: Array, shank_m: Array) -> Array:
    """Return how long a limb becomes (F,) that is asked for ``wanted_m`` (F,) and was ``before_m`` (F,) long.

    Up to `SOFT_SHARE` of its full length, and up to what it was, it does what it is asked for; beyond, it comes to its
    full length as 1 - exp(-x) does. Never shorter than a limb folded up.
    """
    full = thigh_m + shank_m
    start = np.minimum(np.maximum(SOFT_SHARE * full, before_m), full)
    room = np.maximum(full - start, 1e-12)
    soft = start + room * -np.expm1(-np.maximum(wanted_m - start, 0.0) / room)
    return np.maximum(np.where(wanted_m > start, soft, wanted_m), np.abs(thigh_m - shank_m))


def _front(to_knee: Array, down: Array, length_m: Array, toward: Array) -> Array:
    """Unit directions (F,3), square to ``down``, in which the knee stands out; where it hardly does, ``toward`` counts more."""
    out = to_knee - down * np.sum(to_knee * down, axis=-1, keepdims=True)
    toward = np.broadcast_to(toward, out.shape)
    wish = _unit(toward - down * np.sum(toward * down, axis=-1, keepdims=True), _any_across(down))
    share = np.linalg.norm(out, axis=-1, keepdims=True) / (_STRAIGHT_SHARE * length_m[..., None])
    # What the wish adds dies out fast and smoothly, so that a leg on its way to straight never turns at once.
    mixed = _unit(out + wish * length_m[..., None] * _STRAIGHT_SHARE * np.exp(-(share**2)), wish)
    return _unit(mixed - down * np.sum(mixed * down, axis=-1, keepdims=True), wish)


def _carried(vectors: Array, start: Array, end: Array) -> Array:
    """Turn vectors (F,3) by the smallest rotation that brings unit ``start`` onto unit ``end``."""
    axis = np.cross(start, end)
    cosine = np.sum(start * end, axis=-1, keepdims=True)
    turned = vectors + np.cross(axis, vectors) + np.cross(axis, np.cross(axis, vectors)) / np.maximum(1.0 + cosine, 1e-9)
    # Opposite directions: half a turn about the vector itself will do, and leaves it where it is.
    return _unit(np.where(cosine < -1 + 1e-9, vectors, turned), vectors)


def _turn(old: Array, old_hinge: Array, new: Array, new_hinge: Array) -> Array:
    """Turns (F,4) that bring a bone (F,3) and the hinge (F,3), square to it or nearly, onto the new ones."""
    return matrix_to_quat(_frame(new, new_hinge) @ np.swapaxes(_frame(old, old_hinge), -1, -2))


def _frame(bone: Array, hinge: Array) -> Array:
    along = _unit(bone, np.array([0.0, -1.0, 0.0]))
    across = _unit(hinge - along * np.sum(hinge * along, axis=-1, keepdims=True), _any_across(along))
    return np.stack([along, across, np.cross(along, across)], axis=-1)


def _any_across(direction: Array) -> Array:
    helper = np.eye(3)[np.argmin(np.abs(direction), axis=-1)]
    return _unit(np.cross(direction, helper), helper)


def _unit(vectors: Array, otherwise: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-12, vectors / np.maximum(length, 1e-12), otherwise)
