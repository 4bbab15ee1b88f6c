"""Legs of two bones against triangles worked out by hand, and against the laws that any solve must keep."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rigdrop.convert.stance.two_bone import SOFT_SHARE, reached_m, two_bone
from rigdrop.motion.rotations import quat_apply, quat_to_rotvec, rotvec_to_quat

Array = NDArray[np.float64]


def _legs(frames: int, seed: int = 0, straightest: float = 0.97) -> tuple[Array, Array, Array]:
    """Hips, knees and ankles (F,3) of random legs with a thigh of 0.45 and a shank of 0.40 m."""
    rng = np.random.default_rng(seed)
    hip = rng.normal(size=(frames, 3))
    bend = np.arccos(np.clip(rng.uniform(-0.5, straightest, frames), -1, 1))
    thigh = np.tile([0.0, -0.45, 0.0], (frames, 1))
    shank = 0.40 * np.stack([np.zeros(frames), -np.cos(bend), -np.sin(bend)], -1)
    turn = rotvec_to_quat(rng.normal(size=(frames, 3)))
    return hip, hip + quat_apply(turn, thigh), hip + quat_apply(turn, thigh + shank)


def _moved(hip: Array, knee: Array, ankle: Array, target: Array) -> tuple[Array, Array]:
    thigh, shank = two_bone(hip, knee, ankle, target)
    new_knee = hip + quat_apply(thigh, knee - hip)
    return new_knee, new_knee + quat_apply(shank, ankle - knee)


def test_right_triangle() -> None:
    """Sides 0.3, 0.4 and 0.5: the knee of a leg whose ankle comes to 0.5 below the hip is 0.18 down and 0.24 in front."""
    hip, knee = np.zeros((1, 3)), np.array([[0, -0.3 * 0.8, 0.3 * 0.6]])
    ankle = np.array([[0, -0.3 * 0.8 - 0.4 * 0.8, 0.3 * 0.6 - 0.4 * 0.6]])
    new_knee, new_ankle = _moved(hip, knee, ankle, np.array([[0.0, -0.5, 0.0]]))
    np.testing.assert_allclose(new_knee, [[0.0, -0.18, 0.24]], atol=1e-12)
    np.testing.assert_allclose(new_ankle, [[0.0, -0.5, 0.0]], atol=1e-12)


def test_reaches_every_target_within_reach_and_keeps_lengths() -> None:
    hip, knee, ankle = _legs(2000)
    rng = np.random.default_rng(1)
    direction = rng.normal(size=hip.shape)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    target = hip + direction * rng.uniform(0.06, SOFT_SHARE * 0.85, (len(hip), 1))
    new_knee, new_ankle = _moved(hip, knee, ankle, target)
    # Double precision through two rotations of bones half a metre long.
    np.testing.assert_allclose(new_ankle, target, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(new_knee - hip, axis=-1), 0.45, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(new_ankle - new_knee, axis=-1), 0.40, atol=1e-12)


@pytest.mark.parametrize("straightest", [0.9, 0.9999, 1.0])
def test_a_leg_that_is_where_it_should_be_does_not_turn(straightest: float) -> None:
    hip, knee, ankle = _legs(500, straightest=straightest)
    for turn in two_bone(hip, knee, ankle, ankle):
        # The knee's height over the line is a square root: at a straight leg double precision leaves 1e-8 of it.
        assert np.abs(quat_to_rotvec(turn)).max() < 1e-6


def test_bend_plane_is_kept() -> None:
    """Shortened or lengthened along its own line, a leg stays in its plane; swung, the plane goes along."""
    hip, knee, ankle = _legs(500, straightest=0.9)
    normal = np.cross(knee - hip, ankle - hip)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    new_knee, _ = _moved(hip, knee, ankle, hip + 0.8 * (ankle - hip))
    assert np.abs(np.sum((new_knee - hip) * normal, axis=-1)).max() < 1e-12
    swing = rotvec_to_quat(normal * 0.4)
    target = hip + quat_apply(swing, ankle - hip)
    new_knee, _ = _moved(hip, knee, ankle, target)
    np.testing.assert_allclose(new_knee, hip + quat_apply(swing, knee - hip), atol=1e-12)
    # The knee stays on its side.
    assert (np.sum(np.cross(new_knee - hip, target - hip) * normal, axis=-1) > 0).all()


def test_knee_slows_down_before_it_is_straight() -> None:
    """A target that moves away at 0.5 m/s pulls a hard solve's knee at once to straight; the soft one's comes to rest."""
    frames = 400
    hip = np.zeros((frames, 3))
    knee, ankle = np.tile([0.0, -0.4, 0.2], (frames, 1)), np.tile([0.0, -0.8, 0.0], (frames, 1))
    target = np.stack([np.zeros(frames), -np.linspace(0.7, 1.2, frames), np.zeros(frames)], -1)
    new_knee, new_ankle = _moved(hip, knee, ankle, target)
    full = 2 * np.sqrt(0.2)
    length = np.linalg.norm(new_ankle, axis=-1)
    assert (np.diff(length) > -1e-12).all() and length.max() <= full
    bone = np.sqrt(0.2)
    soft = 2 * np.arccos(np.clip(length / full, -1, 1))
    hard = 2 * np.arccos(np.clip(np.minimum(-target[:, 1], full) / full, -1, 1))
    assert np.abs(np.diff(soft, 2)).max() < 0.05 * np.abs(np.diff(hard, 2)).max()
    np.testing.assert_allclose(np.linalg.norm(new_knee, axis=-1), bone, atol=1e-12)


def test_reached_length_is_smooth_and_bounded() -> None:
    wanted = np.linspace(0.0, 2.0, 20001)
    ones = np.ones_like(wanted)
    for before in (0.5, 0.849, 0.85):
        length = reached_m(wanted, before * ones, 0.45 * ones, 0.40 * ones)
        assert length.max() <= 0.85 + 1e-12 and length.min() == pytest.approx(0.05)
        exact = (wanted > 0.05) & (wanted <= max(before, SOFT_SHARE * 0.85))
        assert (length[exact] == wanted[exact]).all()
        assert (np.diff(length) >= -1e-15).all()
    slope = np.gradient(reached_m(wanted, 0.5 * ones, 0.45 * ones, 0.40 * ones), wanted)
    # exp's slope changes by 1/room a metre: over the grid's 0.1 mm by less than 0.01.
    assert np.abs(np.diff(slope[wanted > 0.06])).max() < 0.01


def test_straight_leg_gives_to_the_side_that_it_is_told() -> None:
    hip, knee, ankle = np.zeros((1, 3)), np.array([[0.0, -0.45, 0.0]]), np.array([[0.0, -0.85, 0.0]])
    target = np.array([[0.0, -0.7, 0.0]])
    for toward in ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.3, -0.9]):
        thigh, _ = two_bone(hip, knee, ankle, target, np.array([toward]))
        new_knee = quat_apply(thigh, knee - hip)[0]
        level = np.array(toward) * [1, 0, 1]
        np.testing.assert_allclose(new_knee[[0, 2]] / np.linalg.norm(new_knee[[0, 2]]), level[[0, 2]] / np.linalg.norm(level), atol=1e-9)


def test_a_leg_passing_through_straight_does_not_jump() -> None:
    """While a leg straightens to the last and bends again, the solve for a nearby target turns little from frame to frame."""
    bend = np.concatenate([np.linspace(0.4, 0.0, 200), np.linspace(0.0, 0.4, 200)[1:]])
    hip = np.zeros((len(bend), 3))
    knee = 0.45 * np.stack([0 * bend, -np.cos(bend / 2), np.sin(bend / 2)], -1)
    ankle = knee + 0.40 * np.stack([0 * bend, -np.cos(bend / 2), -np.sin(bend / 2)], -1)
    new_knee, new_ankle = _moved(hip, knee, ankle, np.tile([0.02, -0.80, 0.03], (len(bend), 1)))
    np.testing.assert_allclose(new_ankle, np.tile([0.02, -0.80, 0.03], (len(bend), 1)), atol=1e-12)
    assert np.linalg.norm(np.diff(new_knee, axis=0), axis=-1).max() < 1e-3


def test_degenerate_places_stay_finite() -> None:
    hip = np.zeros((3, 3))
    knee, ankle = np.tile([0.0, -0.4, 0.0], (3, 1)), np.array([[0.0, -0.8, 0.0], [0.0, 0.0, 0.0], [0.0, -0.8, 0.0]])
    target = np.array([[0.0, 0.8, 0.0], [0.0, -0.5, 0.0], [0.0, 0.0, 0.0]])
    for turn in two_bone(hip, knee, ankle, target):
        np.testing.assert_allclose(np.linalg.norm(turn, axis=-1), 1.0, atol=1e-12)
