"""IK bones: on the joints that they copy in every frame, and nothing else moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from rigdrop.convert.performance import rest_performance
from rigdrop.convert.retargeting.ik_bones import IK_TARGETS, with_ik_bones
from rigdrop.motion.kinematics import world_to_local
from rigdrop.motion.rig import Rig, Skeleton

from .bodies import humanoid

NAMES = {"bone_left_ankle": "foot_l", "bone_right_ankle": "foot_r", "bone_left_wrist": "hand_l", "bone_right_wrist": "hand_r"}
PARENTS = {"ik_foot_root": 0, "ik_foot_l": "ik_foot_root", "ik_foot_r": "ik_foot_root", "ik_hand_root": 0, "ik_hand_gun": "ik_hand_root",
           "ik_hand_l": "ik_hand_gun", "ik_hand_r": "ik_hand_gun"}


def _with_bones() -> Rig:
    """The stick figure with Unreal's IK bones hung on its root, all at the origin."""
    rig = humanoid()
    names = [NAMES.get(name, name) for name in rig.joint_names] + list(PARENTS)
    parents = [*rig.joint_parents.tolist(), *(names.index(above) if isinstance(above, str) else above for above in PARENTS.values())]
    bind_world = np.concatenate([rig.bind_world, np.tile(np.eye(4), (len(PARENTS), 1, 1))])
    skeleton = Skeleton(tuple(names), np.array(parents), world_to_local(np.array(parents), bind_world), rig.skeleton.semantic)
    return replace(rig, skeleton=skeleton, bind_world=bind_world)


def test_hands_and_feet_are_copied_in_every_frame_and_the_body_stays():
    rig = _with_bones()
    rest = rest_performance(rig, np.arange(6) / 30)
    rng = np.random.default_rng(3)
    turns = Rotation.from_rotvec(rng.normal(0, 0.5, (6 * len(rig.joint_names), 3))).as_quat().reshape(6, -1, 4)
    motion = rest.with_turns(turns)
    after = with_ik_bones(motion)
    index = {name: number for number, name in enumerate(rig.joint_names)}
    for name, target in {"ik_foot_l": "foot_l", "ik_foot_r": "foot_r", "ik_hand_gun": "hand_r", "ik_hand_l": "hand_l",
                         "ik_hand_r": "hand_r"}.items():
        np.testing.assert_allclose(after.T_world_joint[:, index[name]], motion.T_world_joint[:, index[target]], atol=1e-12)
    others = [number for name, number in index.items() if name not in IK_TARGETS]
    np.testing.assert_array_equal(after.T_world_joint[:, others], motion.T_world_joint[:, others])


def test_a_rig_without_them_is_left_alone():
    motion = rest_performance(humanoid(), np.arange(2.0))
    assert with_ik_bones(motion) is motion
