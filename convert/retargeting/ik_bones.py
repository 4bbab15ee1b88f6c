"""Unreal's IK bones: joints beside the body that copy hands and feet, so that a game can move those without the limbs above."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import decompose, world_to_local
from ...motion.rig import Rig
from ..performance import Performance

Floats = NDArray[np.float64]

IK_TARGETS: Mapping[str, str] = {
    "ik_foot_l": "foot_l", "ik_foot_r": "foot_r", "ik_hand_gun": "hand_r", "ik_hand_l": "hand_l", "ik_hand_r": "hand_r",
}
"""From each IK bone to the joint that it copies; what a right hand holds goes with that hand."""


def with_ik_bones(performance: Performance) -> Performance:
    """Return the same motion with every IK bone on the joint that it copies; the same performance where the rig has none."""
    rig = performance.rig
    if not _copies(rig):
        return performance
    local = world_to_local(rig.joint_parents, with_ik_frames(rig, performance.T_world_joint))
    copies = list(_copies(rig))
    quat_xyzw, translation_m = performance.quat_xyzw.copy(), performance.translation_m.copy()
    quat_xyzw[:, copies], translation_m[:, copies], _ = decompose(local[:, copies])
    return performance.with_turns(quat_xyzw, translation_m)


def with_ik_frames(rig: Rig, T_world_joint: Floats) -> Floats:
    """Return world transforms (…,J,4,4) in which the IK bones of ``rig`` are where the joints that they copy are."""
    copies = _copies(rig)
    T_world = T_world_joint.copy()
    T_world[..., list(copies), :, :] = T_world_joint[..., list(copies.values()), :, :]
    return T_world


def _copies(rig: Rig) -> dict[int, int]:
    index = {name: number for number, name in enumerate(rig.joint_names)}
    return {index[name]: index[target] for name, target in IK_TARGETS.items() if name in index and target in index}
