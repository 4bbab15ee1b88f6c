"""The ground under people whose motion is known, seen by cameras whose pitch and height are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.fitting.ground import Ground, Stance, find_ground, joined, stance_of

from .bodies import hanging_arms, humanoid, turns, walk, world_from_camera

TIMES_S = np.arange(60) / 30


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


def _stance(body: Body, quat: np.ndarray, root_m: np.ndarray, T_world_camera: np.ndarray) -> Stance:
    """What a perfect fit would say: soles that do not move stand."""
    soles = body.sole_places(quat, root_m)
    still = np.linalg.norm(np.diff(soles, axis=0), axis=-1) < 1e-6
    quat = quat.copy()
    quat[:, 0] = (Rotation.from_matrix(T_world_camera[:3, :3].T) * Rotation.from_quat(quat[:, 0])).as_quat()
    in_camera = (root_m - T_world_camera[:3, 3]) @ T_world_camera[:3, :3]
    return stance_of(body, quat, in_camera, np.concatenate([still, still[-1:]]).astype(float), np.ones(len(quat), bool))


@pytest.mark.parametrize("pitch_deg", [0, 10, -10, 20])
@pytest.mark.parametrize(
    ("speed_m_s", "heading_rad"), [(0.0, 0.0), (0.8, 0.0), (0.8, 1.5), (1.2, 2.5)], ids=["stands", "comes", "crosses", "leaves"]
)
def test_pitch_and_height_follow_from_people_who_stand_and_walk(body, pitch_deg, speed_m_s, heading_rad):
    quat, root_m = walk(body, TIMES_S, speed_m_s=speed_m_s, heading_rad=heading_rad)
    ground = find_ground(_stance(body, quat, root_m, world_from_camera(np.radians(pitch_deg), 1.4, 4.0)))
    # Level cameras are likelier and people lean a little, so that pitch is drawn toward 0 by a few percent; grid of 0.25°.
    assert np.degrees(ground.pitch_rad) == pytest.approx(pitch_deg, abs=1.5 if speed_m_s == 0 else 0.6)
    # A pitch that is off by a degree moves the ground under somebody 4 m away by 7 cm.
    assert ground.height_m == pytest.approx(1.4, abs=0.08 if speed_m_s == 0 else 0.04)
    assert ground.standing > 60


def test_up_is_up_in_a_pitched_camera(body):
    quat, root_m = walk(body, TIMES_S)
    T_world_camera = world_from_camera(np.radians(12), 1.4, 4.0)
    up = find_ground(_stance(body, quat, root_m, T_world_camera)).up_in_camera
    assert np.degrees(np.arccos(up @ (T_world_camera[:3, :3].T @ [0, 1.0, 0]))) < 1.0


def test_the_cameras_axes_are_kept_on_request(body):
    quat, root_m = walk(body, TIMES_S)
    ground = find_ground(_stance(body, quat, root_m, world_from_camera(np.radians(12), 1.4, 4.0)), level=False)
    assert ground.pitch_rad == 0.0


def test_people_say_more_together(body):
    T_world_camera = world_from_camera(np.radians(8), 1.4, 5.0)
    parts = [_stance(body, *walk(body, TIMES_S, heading_rad=heading), T_world_camera) for heading in (0.5, 2.0)]
    both = joined(parts)
    assert len(both.soles_m) == len(parts[0].soles_m) + len(parts[1].soles_m)
    assert np.degrees(find_ground(both).pitch_rad) == pytest.approx(8, abs=1.0)


def test_a_few_soles_on_a_box_do_not_tilt_the_ground(body):
    T_world_camera = world_from_camera(0.0, 1.4, 4.0)
    stance = _stance(body, *walk(body, TIMES_S), T_world_camera)
    lifted = stance.soles_m.copy()
    lifted[:10, 1] += 0.4
    ground = find_ground(Stance(lifted, stance.upright))
    assert np.degrees(ground.pitch_rad) == pytest.approx(0, abs=1.0)
    assert ground.height_m == pytest.approx(1.4, abs=0.03)


def test_feet_that_go_into_depth_say_more_than_somebody_who_leans(body):
    quat, root_m = walk(body, TIMES_S, heading_rad=0.0, speed_m_s=1.0)
    stance = _stance(body, quat, root_m, world_from_camera(np.radians(8), 1.4, 4.0))
    leaning = Rotation.from_rotvec([np.radians(7), 0, 0]).apply(stance.upright)
    assert np.degrees(find_ground(Stance(stance.soles_m, leaning)).pitch_rad) == pytest.approx(8, abs=1.5)


def test_somebody_who_sits_or_bows_says_nothing_of_up(body):
    sitting, bowing = hanging_arms(), hanging_arms()
    for side in ("left", "right"):
        sitting |= {f"{side}_hip": np.array([-1.5, 0, 0]), f"{side}_knee": np.array([1.5, 0, 0])}
        bowing |= {f"{side}_hip": np.array([-0.6, 0, 0])}
    bowing["pelvis"] = np.array([0.6, 0, 0])
    for pose in (sitting, bowing):
        stance = _stance(body, turns(pose, 5), np.tile([0, 0.6, 0.0], (5, 1)), world_from_camera(0.0, 1.4, 4.0))
        assert len(stance.upright) == 0


def test_frames_that_were_not_seen_say_nothing(body):
    quat, root_m = walk(body, TIMES_S)
    stance = stance_of(body, quat, root_m, np.ones((60, 4)), np.zeros(60, bool))
    assert (len(stance.soles_m), len(stance.upright)) == (0, 0)


def test_without_people_the_camera_is_level(body):
    ground = find_ground(joined([]))
    assert (ground.pitch_rad, ground.height_m, ground.standing) == (0.0, 0.0, 0)
    assert isinstance(ground, Ground)
