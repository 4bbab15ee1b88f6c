"""Gradients against central differences of the cost, and Gauss-Newton matrices against the cost's curvature.

Weights of robust terms are held while a step is solved for, so both are compared where no residual is beyond the
threshold. At a residual of zero the Gauss-Newton matrix is the cost's exact (half) second derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body, body_joint
from rigdrop.convert.fitting import terms
from rigdrop.convert.fitting.banded import NormalEquations
from rigdrop.convert.fitting.landmarks import landmark_table
from rigdrop.convert.fitting.points import JOINTS, POSE_SIZE, SHAPE_NAMES, PointSet, Pose, Posed, pose_points, turned

from .bodies import HEIGHT_M, exercise, hanging_arms, humanoid, turns

FRAMES, SHARED = 5, len(SHAPE_NAMES) + 1
# Uneven on purpose.
TIMES_S = np.array([0.0, 0.03, 0.07, 0.1, 0.14])
STEP = 1e-6

Term = Callable[[NormalEquations, Posed, Pose, float], None]


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


@pytest.fixture(scope="module")
def points(body) -> PointSet:
    return PointSet.of(body, landmark_table(), HEIGHT_M)


@pytest.fixture
def pose() -> Pose:
    quat, root_m = exercise(TIMES_S * 2)
    return Pose(quat, root_m, np.random.default_rng(2).normal(0, 0.02, len(SHAPE_NAMES)))


def _equations(body: Body, points: PointSet, term: Term, pose: Pose, log_scale: float = 0.1) -> NormalEquations:
    equations = NormalEquations(len(pose.root_m), POSE_SIZE, SHARED)
    term(equations, pose_points(body, points, pose), pose, log_scale)
    return equations


def _cost_along(body: Body, points: PointSet, term: Term, pose: Pose, step: np.ndarray, shared: np.ndarray) -> Callable[[float], float]:
    def cost(length: float) -> float:
        moved = turned(pose, length * step, length * shared[:-1])
        return _equations(body, points, term, moved, 0.1 + length * shared[-1]).cost

    return cost


def _assert_gradient(body: Body, points: PointSet, term: Term, pose: Pose, relative: float = 1e-5) -> None:
    rng = np.random.default_rng(1)
    equations = _equations(body, points, term, pose)
    assert equations.cost > 0
    for _ in range(6):
        step, shared = rng.normal(size=(len(pose.root_m), POSE_SIZE)), rng.normal(size=SHARED)
        cost = _cost_along(body, points, term, pose, step, shared)
        numeric = (cost(STEP) - cost(-STEP)) / (2 * STEP)
        ours = 2 * float((equations.gradient * step).sum() + equations.shared_gradient @ shared)
        size = 2 * np.linalg.norm(equations.gradient) + 2 * np.linalg.norm(equations.shared_gradient)
        assert abs(ours - numeric) < relative * size


def _curvature(equations: NormalEquations, step: np.ndarray, shared: np.ndarray) -> float:
    """vᵀ H v from the blocks, the border and the corner."""
    total = float(shared @ equations.corner @ shared) + 2 * float(np.einsum("fa,fas,s->", step, equations.border, shared))
    for lag, blocks in enumerate(equations.near):
        count = len(blocks)
        total += (1 if lag == 0 else 2) * float(np.einsum("fa,fab,fb->", step[lag : lag + count], blocks, step[:count]))
    return total


def _assert_curvature(body: Body, points: PointSet, term: Term, pose: Pose) -> None:
    rng = np.random.default_rng(1)
    equations = _equations(body, points, term, pose)
    assert equations.cost < 1e-12
    for _ in range(6):
        step, shared = rng.normal(size=(len(pose.root_m), POSE_SIZE)), rng.normal(size=SHARED)
        cost = _cost_along(body, points, term, pose, step, shared)
        numeric = (cost(1e-4) + cost(-1e-4)) / 2e-8
        assert _curvature(equations, step, shared) == pytest.approx(numeric, rel=1e-4)


def _landmarks_3d(points: PointSet, seen_m: np.ndarray, weight: np.ndarray) -> Term:
    table, sigma_m = landmark_table(), np.array([0.09, 0.08, 0.15])

    def term(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
        terms.add_landmarks_3d(equations, posed, points.landmarks, table.torso, seen_m, weight, log_scale, sigma_m, np.inf)

    return term


def _landmarks_2d(points: PointSet, rays: np.ndarray, weight: np.ndarray) -> Term:
    def term(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
        terms.add_landmarks_2d(equations, posed, points.landmarks, np.full(FRAMES, 3.3), rays, weight, 0.015, np.inf)

    return term


def _seen(body: Body, points: PointSet, pose: Pose, noise_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """3D landmarks as the term's scale of 0.1 has them, rays, and weights, all for one pose."""
    rng = np.random.default_rng(5)
    place = pose_points(body, points, pose).place_m[:, points.landmarks]
    place = place + rng.normal(0, 1, place.shape) * noise_m
    return place * np.exp(-0.1) + [1.0, 2, 3], place[..., :2] / -place[..., 2:], rng.uniform(0.2, 1, place.shape[:2])


