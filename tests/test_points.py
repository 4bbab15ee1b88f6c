"""Places against a loop, every Jacobian against central differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, Body, body_joint
from rigdrop.convert.fitting.landmarks import REFERENCE_HEIGHT_M, landmark_table
from rigdrop.convert.fitting.points import (
    BONE_GROUPS,
    JOINTS,
    POSE_SIZE,
    SHAPE_NAMES,
    PointSet,
    Pose,
    bone_offsets,
    group_of_joint,
    place_points,
    pose_points,
    turned,
)

from .bodies import HEIGHT_M, exercise, humanoid, loop_places

STEP = 1e-5
# Central differences: the third derivative of a metre's lever times the step squared, and rounding over the step.
NUMERIC = 1e-8


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


@pytest.fixture(scope="module")
def points(body) -> PointSet:
    return PointSet.of(body, landmark_table(), HEIGHT_M)


@pytest.fixture
def pose() -> Pose:
    quat, root_m = exercise(np.arange(3) * 0.4)
    return Pose(quat, root_m, np.random.default_rng(2).normal(0, 0.05, len(SHAPE_NAMES)))


def test_points_are_landmarks_then_joints_then_soles(body, points):
    table = landmark_table()
    assert (points.landmarks, points.joints) == (slice(0, len(table.landmark)), slice(len(table.landmark), len(table.landmark) + 22))
    assert points.soles == slice(len(table.landmark) + 22, len(table.landmark) + 26)
    assert len(points.carrier) == len(points.origin) == len(points.offset_m) == points.soles.stop
    assert np.allclose(points.offset_m[points.landmarks], table.offset_m * HEIGHT_M / REFERENCE_HEIGHT_M)


def test_places_are_those_of_the_loop(body, points):
    quat, root_m = exercise(np.arange(3) * 0.4)
    place, joints, _ = place_points(body, points, Pose(quat, root_m, np.zeros(len(SHAPE_NAMES))))
    expected, world = loop_places(body, quat, root_m)
    assert np.abs(joints - expected).max() < 1e-12
    for frame in range(3):
        for point in range(len(points.carrier)):
            offset = world[frame][points.carrier[point]].apply(points.offset_m[point])
            assert np.abs(place[frame, point] - expected[frame, points.origin[point]] - offset).max() < 1e-12
    assert np.abs(place[:, points.soles] - body.sole_places(quat, root_m)).max() < 1e-12


def test_the_shape_scales_each_groups_bones_and_the_height_all(body):
    plain = {name: name.removeprefix("left_").removeprefix("right_") for name in BODY_JOINTS}
    for row, (group, members) in enumerate(BONE_GROUPS.items(), start=1):
        log_shape = np.zeros(len(SHAPE_NAMES))
        log_shape[0], log_shape[row] = np.log(1.1), np.log(1.2)
        expected = [1.1 * (1.2 if plain[name] in members else 1.0) for name in BODY_JOINTS]
        assert np.allclose(bone_offsets(body, log_shape), body.offset_m * np.array(expected)[:, None]), group
    assert ("height", *BONE_GROUPS) == SHAPE_NAMES
    assert (group_of_joint()[1:] >= 0).all()
    assert group_of_joint()[0] == -1


@pytest.mark.parametrize("column", range(POSE_SIZE))
def test_change_with_each_unknown_of_a_frame(body, points, pose, column):
    step = np.zeros((3, POSE_SIZE))
    step[:, column] = STEP
    there, back = (place_points(body, points, turned(pose, sign * step, np.zeros(len(SHAPE_NAMES))))[0] for sign in (1, -1))
    assert np.abs((there - back) / (2 * STEP) - pose_points(body, points, pose).by_pose[..., column]).max() < NUMERIC


@pytest.mark.parametrize("row", range(len(SHAPE_NAMES)))
def test_change_with_each_unknown_of_the_shape(body, points, pose, row):
    step = np.eye(len(SHAPE_NAMES))[row] * STEP
    there, back = (place_points(body, points, turned(pose, np.zeros((3, POSE_SIZE)), sign * step))[0] for sign in (1, -1))
    assert np.abs((there - back) / (2 * STEP) - pose_points(body, points, pose).by_shape[..., row]).max() < NUMERIC


def test_what_hangs_on_a_joint_moves_with_it_and_nothing_else_does(body, points, pose):
    by_pose = pose_points(body, points, pose).by_pose
    joint_rows = np.arange(points.joints.start, points.joints.stop)
    elbow = slice(3 + 3 * body_joint("left_elbow"), 6 + 3 * body_joint("left_elbow"))
    moved = {BODY_JOINTS[row - joint_rows[0]] for row in joint_rows if np.abs(by_pose[:, row, :, elbow]).max() > 1e-9}
    assert moved == {"left_wrist"}


def test_a_step_turns_from_the_left_and_adds_the_rest(pose):
    rng = np.random.default_rng(0)
    step, shape_step = rng.normal(0, 0.3, (3, POSE_SIZE)), rng.normal(0, 0.1, len(SHAPE_NAMES))
    moved = turned(pose, step, shape_step)
    expected = Rotation.from_rotvec(step[:, 3:].reshape(-1, 3)) * Rotation.from_quat(pose.quat_xyzw.reshape(-1, 4))
    assert np.allclose(Rotation.from_quat(moved.quat_xyzw.reshape(-1, 4)).as_matrix(), expected.as_matrix(), atol=1e-12)
    assert np.allclose(moved.root_m, pose.root_m + step[:, :3])
    assert np.allclose(moved.log_shape, pose.log_shape + shape_step)
    assert moved.quat_xyzw.shape == (3, JOINTS, 4)
