"""Limbs of two bones by inverse kinematics that changes no more than it must: the limb keeps the plane in which it bends.

A bone's turn is that of its frame as `limb_frames` draws it: the bone lies along the frame's first axis and the next one
folds toward its second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_apply, quat_between, quat_multiply

Array = NDArray[np.float64]

_ALONG, _FOLD = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
# A limb whose middle stands out by less than this share of its first bone hardly says to which side: 2 mm of a thigh.
_NEARLY_STRAIGHT = 0.005


def hinged(near_xyzw: Array, far_xyzw: Array) -> Array:
    """Return the far bones' turns (F,4), those that bend backward mirrored to bend forward by as much.

    The limb's reach stays what it is, and at the straight limb both meet, so that the change is continuous.
    """
    fold, bone = quat_apply(near_xyzw, _FOLD), quat_apply(far_xyzw, _ALONG)
    backward = np.minimum(np.sum(fold * bone, axis=-1, keepdims=True), 0.0)
    if not backward.any():
        return far_xyzw
    return np.asarray(quat_multiply(quat_between(bone, bone - 2.0 * backward * fold), far_xyzw))


def reach_for(near_xyzw: Array, far_xyzw: Array, lengths_m: tuple[float, float], goal_m: Array) -> tuple[Array, Array]:
    """Return the turns (F,4) of both bones that bring the limb's end to ``goal_m`` (F,3), seen from the limb's start.

    The limb is swung the short way and bent in its own plane (law of cosines). A goal out of reach is pointed at.
    """
    first, second = lengths_m
    upper, lower = quat_apply(near_xyzw, _ALONG) * first, quat_apply(far_xyzw, _ALONG) * second
    swing = quat_between(upper + lower, goal_m)
    near, far = quat_multiply(swing, near_xyzw), quat_multiply(swing, far_xyzw)
    upper, lower = quat_apply(swing, upper), quat_apply(swing, lower)
    wanted = np.linalg.norm(goal_m, axis=-1, keepdims=True)
    toward = goal_m / np.maximum(wanted, 1e-12)
    distance = np.clip(wanted, abs(first - second) + 1e-9, first + second)
    along = (first**2 - second**2 + distance**2) / (2.0 * distance)
    middle = toward * along + _aside(upper, near, toward) * np.sqrt(np.maximum(first**2 - along**2, 0.0))
    return (np.asarray(quat_multiply(quat_between(upper, middle), near)),
            np.asarray(quat_multiply(quat_between(lower, toward * distance - middle), far)))


def _aside(upper: Array, near_xyzw: Array, toward: Array) -> Array:
    """The unit direction (F,3), square to ``toward``, in which the limb's middle stands out.

    Where the limb is nearly straight that says little, and the middle stands out opposite the fold.
    """
    out = upper - toward * np.sum(upper * toward, axis=-1, keepdims=True)
    away = -quat_apply(near_xyzw, _FOLD)
    away -= toward * np.sum(away * toward, axis=-1, keepdims=True)
    nearly = _NEARLY_STRAIGHT * np.linalg.norm(upper, axis=-1, keepdims=True)
    chosen = out * np.linalg.norm(out, axis=-1, keepdims=True) + away * nearly**2
    return np.asarray(chosen / np.maximum(np.linalg.norm(chosen, axis=-1, keepdims=True), 1e-300))
