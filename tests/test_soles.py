"""Soles of a body of boxes, whose feet are known to the millimetre."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.performance import rest_performance
from rigdrop.convert.stance.soles import FootMotion, poser_of, sole_places, soles_of
from rigdrop.errors import SettingsError
from rigdrop.motion.rotations import quat_apply

from .bodies import humanoid


def test_soles_are_the_lowest_of_the_boxes() -> None:
    """Ankle boxes end 9 cm behind, toe boxes 18 cm in front of the ankle's line, both on y = 0."""
    rig = humanoid()
    places = sole_places(rest_performance(rig, np.zeros(1)))[0]
    # Boxes of the ankle and the ball around x = 0.10 and 0.11, z from -0.09 to 0.09 and from 0.09 to 0.18.
    np.testing.assert_allclose(places[:, 1], 0.0, atol=1e-7)
    np.testing.assert_allclose(places[:2, 0], [0.10, 0.11], atol=1e-6)
    np.testing.assert_allclose(places[:2, 2], [-0.09, 0.18], atol=1e-6)
    np.testing.assert_allclose(places[2:], places[:2] * [-1, 1, 1], atol=1e-6)


def test_flat_turns_put_heel_and_toe_on_one_height_toward_z() -> None:
    for sole in soles_of(humanoid()):
        heel, ball = (quat_apply(sole.ankle_flat_xyzw, point) for point in (sole.heel_m, sole.ball_m))
        toe = quat_apply(sole.carrier_flat_xyzw, sole.toe_m)
        assert ball[1] - heel[1] == pytest.approx(sole.ball_over_ground_m, abs=1e-9) == pytest.approx(0.02, abs=1e-6)
        assert (ball + toe - heel)[1] == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose((ball - heel)[[0, 2]], [0.0, sole.ball_ahead_m], atol=1e-9)


def test_a_rig_that_rests_on_tiptoe_stands_flat_all_the_same() -> None:
    """The feet's skin and joints pitched by 40° about the ankle: level again, the foot is as long as before."""
    rig = humanoid()
    bind, vertices = rig.bind_world.copy(), rig.vertices_m.astype(np.float64)
    for side in ("left", "right"):
        ankle, foot = (rig.skeleton.semantic[f"{side}_{name}"] for name in ("ankle", "foot"))
        pivot, pitch = bind[ankle, :3, 3].copy(), Rotation.from_euler("x", 40, degrees=True)
        skin = np.isin(rig.skin_joints[:, 0], [ankle, foot])
        vertices[skin] = pitch.apply(vertices[skin] - pivot) + pivot
        for joint in (ankle, foot):
            bind[joint, :3, 3] = pitch.apply(bind[joint, :3, 3] - pivot) + pivot
            bind[joint, :3, :3] = pitch.as_matrix() @ bind[joint, :3, :3]
    tilted = replace(rig, bind_world=bind, vertices_m=vertices.astype(np.float32))
    for sole, level in zip(soles_of(tilted), soles_of(rig), strict=True):
        # Which skin is lowest changes when a foot is tilted: the heel's point moves along the 18 cm box, by a few centimetres.
        assert Rotation.from_quat(sole.ankle_flat_xyzw).inv().as_matrix()[:, 1] @ (
            Rotation.from_quat(level.ankle_flat_xyzw).inv().as_matrix()[:, 1]) > np.cos(np.radians(12))


def test_points_follow_scale_and_turn() -> None:
    """A foot that is scaled by 1.2 about its ankle has a heel 1.2 times as far away."""
    rig = humanoid()
    plain = rest_performance(rig, np.zeros(1))
    scale = np.ones(plain.quat_xyzw.shape[:2])
    ankle = rig.skeleton.semantic["left_ankle"]
    scale[:, ankle] = 1.2
    scaled = replace(plain, scale=scale)
    away = [FootMotion.of(person, soles_of(rig)[0], poser_of(person)).points()[0] - person.joints_m[0, ankle] for person in (plain, scaled)]
    np.testing.assert_allclose(away[1], 1.2 * away[0], atol=1e-9)


def test_rig_without_legs_is_told() -> None:
    rig = humanoid()
    semantic = {name: joint for name, joint in rig.skeleton.semantic.items() if name != "left_knee"}
    with pytest.raises(SettingsError, match=r"left_knee.*switch feet off"):
        soles_of(replace(rig, skeleton=replace(rig.skeleton, semantic=semantic)))