@pytest.mark.parametrize("noise_m", [0.05, 0.0])
def test_landmarks_in_space(body, points, pose, noise_m):
    seen_m, _, weight = _seen(body, points, pose, noise_m)
    (_assert_gradient if noise_m else _assert_curvature)(body, points, _landmarks_3d(points, seen_m, weight), pose)


@pytest.mark.parametrize("noise_m", [0.05, 0.0])
def test_landmarks_in_the_picture(body, points, pose, noise_m):
    _, rays, weight = _seen(body, points, pose, noise_m)
    (_assert_gradient if noise_m else _assert_curvature)(body, points, _landmarks_2d(points, rays, weight), pose)


def _depths(depth_m: np.ndarray) -> Term:
    ends = np.array([[3, 5], [5, 7], [0, 9]])

    def term(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
        weight = np.linspace(0, 1, 3 * FRAMES).reshape(FRAMES, 3)
        terms.add_depths(equations, posed, ends, depth_m, weight, 0.02, np.inf)

    return term


@pytest.mark.parametrize("away_m", [0.05, 0.0])
def test_depths_of_bones(body, points, pose, away_m):
    place = pose_points(body, points, pose).place_m
    depth_m = place[:, (5, 7, 9), 2] - place[:, (3, 5, 0), 2] + away_m * np.arange(3)
    (_assert_gradient if away_m else _assert_curvature)(body, points, _depths(depth_m), pose)


def test_a_depth_may_be_trusted_less_than_the_picture(body, points, pose):
    seen_m, _, weight = _seen(body, points, pose, 0.05)
    table = landmark_table()

    def cost(sigma_m: np.ndarray) -> float:
        def term(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
            terms.add_landmarks_3d(equations, posed, points.landmarks, table.torso, seen_m, weight, log_scale, sigma_m, np.inf)

        return _equations(body, points, term, pose).cost

    same = np.tile([0.09, 0.08, 0.15], (*weight.shape, 1))
    assert cost(same) == pytest.approx(cost(np.array([0.09, 0.08, 0.15])))
    assert cost(same * [1, 1, 10]) < cost(same)


def test_a_landmark_that_was_not_seen_says_nothing(body, points, pose):
    seen_m, rays, weight = _seen(body, points, pose, 0.1)
    row = int(np.flatnonzero(landmark_table().landmark == 15)[0])
    weight[:, row] = 0
    for term, values in ((_landmarks_3d, seen_m), (_landmarks_2d, rays)):
        moved = values.copy()
        moved[:, row] += 5
        assert (
            _equations(body, points, term(points, values, weight), pose).cost
            == _equations(body, points, term(points, moved, weight), pose).cost
        )


def test_landmarks_in_space_say_nothing_of_the_place(body, points, pose):
    seen_m, _, weight = _seen(body, points, pose, 0.05)
    equations = _equations(body, points, _landmarks_3d(points, seen_m, weight), pose)
    assert np.abs(equations.gradient[:, :3]).max() < 1e-9 * np.abs(equations.gradient).max()


def test_accelerations_are_exact_at_uneven_times():
    # p(t) = 3 - 2t + 4t² has the acceleration 8 everywhere.
    values = 3 - 2 * TIMES_S + 4 * TIMES_S**2
    factor = terms.second_difference(TIMES_S)
    assert np.allclose(factor[:, 0] * values[:-2] + factor[:, 1] * values[1:-1] + factor[:, 2] * values[2:], 8.0)


def _smooth_turns(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
    terms.add_smooth_turns(equations, pose, TIMES_S[: len(pose.root_m)], 45.0, np.inf)


def _smooth_root(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
    terms.add_smooth_root(equations, pose, TIMES_S[: len(pose.root_m)], (13.5, 12.0, 7.2))


def _smooth_joints(points: PointSet) -> Term:
    def term(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
        terms.add_smooth_joints(equations, posed, points.joints, TIMES_S[: len(pose.root_m)], 18.0, np.inf)

    return term


def _contacts(points: PointSet) -> Term:
    def term(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
        terms.add_contacts(equations, posed, points.soles, np.linspace(0, 1, 4 * (FRAMES - 1)).reshape(-1, 4), 0.004)

    return term


def _posed_only(term: Term, body: Body, points: PointSet, shape: np.ndarray) -> Term:
    """The terms of motion leave the shape out of their Jacobian: bones that keep their length don't change it over time."""

    def fixed(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
        pose = replace(pose, log_shape=shape)
        term(equations, pose_points(body, points, pose), pose, log_scale)

    return fixed


def _still(pose: Pose) -> Pose:
    return Pose(np.repeat(pose.quat_xyzw[:1], FRAMES, 0), np.repeat(pose.root_m[:1], FRAMES, 0), pose.log_shape)


def test_smooth_root(body, points, pose):
    _assert_gradient(body, points, _smooth_root, pose)
    _assert_curvature(body, points, _smooth_root, _still(pose))


def test_smooth_joints(body, points, pose):
    term = _posed_only(_smooth_joints(points), body, points, pose.log_shape)
    _assert_gradient(body, points, term, pose)
    _assert_curvature(body, points, term, _still(pose))


def test_contacts(body, points, pose):
    term = _posed_only(_contacts(points), body, points, pose.log_shape)
    _assert_gradient(body, points, term, pose)
    _assert_curvature(body, points, term, _still(pose))


def test_smooth_turns(body, points, pose):
    # Its Jacobian is that of small steps; from frame to frame of this motion a joint turns by up to 9 degrees.
    _assert_gradient(body, points, _smooth_turns, pose, relative=0.03)
    _assert_curvature(body, points, _smooth_turns, _still(pose))


@pytest.mark.parametrize("turn_rad", [3.0, 3.3, 6.2, 6.4])
def test_a_joint_may_turn_through_pi_and_round(body, points, turn_rad):
    # Evenly turning about a fixed axis has no acceleration, wherever it passes.
    angle = turn_rad + 2.0 * TIMES_S
    quat = turns({"left_shoulder": angle[:, None] * np.array([0.6, 0.0, 0.8])}, FRAMES)
    pose = Pose(quat, np.zeros((FRAMES, 3)), np.zeros(len(SHAPE_NAMES)))
    assert _equations(body, points, _smooth_turns, pose).cost < 1e-18
    quat[2:] *= -1
    assert _equations(body, points, _smooth_turns, pose).cost < 1e-18


@pytest.mark.parametrize("frames", [1, 2])
def test_fewer_than_three_frames_have_no_acceleration(body, points, pose, frames):
    short = Pose(pose.quat_xyzw[:frames], pose.root_m[:frames], pose.log_shape)
    for term in (_smooth_turns, _smooth_root, _smooth_joints(points)):
        assert _equations(body, points, term, short).cost == 0.0


def _ground(points: PointSet, height_m: float, planted: float) -> Term:
    up = Rotation.from_rotvec([0.2, 0, 0.1]).apply([0.0, 1, 0])

    def term(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
        terms.add_ground(equations, posed, points.soles, up, height_m, np.full((FRAMES, 4), planted), 0.015, np.inf)

    return term


@pytest.mark.parametrize("planted", [0.3, 1.0])
def test_ground(body, points, pose, planted):
    _assert_gradient(body, points, _ground(points, -5.0, planted), pose)
    _assert_gradient(body, points, _ground(points, 5.0, planted), pose)


def test_the_ground_pulls_planted_soles_and_lifts_sunken_ones(body, points, pose):
    assert _equations(body, points, _ground(points, -5.0, 0.0), pose).cost == 0  # above it, and not standing
    assert _equations(body, points, _ground(points, -5.0, 1.0), pose).cost > 0
    assert _equations(body, points, _ground(points, 5.0, 0.0), pose).cost > 0
    assert (_equations(body, points, _ground(points, 5.0, 0.0), pose).gradient[:, 1] < 0).all()  # upward lowers the cost


def _strength(pose: Pose) -> np.ndarray:
    return np.linspace(1, 2, len(pose.root_m) * JOINTS).reshape(-1, JOINTS)


def _prior(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
    terms.add_pose_prior(equations, pose, _strength(pose))


def test_the_pose_prior_leads_to_the_mean_pose(body, points, pose):
    _assert_gradient(body, points, _prior, pose)
    mean = Pose(np.repeat(terms.MEAN_POSE_XYZW[None], FRAMES, 0), pose.root_m, pose.log_shape)
    _assert_curvature(body, points, _prior, mean)


def test_the_mean_pose_is_somebody_who_stands(body):
    place = dict(
        zip(
            ("hip", "knee", "ankle", "shoulder", "wrist"),
            (body_joint(f"left_{name}") for name in ("hip", "knee", "ankle", "shoulder", "wrist")),
        )
    )
    joints = body.positions(terms.MEAN_POSE_XYZW[None], np.zeros((1, 3)))[0]
    assert joints[place["wrist"], 1] < joints[place["shoulder"], 1] - 0.3  # arms hang
    assert joints[place["ankle"], 1] < joints[place["hip"], 1] - 0.75  # on nearly straight legs
    assert joints[place["knee"], 2] > joints[place["ankle"], 2]  # knees in front
    assert joints[place["wrist"], 2] > 0.02  # hands in front


def _hinges(equations: NormalEquations, posed: Posed, pose: Pose, log_scale: float) -> None:
    terms.add_hinges(equations, pose, _strength(pose))


@pytest.mark.parametrize("beyond", [False, True])
def test_hinges(body, points, beyond):
    # Bent, twisted and off the hinge's plane a little; or overstretched.
    flexion = -0.4 if beyond else 0.8
    rotvec = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        elbow = Rotation.from_rotvec([0.0, -sign * flexion, 0.0]) * Rotation.from_rotvec([0.06, 0, 0.02])
        knee = Rotation.from_rotvec([flexion, 0.0, 0.0]) * Rotation.from_rotvec([0.0, 0.05, 0.02])
        rotvec |= {f"{side}_elbow": elbow.as_rotvec(), f"{side}_knee": knee.as_rotvec()}
    pose = Pose(turns(rotvec, FRAMES), np.zeros((FRAMES, 3)), np.zeros(len(SHAPE_NAMES)))
    # The bone is held to lie in the hinge's plane where flexion is differentiated: it is off by 0.02.
    _assert_gradient(body, points, _hinges, pose, relative=0.05)


def _hinge_cost(body: Body, points: PointSet, rotvec: dict[str, np.ndarray]) -> float:
    return _equations(body, points, _hinges, Pose(turns(hanging_arms() | rotvec, 1), np.zeros((1, 3)), np.zeros(len(SHAPE_NAMES)))).cost


@pytest.mark.parametrize(
    ("joint", "closes"),
    [("left_elbow", (0, -1.0, 0)), ("right_elbow", (0, 1.0, 0)), ("left_knee", (1.0, 0, 0)), ("right_knee", (1.0, 0, 0))],
)
def test_hinges_close_one_way_only(body, points, joint, closes):
    bent, straight, back = (_hinge_cost(body, points, {joint: angle * np.array(closes)}) for angle in (0.9, 0.1, -0.9))
    assert back > 100 * max(bent, straight)  # 0.9 rad against a limit of 0.04
    sideways = _hinge_cost(body, points, {joint: 0.5 * np.cross(closes, (0, 1.0, 0) if "knee" in joint else (1.0, 0, 0))})
    assert sideways > 10 * bent


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.5, 3.0, 100.0])
def test_hubers_weight_makes_far_residuals_count_in_proportion(distance):
    # Huber's loss: r² within the threshold c, 2cr - c² beyond; its weight is min(1, c/r).
    assert terms.huber_weight(np.array([distance]), 1.5)[0] ** 2 == pytest.approx(min(1.0, 1.5 / max(distance, 1e-9)))
