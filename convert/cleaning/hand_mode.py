"""What becomes of hands, the noisiest part of any estimate: kept, smoothed, or held; and fingers kept to what fingers can do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import decompose
from ...motion.mean_turn import mean_turn
from ...motion.rig import Rig
from ...motion.rotations import quat_apply, quat_inverse, quat_multiply, quat_to_matrix, rotvec_to_quat
from ..body import FINGER_JOINTS, Body, body_joint
from .fill import whole_turns
from .gaussian import gaussian_turns
from .parts import hand_joints

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Flexion from the rest pose, degrees, about the finger's own hinge; positive closes the hand. Goniometer norms (American
# Academy of Orthopaedic Surgeons, "Joint Motion", 1965): knuckles bend 90 and overextend 45, middle joints bend 100, end
# joints 90 (80 at the thumb), the thumb's knuckle 50. A hand at rest is already bent by up to 20, so that much is added
# to the way back, and 10 to either end for people who are suppler than the norm.
FLEXION_DEG = {"cmc": (-40.0, 50.0), "mcp": (-55.0, 100.0), "pip": (-30.0, 110.0), "dip": (-30.0, 100.0), "ip": (-40.0, 90.0)}
THUMB_MCP_DEG = (-30.0, 70.0)
# Sideways: knuckles spread 20 to 25 to either side, the thumb's saddle 40; the others are hinges, with some give.
SPREAD_DEG = {"cmc": 50.0, "mcp": 30.0, "pip": 10.0, "dip": 10.0, "ip": 10.0}


def smooth_hands(rig: Rig, quat_xyzw: Array, times_s: Array, seen: Mask, sigma_s: float) -> Array:
    """Return turns (F,J,4) in which every joint below the wrists is averaged over a Gaussian of ``sigma_s``."""
    turns, hands = quat_xyzw.copy(), _both_hands(rig)
    turns[:, hands] = gaussian_turns(turns[:, hands], times_s, _of_joints(seen, hands), sigma_s)
    return turns


def still_hands(rig: Rig, quat_xyzw: Array, times_s: Array, seen: Mask) -> Array:
    """Return turns (F,J,4) in which every joint below the wrists holds what it was for most of the clip.

    A joint that was never seen holds its rest.
    """
    turns, hands = quat_xyzw.copy(), _both_hands(rig)
    filled, mask = whole_turns(turns[:, hands], times_s, _of_joints(seen, hands))
    still = decompose(rig.skeleton.rest_local[hands])[0]
    for row in np.flatnonzero(mask.any(0)):
        still[row] = mean_turn(filled[mask[:, row], row])
    turns[:, hands] = still
    return turns


def limit_fingers(rig: Rig, quat_xyzw: Array) -> tuple[Array, Mask]:
    """Return turns (F,J,4) with fingers inside `FLEXION_DEG` and `SPREAD_DEG` of their rest, and which (F,J) had not been.

    A finger's turn from its rest is taken apart into where it swings the bone and a twist about the bone: the swing is
    limited, the twist is kept. Raises `ReadError` where the rig does not name every joint of a body.
    """
    fingers = _Fingers.of(rig)
    rest = decompose(rig.skeleton.rest_local[fingers.joint])[0]
    turn = quat_multiply(quat_inverse(rest), quat_xyzw[:, fingers.joint])
    flexion, spread = fingers.angles(quat_apply(turn, fingers.bone))
    kept_flexion = np.clip(flexion, *np.radians(fingers.flexion_deg).T)
    kept_spread = np.clip(spread, -np.radians(fingers.spread_deg), np.radians(fingers.spread_deg))
    beyond = (np.abs(kept_flexion - flexion) > 1e-9) | (np.abs(kept_spread - spread) > 1e-9)
    twist = quat_multiply(quat_inverse(fingers.swing(flexion, spread)), turn)
    limited = quat_multiply(rest, quat_multiply(fingers.swing(kept_flexion, kept_spread), twist))
    turns, changed = quat_xyzw.copy(), np.zeros(quat_xyzw.shape[:2], dtype=bool)
    turns[:, fingers.joint] = np.where(beyond[..., None], limited, quat_xyzw[:, fingers.joint])
    changed[:, fingers.joint] = beyond
    return turns, changed


@dataclass(frozen=True, eq=False)
class _Fingers:
    """The finger joints of a rig that bend, N of them; directions are in each joint's own axes."""

    joint: NDArray[np.intp]  # (N,)
    bone: Array  # (N,3), unit, along the finger
    hinge: Array  # (N,3), unit, positive turns close the hand
    flexion_deg: Array  # (N,2)
    spread_deg: Array  # (N,)

    @classmethod
    def of(cls, rig: Rig) -> _Fingers:
        body = Body.of(rig)
        bends = np.flatnonzero((body.finger_index >= 0) & body.finger_axis.any(1))
        joint = body.finger_index[bends]
        # From the T-pose's axes, in which a body tells them, to the rig's rest, and from there to the joint's own.
        hand = np.array([body_joint(f"{FINGER_JOINTS[row].split('_')[0]}_wrist") for row in bends], dtype=np.intp)
        own = np.swapaxes(quat_to_matrix(decompose(body.T_world_rest[joint])[0]), 1, 2) @ np.swapaxes(body.R_canonical_rest[hand], 1, 2)
        bone, hinge = (np.einsum("nij,nj->ni", own, told[bends]) for told in (body.finger_direction, body.finger_axis))
        limits = [_limits(FINGER_JOINTS[row]) for row in bends]
        return cls(joint, bone, hinge, np.array([each[0] for each in limits]).reshape(-1, 2), np.array([each[1] for each in limits]))

    def angles(self, seen: Array) -> tuple[Array, Array]:
        """Flexion and spread (F,N), radians, that bring the bone to where it was ``seen`` (F,N,3)."""
        along, toward = np.sum(seen * self.bone, axis=-1), np.sum(seen * np.cross(self.hinge, self.bone), axis=-1)
        return np.arctan2(toward, along), np.arctan2(np.sum(seen * self.hinge, axis=-1), np.hypot(along, toward))

    def swing(self, flexion: Array, spread: Array) -> Array:
        """The turn (F,N,4) that spreads the bone toward the hinge, then bends it about the hinge."""
        aside = rotvec_to_quat(-spread[..., None] * np.cross(self.hinge, self.bone))
        return quat_multiply(rotvec_to_quat(flexion[..., None] * self.hinge), aside)


def _limits(finger_joint: str) -> tuple[tuple[float, float], float]:
    _, finger, joint = finger_joint.split("_")
    return THUMB_MCP_DEG if (finger, joint) == ("thumb", "mcp") else FLEXION_DEG[joint], SPREAD_DEG[joint]


def _both_hands(rig: Rig) -> NDArray[np.intp]:
    return np.concatenate([hand_joints(rig, side) for side in ("left", "right")])


def _of_joints(seen: Mask, joints: NDArray[np.intp]) -> Mask:
    return seen if seen.ndim == 1 else seen[:, joints]
