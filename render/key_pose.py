"""Key poses of an upper body, told as an animator would: where an arm points, where it folds to, how far the trunk leans."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..convert.body import BODY_JOINTS, body_joint
from ..motion.rotations import matrix_to_quat, quat_inverse, quat_multiply, rotvec_to_quat

Array = NDArray[np.float64]
Direction = tuple[float, float, float]

LEFT_SIGN, RIGHT_SIGN = 1.0, -1.0
# Turning a forearm turns the elbow joint and the wrist joint alike, so that the skin does not wring.
_TWIST_AT_ELBOW = 0.6


@dataclass(frozen=True)
class Arm:
    """One arm, seen from the chest; directions are (outward, up, forward) and need not be unit. Angles in radians."""

    upper: Direction = (0.16, -1.0, 0.0)
    """Where the upper arm points."""
    fold: Direction = (-0.3, 0.0, 1.0)
    """Where the forearm goes as the elbow closes."""
    flexion: float = 0.32
    """How far the elbow is closed; 0 is straight."""
    twist: float = 0.0
    """Turn of the forearm; positive turns the palm of a hanging arm to the front."""
    wrist: float = 0.05
    """How far the hand bends toward its palm."""
    curl: float = 0.25
    """How far the fingers are closed: 0 straight, 1 a fist."""
    swing: float = 1.0
    """How much of the walk's swing the arm follows."""


@dataclass(frozen=True)
class Pose:
    """An upper body and what the hips add to standing. Angles in radians, lengths in metres of a body with 0.9 m legs."""

    left: Arm = field(default_factory=Arm)
    right: Arm = field(default_factory=Arm)
    lean: float = 0.02
    """The trunk bends forward."""
    side: float = 0.0
    """The trunk bends to its left."""
    twist: float = 0.0
    """The chest turns to its left."""
    look: float = 0.0
    """The head turns to its left."""
    nod: float = 0.0
    """The head bends forward."""
    crouch_m: float = 0.0
    """The hips sink."""
    back_m: float = 0.0
    """The hips move backward over the feet."""
    shift_m: float = 0.0
    """The hips move to their left."""
    tip: float = 0.0
    """The hips tip forward."""
    turn: float = 0.0
    """The hips turn to their left over the feet."""

    def body_quats(self) -> Array:
        """Local rotations (22,4) of the canonical joints; the legs stay as in the T-pose."""
        quats = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (len(BODY_JOINTS), 1))
        quats[body_joint("pelvis")] = _turns(self.tip, self.turn, 0.0)
        for spine, share in (("spine_1", 0.3), ("spine_2", 0.35), ("spine_3", 0.35)):
            quats[body_joint(spine)] = _turns(share * self.lean, share * self.twist, -share * self.side)
        quats[body_joint("neck")] = _turns(0.4 * self.nod, 0.45 * self.look, 0.0)
        quats[body_joint("head")] = _turns(0.6 * self.nod, 0.55 * self.look, 0.0)
        for side, sign, arm in (("left", LEFT_SIGN, self.left), ("right", RIGHT_SIGN, self.right)):
            for joint, quat in _arm_quats(arm, sign).items():
                quats[body_joint(f"{side}_{joint}")] = quat
        return quats

    def amounts(self) -> Array:
        """What is not a rotation (7,): hips left, up, forward in metres; swing of left and right arm; curl of both hands."""
        return np.array([self.shift_m, -self.crouch_m, -self.back_m, self.left.swing, self.right.swing, self.left.curl, self.right.curl])


def _turns(about_x: float, about_y: float, about_z: float) -> Array:
    """Turn about Y, then X, then Z of what has turned: (4,)."""
    y, x, z = rotvec_to_quat(np.array([[0.0, about_y, 0.0], [about_x, 0.0, 0.0], [0.0, 0.0, about_z]]))
    return np.asarray(quat_multiply(quat_multiply(y, x), z))


def _frame(first: ArrayLike, second: ArrayLike) -> Array:
    """A rotation matrix whose first column is ``first`` and whose second lies with it in the plane of ``second``."""
    x = np.asarray(first, dtype=np.float64)
    x = x / np.linalg.norm(x)
    y = np.asarray(second, dtype=np.float64) - x * (x @ np.asarray(second))
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _arm_quats(arm: Arm, sign: float) -> dict[str, Array]:
    """Local rotations of clavicle, shoulder, elbow and wrist; ``sign`` is the side's direction along X."""
    mirror = np.array([sign, 1.0, 1.0])
    upper = mirror * arm.upper / np.linalg.norm(arm.upper)
    outward, hinge = np.array([sign, 0.0, 0.0]), np.array([0.0, -sign, 0.0])
    shoulder = _frame(upper, np.cross(upper, mirror * arm.fold)) @ _frame(outward, hinge).T
    raised = 0.3 * max(0.0, np.arcsin(upper[1]) + 0.5)
    clavicle = rotvec_to_quat(np.array([0.0, -0.2 * sign * upper[2], sign * raised]))
    bend = rotvec_to_quat(hinge * arm.flexion)
    # Mirrored, a turn about X stays what it is.
    shares = np.array([_TWIST_AT_ELBOW, 1.0 - _TWIST_AT_ELBOW])
    fore_twist, hand_twist = rotvec_to_quat(shares[:, None] * [-arm.twist, 0.0, 0.0])
    return {
        "clavicle": clavicle,
        "shoulder": np.asarray(quat_multiply(quat_inverse(clavicle), matrix_to_quat(shoulder))),
        "elbow": np.asarray(quat_multiply(bend, fore_twist)),
        "wrist": np.asarray(quat_multiply(hand_twist, rotvec_to_quat(np.array([0.0, 0.0, -sign * arm.wrist])))),
    }
