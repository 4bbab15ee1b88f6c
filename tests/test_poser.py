"""World turns and places, joint by joint, against the matrices of `motion.kinematics`."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from rigdrop.convert.retargeting.poser import Poser
from rigdrop.motion.kinematics import local_to_world, world_transforms

from .bodies import humanoid

RIG = humanoid()
JOINTS = len(RIG.joint_names)


def _random(frames: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    quat = Rotation.random(frames * JOINTS, random_state=3).as_quat().reshape(frames, JOINTS, 4)
    return quat, rng.normal(size=(frames, JOINTS, 3)), rng.uniform(0.7, 1.4, (frames, JOINTS))


def test_a_moving_skeleton_is_where_its_matrices_say():
    quat, translation, scale = _random()
    poser = Poser.of_motion(RIG.skeleton, quat, translation, scale)
    T_world_joint = world_transforms(RIG, quat, translation, scale)
    for joint in range(JOINTS):
        # Scales multiply down the tree: up to 1.4 to the twelfth power.
        np.testing.assert_allclose(poser.place(joint), T_world_joint[:, joint, :3, 3], rtol=1e-9, atol=1e-9)
        turn = T_world_joint[:, joint, :3, :3] / np.cbrt(np.linalg.det(T_world_joint[:, joint, :3, :3]))[:, None, None]
        np.testing.assert_allclose(Rotation.from_quat(poser.turn(joint)).as_matrix(), turn, atol=1e-9)


def test_what_nothing_was_said_of_rests_on_its_parent():
    poser, rest = Poser(RIG.skeleton), local_to_world(RIG.joint_parents, RIG.skeleton.rest_local)
    knee, foot = (RIG.skeleton.semantic[f"left_{name}"] for name in ("knee", "foot"))
    about = Rotation.from_rotvec([[0.5, 0, 0], [0, 0.7, 0]])
    poser.turn_to(knee, (about * Rotation.from_matrix(rest[knee, :3, :3])).as_quat())
    np.testing.assert_allclose(poser.place(foot), rest[knee, :3, 3] + about.apply(rest[foot, :3, 3] - rest[knee, :3, 3]), atol=1e-12)
    np.testing.assert_allclose(Rotation.from_quat(poser.turned(foot)).as_rotvec(), about.as_rotvec(), atol=1e-9)
    quat = poser.locals(2)
    translation = np.tile(RIG.skeleton.rest_local[:, :3, 3], (2, 1, 1))
    np.testing.assert_allclose(world_transforms(RIG, quat, translation)[:, foot, :3, 3], poser.place(foot), atol=1e-12)


def test_places_are_told_from_the_parent():
    quat, translation, scale = _random()
    poser = Poser.of_motion(RIG.skeleton, quat, translation, scale)
    elbow = RIG.skeleton.semantic["right_elbow"]
    np.testing.assert_allclose(poser.in_parent(elbow, poser.place(elbow)), translation[:, elbow], atol=1e-9)
    np.testing.assert_allclose(poser.in_parent(0, translation[:, 0]), translation[:, 0], atol=1e-12)


def test_the_way_between_two_joints():
    poser, index = Poser(RIG.skeleton), RIG.skeleton.semantic
    assert poser.between(index["left_shoulder"], index["left_elbow"]) == [RIG.joint_names.index("bone_left_upper_helper")]
    assert poser.between(index["pelvis"], index["left_ankle"]) == [index["left_hip"], index["left_knee"]]
    assert poser.between(index["left_shoulder"], index["left_knee"]) == []
