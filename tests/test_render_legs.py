"""Legs by inverse kinematics against forward kinematics."""

import numpy as np
import pytest

from rigdrop.motion.rotations import quat_apply
from rigdrop.render.legs import solve_leg

THIGH_M, SHANK_M = 0.44, 0.46


def forward(hip, thigh, shank):
    down = np.array([0.0, -1.0, 0.0])
    knee = hip + quat_apply(thigh, THIGH_M * down)
    return knee, knee + quat_apply(shank, SHANK_M * down)


@pytest.fixture
def leg():
    rng = np.random.default_rng(0)
    hip = rng.normal(size=(200, 3))
    to_ankle = rng.normal(size=(200, 3)) * [0.5, 0.3, 0.5] + [0, -1, 0]
    to_ankle *= rng.uniform(0.25, 0.89, (200, 1)) / np.linalg.norm(to_ankle, axis=1, keepdims=True)
    ahead = np.tile([0.1, 0.0, 1.0], (200, 1))
    return hip, hip + to_ankle, ahead


def test_the_ankle_reaches_its_place_and_the_knee_is_in_front(leg):
    hip, ankle, ahead = leg
    knee, reached = forward(hip, *solve_leg(hip, ankle, ahead, THIGH_M, SHANK_M))
    np.testing.assert_allclose(reached, ankle, atol=1e-9)
    line = hip + (ankle - hip) * (np.sum((knee - hip) * (ankle - hip), axis=1) / np.sum((ankle - hip) ** 2, axis=1))[:, None]
    assert (np.sum((knee - line) * ahead, axis=1) > 0).all()


def test_thigh_and_shank_share_one_hinge(leg):
    hip, ankle, ahead = leg
    thigh, shank = solve_leg(hip, ankle, ahead, THIGH_M, SHANK_M)
    left = np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(quat_apply(thigh, left), quat_apply(shank, left), atol=1e-9)


def test_a_straight_leg_is_not_turned():
    hip = np.array([[0.1, 1.0, 0.0]])
    thigh, shank = solve_leg(hip, hip - [0, THIGH_M + SHANK_M, 0], np.array([[0.0, 0, 1]]), THIGH_M, SHANK_M)
    # The leg is kept 0.05 % short of straight, which bends the knee by less than four degrees.
    for quat in (thigh, shank):
        np.testing.assert_allclose(quat, [[0, 0, 0, 1]], atol=0.035)


def test_what_is_out_of_reach_is_pointed_at():
    hip, ankle = np.zeros((1, 3)), np.array([[0.3, -2.0, 0.5]])
    _, reached = forward(hip, *solve_leg(hip, ankle, np.array([[0.0, 0, 1]]), THIGH_M, SHANK_M))
    np.testing.assert_allclose(reached / np.linalg.norm(reached), ankle / np.linalg.norm(ankle), atol=1e-9)
    assert np.linalg.norm(reached) == pytest.approx(THIGH_M + SHANK_M, rel=1e-3)
