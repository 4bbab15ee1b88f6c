from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, Body, body_joint
from rigdrop.convert.fitting.initial import fill_gaps, pose_from_landmarks, root_from_rays, with_arms_along

from .bodies import exercise, humanoid, loop_places

TIMES_S = np.arange(6) * 0.3

# BlazePose's landmark of each joint, where it has one.
LANDMARK_OF = {
    "left_shoulder": 11,
    "right_shoulder": 12,
    "left_elbow": 13,
    "right_elbow": 14,
    "left_wrist": 15,
    "right_wrist": 16,
    "left_hip": 23,
    "right_hip": 24,
    "left_knee": 25,
    "right_knee": 26,
    "left_ankle": 27,
    "right_ankle": 28,
}
LIMBS = [
    (f"{side}_{upper}", f"{side}_{lower}")
    for side in ("left", "right")
    for upper, lower in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
]


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


def _landmarks(body: Body, quat: np.ndarray, root_m: np.ndarray) -> np.ndarray:
    """Landmarks (F,33,3) right at the joints; ears, nose, heels and toes from their joints' own axes."""
    place, world = loop_places(body, quat, root_m)
    points = np.zeros((len(place), 33, 3))
    for name, landmark in LANDMARK_OF.items():
        points[:, landmark] = place[:, body_joint(name)]
    for frame, rotations in enumerate(world):
        for landmark, joint, offset in (
            (0, "head", (0, 0, 0.1)),
            (7, "head", (0.07, 0, 0)),
            (8, "head", (-0.07, 0, 0)),
            (29, "left_ankle", (0, -0.05, -0.05)),
            (31, "left_ankle", (0, -0.05, 0.15)),
            (30, "right_ankle", (0, -0.05, -0.05)),
            (32, "right_ankle", (0, -0.05, 0.15)),
        ):
            row = body_joint(joint)
            points[frame, landmark] = place[frame, row] + rotations[row].apply(offset)
    return points


