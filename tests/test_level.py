"""The pitch of cameras that is known, told from people in their axes; people who lie, sit or stay bent tilt nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.level import find_level, stance_of
from rigdrop.convert.performance import Performance, moved, rest_performance
from rigdrop.convert.retargeting.bare_rig import bare_rig
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model

from .bodies import hanging_arms, humanoid, turns, walk, world_from_camera

TIMES_S = np.arange(60) / 30


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


def _person(body: Body, quat: np.ndarray, root_m: np.ndarray) -> Performance:
    frames = len(quat)
    return Performance.of_motion(body.rig, TIMES_S[:frames], body.to_motion(quat, root_m, np.ones(frames, bool), np.ones(frames)))


def _seen(person: Performance, pitch_deg: float, height_m: float = 1.4) -> Performance:
    return moved(person, np.linalg.inv(world_from_camera(np.radians(pitch_deg), height_m, 4.0)))


def _pitch(*people: Performance) -> float:
    return float(np.degrees(find_level(list(people)).pitch_rad))


@pytest.mark.parametrize("pitch_deg", [0, 12, -12, 25])
@pytest.mark.parametrize(("speed_m_s", "heading_rad"), [(0.0, 0.3), (0.8, 0.0), (0.8, 1.5), (1.2, 2.5)])
def test_who_stands_or_walks_tells_how_a_camera_is_pitched(body, pitch_deg, speed_m_s, heading_rad):
    person = _seen(_person(body, *walk(body, TIMES_S, speed_m_s=speed_m_s, heading_rad=heading_rad)), pitch_deg)
    # Level cameras are likelier, which draws the pitch toward 0 by a fortieth of it where people stand; and this body stands
    # leaning by a degree.
    assert _pitch(person) == pytest.approx(pitch_deg, abs=1.0 + 0.03 * abs(pitch_deg))


def test_a_skeleton_without_skin_tells_it_too(body):
    person = _seen(_person(body, *walk(body, TIMES_S)), 12)
    assert _pitch(replace(person, rig=bare_rig(person.rig.skeleton, "bare"))) == pytest.approx(12, abs=1.5)


def test_mhrs_rig_tells_it(shared):
    rig = load_mhr_model(shared / "mhr" / "lod3").rig
    assert _pitch(_seen(rest_performance(rig, TIMES_S[:10]), 12)) == pytest.approx(12, abs=1.0)  # drawn toward level


def _posed(body: Body, rotvec_by_joint: dict[str, np.ndarray], turn: Rotation, height_m: float) -> Performance:
    """Somebody in one pose of their own axes, then turned as a whole."""
    rng = np.random.default_rng(5)
    lively = {name: np.asarray(rotvec) + 0.03 * rng.normal(size=(60, 3)) for name, rotvec in rotvec_by_joint.items()}
    quat = turns(lively, 60)
    quat[:, 0] = (turn * Rotation.from_quat(quat[:, 0])).as_quat()
    return _person(body, quat, np.tile([0.2, height_m, 0.0], (60, 1)))


LIES = {"on the back, feet first": (-90, 0, 0), "on the back, head first": (-90, 180, 0), "across": (-90, 90, 0), "on the face": (90, 0, 0),
        "askew": (-90, 50, 0)}


@pytest.mark.parametrize("pitch_deg", [0, 30, -10])
@pytest.mark.parametrize("lies", LIES)
def test_somebody_who_lies_tilts_nothing(body, lies, pitch_deg):
    back, heading, _ = LIES[lies]
    turn = Rotation.from_euler("y", heading, degrees=True) * Rotation.from_euler("x", back, degrees=True)
    person = _seen(_posed(body, hanging_arms() | {"pelvis": np.zeros(3)}, turn, 0.15), pitch_deg)
    assert _pitch(person) == 0.0


def _limbs(hip: float, knee: float, trunk: float) -> dict[str, np.ndarray]:
    """Bent at hips and knees, the trunk forward of where hips are, radians."""
    pose = hanging_arms() | {"pelvis": np.array([trunk, 0, 0])}
    for side in ("left", "right"):
        pose |= {f"{side}_hip": np.array([-hip - trunk, 0, 0]), f"{side}_knee": np.array([knee, 0, 0]),
                 f"{side}_ankle": np.array([hip - knee, 0, 0])}
    return pose


@pytest.mark.parametrize("pitch_deg", [0, 20])
@pytest.mark.parametrize(("hip", "knee", "trunk"), [(1.5, 1.5, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.5), (0.9, 1.6, 0.6)],
                         ids=["sits", "bends far", "bends", "squats"])
def test_somebody_who_sits_or_is_ever_bent_tilts_nothing(body, hip, knee, trunk, pitch_deg):
    assert _pitch(_seen(_posed(body, _limbs(hip, knee, trunk), Rotation.identity(), 0.9), pitch_deg)) == 0.0


def test_who_lies_says_nothing_against_who_walks(body):
    lying = _posed(body, hanging_arms() | {"pelvis": np.zeros(3)}, Rotation.from_euler("x", -90, degrees=True), 0.15)
    walking = _person(body, *walk(body, TIMES_S))
    assert _pitch(_seen(lying, 12), _seen(walking, 12)) == _pitch(_seen(walking, 12))


def test_depths_that_wander_draw_no_slope(body):
    """A single camera's depths drift by decimetres: somebody who stands then slides along the ray on which the feet are seen."""
    still = _seen(_person(body, *walk(body, TIMES_S, speed_m_s=0.0)), 0)
    rays = still.joints_m.mean(axis=1)
    drift = 1 + 0.08 * np.sin(2 * np.pi * 0.4 * TIMES_S)
    root = int(np.flatnonzero(still.rig.joint_parents < 0)[0])
    translation = still.translation_m.copy()
    translation[:, root] += (drift - 1)[:, None] * rays
    assert np.ptp(translation[:, root, 2]) > 0.3
    assert abs(_pitch(replace(still, translation_m=translation))) < 3.0  # of 18° of the ray to the feet


def test_frames_in_which_nobody_was_seen_say_nothing(body):
    person = _seen(_person(body, *walk(body, TIMES_S)), 12)
    stance = stance_of(replace(person, visible=np.zeros(60, bool)))
    assert (len(stance.soles_m), len(stance.upright)) == (0, 0)
    assert _pitch(replace(person, visible=np.zeros(60, bool))) == 0.0


def test_a_rig_without_legs_says_nothing():
    from .synthetic import small_take

    person = small_take(5).people[0]
    assert _pitch(Performance.of_motion(person.rig, TIMES_S[:5], person.motion)) == 0.0
