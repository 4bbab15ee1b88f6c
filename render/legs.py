"""Legs by inverse kinematics: two bones from a hip to an ankle, the knee to the front."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..motion.rotations import matrix_to_quat

Array = NDArray[np.float64]

# A leg is never quite straight: there the knee's angle jumps for the least step of the ankle.
_STRAIGHTEST = 0.9995


def solve_leg(hip_m: Array, ankle_m: Array, forward: Array, thigh_m: float, shank_m: float) -> tuple[Array, Array]:
    """World turns (F,4) of thigh and shank, away from straight down, that bring the ankle (F,3) to its place.

    ``forward`` (F,3) is the side to which the knee gives. A place out of reach is pointed at.
    """
    to_ankle = ankle_m - hip_m
    distance = np.linalg.norm(to_ankle, axis=1, keepdims=True)
    down = to_ankle / distance
    length = np.clip(distance, abs(thigh_m - shank_m) + 1e-4, _STRAIGHTEST * (thigh_m + shank_m))
    front = forward - down * np.sum(forward * down, axis=1, keepdims=True)
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    along = (thigh_m**2 - shank_m**2 + length**2) / (2.0 * length)
    knee = down * along + front * np.sqrt(np.maximum(thigh_m**2 - along**2, 0.0))
    hinge = np.cross(-down, front)
    return _bone_turn(knee, hinge), _bone_turn(down * length - knee, hinge)


def _bone_turn(bone: Array, hinge: Array) -> Array:
    """Turns (F,4) that bring -Y onto a bone (F,3) and +X onto its hinge (F,3), which is square to it."""
    up = -bone / np.linalg.norm(bone, axis=1, keepdims=True)
    return matrix_to_quat(np.stack([hinge, up, np.cross(hinge, up)], axis=-1))