def test_limbs_point_along_their_landmarks(body):
    quat, root_m = exercise(TIMES_S)
    points = _landmarks(body, quat, root_m)
    guess, _ = loop_places(body, pose_from_landmarks(points), root_m)
    for upper, lower in LIMBS:
        ours = guess[:, body_joint(lower)] - guess[:, body_joint(upper)]
        seen = points[:, LANDMARK_OF[lower]] - points[:, LANDMARK_OF[upper]]
        cosine = np.sum(ours * seen, -1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(seen, axis=-1)
        assert cosine.min() > 1 - 1e-9, (upper, lower)


def test_arms_are_turned_along_their_landmarks_and_nothing_else(body):
    quat, root_m = exercise(TIMES_S)
    other, _ = exercise(TIMES_S + 0.4)
    points = _landmarks(body, other, root_m)
    turned = with_arms_along(body, quat, points)
    place, _ = loop_places(body, turned, root_m)
    arms = [body_joint(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "elbow", "wrist")]
    for upper, lower in LIMBS:
        if body_joint(upper) not in arms:
            continue
        ours = place[:, body_joint(lower)] - place[:, body_joint(upper)]
        told = points[:, LANDMARK_OF[lower]] - points[:, LANDMARK_OF[upper]]
        cosine = np.sum(ours * told, -1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(told, axis=-1)
        assert cosine.min() > 1 - 1e-9, (upper, lower)
    rest = np.setdiff1d(np.arange(len(BODY_JOINTS)), arms)
    assert np.array_equal(turned[:, rest], quat[:, rest])


def test_turns_are_near_the_true_ones(body):
    # Ears and nose give the head's turn whole. Limbs of this motion are off their hinges by some degrees, and heel and toe
    # don't tell the foot's roll.
    most_deg = {"head": 0.01, "pelvis": 8, "left_shoulder": 8, "right_elbow": 8, "left_knee": 20, "right_hip": 20, "left_ankle": 12}
    quat, root_m = exercise(TIMES_S)
    _, truth = loop_places(body, quat, root_m)
    _, guess = loop_places(body, pose_from_landmarks(_landmarks(body, quat, root_m)), root_m)
    for frame in range(len(TIMES_S)):
        for name, most in most_deg.items():
            away = (guess[frame][body_joint(name)].inv() * truth[frame][body_joint(name)]).magnitude()
            assert np.degrees(away) < most, (frame, name)


def test_feet_point_from_heel_to_toe(body):
    quat, root_m = exercise(TIMES_S)
    points = _landmarks(body, quat, root_m)
    _, guess = loop_places(body, pose_from_landmarks(points), root_m)
    for frame in range(len(TIMES_S)):
        seen = points[frame, 32] - points[frame, 30]
        assert np.allclose(guess[frame][body_joint("right_ankle")].apply([0, 0, 1.0]), seen / np.linalg.norm(seen), atol=1e-9)


@pytest.mark.parametrize("bend_rad", [0.0, 0.1, 0.4])
def test_knees_of_straight_legs_do_not_close_forward(body, bend_rad):
    straight = np.tile([0.0, 0, 0, 1], (1, len(BODY_JOINTS), 1))
    for side in ("left", "right"):
        straight[0, body_joint(f"{side}_knee")] = Rotation.from_rotvec([-bend_rad, 0, 0]).as_quat()  # what noise may say
    knee = Rotation.from_quat(pose_from_landmarks(_landmarks(body, straight, np.zeros((1, 3))))[0, body_joint("left_knee")])
    hip = Rotation.from_quat(pose_from_landmarks(_landmarks(body, straight, np.zeros((1, 3))))[0, body_joint("left_hip")])
    assert abs(hip.as_rotvec()[1]) < 0.2  # the thigh has not turned round to close backward
    assert abs(knee.as_rotvec()[0]) < bend_rad + 0.02


@pytest.mark.parametrize(
    "points", [np.zeros((2, 33, 3)), np.ones((2, 33, 3)) * [0, 1, 0] * np.arange(33)[:, None]], ids=["one point", "one line"]
)
def test_landmarks_that_make_no_body_give_rotations_all_the_same(points):
    quat = pose_from_landmarks(points)
    assert np.isfinite(quat).all()
    assert np.allclose(np.linalg.norm(quat, axis=-1), 1)


def _looked_at(places_m: np.ndarray) -> np.ndarray:
    return places_m[..., :2] / -places_m[..., 2:]


def test_the_place_follows_from_points_and_their_rays():
    rng = np.random.default_rng(0)
    points, origin = rng.normal(0, 0.5, (4, 12, 3)), rng.normal(0, 1, (4, 3)) + [0, 0, -5]
    found = root_from_rays(points, _looked_at(points + origin[:, None]), np.ones((4, 12)))
    assert np.abs(found - origin).max() < 1e-6


def test_a_point_that_lies_hardly_moves_the_place():
    rng = np.random.default_rng(0)
    points, origin = rng.normal(0, 0.5, (4, 20, 3)), rng.normal(0, 1, (4, 3)) + [0, 0, -5]
    rays = _looked_at(points + origin[:, None]) + rng.normal(0, 0.001, (4, 20, 2))
    honest = root_from_rays(points, rays, np.ones((4, 20)))
    rays[:, 3] += 0.3  # a metre and a half aside
    lied = root_from_rays(points, rays, np.ones((4, 20)))
    # Plain least squares gives it a twentieth of its lie, 75 mm; Huber's weight takes most of that away.
    assert np.linalg.norm(lied - honest, axis=-1).max() < 0.06
    weight = np.ones((4, 20))
    weight[:, 3] = 0
    assert np.linalg.norm(root_from_rays(points, rays, weight) - honest, axis=-1).max() < 0.01


def test_nothing_seen_gives_a_place_before_the_camera():
    found = root_from_rays(np.zeros((1, 5, 3)), np.zeros((1, 5, 2)), np.full((1, 5), 1e-3))
    assert np.isfinite(found).all()
    assert found[0, 2] < 0


def test_gaps_are_filled_along_a_line_and_ends_are_held():
    values = np.array([np.nan, 1.0, np.nan, np.nan, 4.0, 5.0, np.nan])[:, None, None] * np.ones((1, 2, 3))
    seen = np.isfinite(values[:, 0, 0])
    assert np.allclose(fill_gaps(values, seen)[:, 1, 2], [1, 1, 2, 3, 4, 5, 5])


def test_what_was_seen_stays_and_the_input_too():
    values = np.random.default_rng(0).normal(size=(5, 3))
    kept = values.copy()
    assert np.array_equal(fill_gaps(values, np.ones(5, bool)), values)
    assert np.array_equal(values, kept)
