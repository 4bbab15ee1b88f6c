"""Which joints of a rig are whose: the whole person's, a hand's, and those by which a body's motion is judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import local_matrices, local_to_world
from ...motion.rig import Rig
from ..body import BODY_JOINTS
from ..performance import Performance

Array = NDArray[np.float64]
Joints = NDArray[np.intp]


def joints_above(rig: Rig, joints: Joints) -> Joints:
    """Return the given joints and every one above them, parents first."""
    above: set[int] = set()
    for joint in joints:
        current = int(joint)
        while current >= 0 and current not in above:
            above.add(current)
            current = int(rig.joint_parents[current])
    return np.array(sorted(above), dtype=np.intp)


def root_joints(rig: Rig) -> Joints:
    """Return the pelvis and every joint above it: what turns and moves the whole person. Without a pelvis, the roots."""
    pelvis = rig.skeleton.semantic.get("pelvis")
    return np.flatnonzero(rig.joint_parents < 0) if pelvis is None else joints_above(rig, np.array([pelvis]))


def hand_joints(rig: Rig, side: str) -> Joints:
    """Return every joint below the wrist of ``side`` (left or right); none where the rig names no such wrist."""
    wrist = rig.skeleton.semantic.get(f"{side}_wrist")
    below = np.zeros(len(rig.joint_names), dtype=bool)
    for joint, parent in enumerate(rig.joint_parents):
        below[joint] = wrist is not None and parent >= 0 and (int(parent) == wrist or below[parent])
    return np.flatnonzero(below)


def body_places(performance: Performance) -> Array:
    """Return the world places (F,K,3), metres, of the joints that every body has; of all joints where the rig names less than two.

    The others, half of them fingers, are not computed, which saves the most of the time.
    """
    rig = performance.rig
    named = sorted(rig.skeleton.semantic[name] for name in BODY_JOINTS if name in rig.skeleton.semantic)
    wanted = np.array(named if len(named) > 1 else range(len(rig.joint_names)), dtype=np.intp)
    needed = joints_above(rig, wanted)
    row_of = {int(joint): row for row, joint in enumerate(needed)}
    parents = np.array([row_of.get(int(rig.joint_parents[joint]), -1) for joint in needed])
    scale = None if performance.scale is None else performance.scale[:, needed]
    local = local_matrices(performance.quat_xyzw[:, needed], performance.translation_m[:, needed], scale)
    T_world_joint = local_to_world(parents, local)
    return T_world_joint[..., :3, 3][:, [row_of[int(joint)] for joint in wanted]]
