"""Motion at another rate against the motion itself: continuous, sampled at 120, and asked for where nobody sampled it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.performance import Performance
from rigdrop.convert.resample import Resampling, resampled, resampled_camera, times_at
from rigdrop.motion.take import Camera

from .bodies import humanoid

RECORDED_S = np.arange(241) / 120
STEP_S = 1 / 120
RATES = [Fraction(30), Fraction(25), Fraction(60000, 1001), Fraction(240)]
RIG = humanoid()
JOINTS = len(RIG.joint_names)
PHASE = np.linspace(0, 6, JOINTS)


def _turns(times_s: np.ndarray) -> Rotation:
    """Joints (F·J) that swing about one axis while it turns about another, through more than a whole turn."""
    t = times_s[:, None] + PHASE
    swing = Rotation.from_rotvec(np.stack([1.4 * np.sin(5 * t), 0 * t, 0 * t], -1).reshape(-1, 3))
    turn = Rotation.from_rotvec(np.stack([0 * t, 3.5 * t, 0.4 * np.cos(3 * t)], -1).reshape(-1, 3))
    return turn * swing


def _places(times_s: np.ndarray) -> np.ndarray:
    t = times_s[:, None] + PHASE
    return np.stack([0.3 * np.sin(4 * t), 0.8 * t, 0.1 * np.cos(7 * t)], -1)


_MOST_M_S2 = np.hypot(0.3 * 16, 0.1 * 49)  # of the places' acceleration


def _performance(times_s: np.ndarray, **changes: np.ndarray) -> Performance:
    frames = len(times_s)
    # Either sign of a quaternion is the same turn, and files have both.
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (frames, JOINTS, 1))
    arrays = {"quat_xyzw": _turns(times_s).as_quat().reshape(frames, JOINTS, 4) * signs, "translation_m": _places(times_s),
              "visible": np.ones(frames, bool), "confidence": np.ones(frames, np.float32), "known": np.ones((frames, JOINTS), bool)}
    return Performance(RIG, times_s, **{**arrays, **changes})


def _angular_acceleration_most() -> float:
    """Of the true motion, from turns 0.1 ms apart."""
    fine_s, near_s = np.arange(0, 2, 0.004), 1e-4
    before, here, after = (_turns(fine_s + offset) for offset in (-near_s, 0.0, near_s))
    speed = (here.inv() * after).as_rotvec() / near_s, (before.inv() * here).as_rotvec() / near_s
    return float(np.linalg.norm(speed[0] - speed[1], axis=1).max() / near_s)


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_turns_and_places_are_as_near_to_the_motion_as_straight_lines_between_its_frames_can_be(rate):
    times_s = times_at(RECORDED_S, rate)
    ours = resampled(_performance(RECORDED_S), Resampling.of(RECORDED_S, times_s))
    off_rad = (_turns(times_s).inv() * Rotation.from_quat(ours.quat_xyzw.reshape(-1, 4))).magnitude()
    off_m = np.linalg.norm(ours.translation_m - _places(times_s), axis=-1)
    if rate == 30:  # every fourth frame, as it is
        assert off_rad.max() < 1e-7 and off_m.max() < 1e-12
        return
    # What is lost between two samples of a curve: an eighth of the step squared times the acceleration; on a sphere a hair more.
    assert off_rad.max() < 1.01 * STEP_S**2 / 8 * _angular_acceleration_most()
    assert off_m.max() < STEP_S**2 / 8 * _MOST_M_S2
    # The nearest frame would be off by half a step of speed, a hundred times that.
    assert np.degrees(off_rad.max()) < 0.05 and off_m.max() < 0.1e-3
    np.testing.assert_allclose(np.linalg.norm(ours.quat_xyzw, axis=-1), 1, atol=1e-12)


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_times_are_exact_and_end_with_the_recording(rate):
    times_s = times_at(RECORDED_S, rate)
    assert times_s.tolist() == [float(number / rate) for number in range(int(2 * rate) + 1)]
    late = times_at(RECORDED_S + 0.25, rate)
    np.testing.assert_allclose(late, 0.25 + times_s, rtol=0, atol=1e-15)
    assert times_at(RECORDED_S, None) is RECORDED_S


def test_one_frame_stays_one_frame():
    one = np.array([0.4])
    assert times_at(one, Fraction(60)).tolist() == [0.4]
    ours = resampled(_performance(one), Resampling.of(one, times_at(one, Fraction(60))))
    assert ours.frame_count == 1 and ours.visible.all()


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_as_much_is_seen_and_known_between_frames_as_on_both_sides(rate):
    chance = np.random.default_rng(3)
    visible, known = chance.random(241) > 0.2, chance.random((241, JOINTS)) > 0.1
    confidence = np.where(visible, 0.8, 0.0).astype(np.float32)
    times_s = times_at(RECORDED_S, rate)
    ours = resampled(_performance(RECORDED_S, visible=visible, known=known, confidence=confidence), Resampling.of(RECORDED_S, times_s))
    for frame, time_s in enumerate(times_s):  # counted on fingers
        place = Fraction(frame) / rate * 120
        sides = {int(np.floor(place)), int(np.ceil(place))}
        assert ours.visible[frame] == all(visible[side] for side in sides), time_s
        np.testing.assert_array_equal(ours.known[frame], np.all([known[side] for side in sides], axis=0))
        if ours.visible[frame]:
            assert ours.confidence[frame] == pytest.approx(0.8)


def test_nobody_is_seen_in_a_hole_of_the_recording():
    recorded_s = np.delete(RECORDED_S, np.arange(60, 70))
    times_s = times_at(recorded_s, Fraction(240))
    ours = resampled(_performance(recorded_s), Resampling.of(recorded_s, times_s))
    inside = (times_s > 59.1 / 120) & (times_s < 69.9 / 120)  # the last frame before it is the 60th, the first after it the 71st
    np.testing.assert_array_equal(ours.visible, ~inside)
    assert not ours.known[inside].any() and not ours.confidence[inside].any()


def test_the_same_rate_is_the_same_motion():
    whole = _performance(RECORDED_S)
    ours = resampled(whole, Resampling.of(RECORDED_S, times_at(RECORDED_S, Fraction(120))))
    for name in ("times_s", "quat_xyzw", "translation_m", "visible", "confidence", "known"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(whole, name))


def test_scales_and_meshes_go_straight():
    frames = len(RECORDED_S)
    scale = np.linspace(0.5, 2.0, frames)[:, None] * np.ones(JOINTS)
    way = Resampling.of(RECORDED_S, times_at(RECORDED_S, Fraction(25)))
    ours = resampled(_performance(RECORDED_S, scale=scale), way)
    np.testing.assert_allclose(ours.scale, (0.5 + 0.75 * ours.times_s)[:, None] * np.ones(JOINTS), rtol=1e-12)
    meshes = (RECORDED_S[:, None, None] * np.random.default_rng(1).normal(size=(700, 3))).astype(np.float32)
    truth = ours.times_s[:, None, None] * meshes[120]  # one second in
    np.testing.assert_allclose(way.straight(meshes), truth, atol=1e-6)
    assert way.straight(meshes).dtype == np.float32


def test_what_can_not_be_blended_is_picked_where_every_frame_lies_on_a_recorded_one():
    values = {"box": np.arange(241)}
    picked = Resampling.of(RECORDED_S, times_at(RECORDED_S, Fraction(30))).picked(values)
    assert picked["box"].tolist() == list(range(0, 241, 4))
    assert Resampling.of(RECORDED_S, times_at(RECORDED_S, Fraction(25))).picked(values) == {}


def test_a_camera_that_moves_is_where_it_was_between():
    T_world_camera = np.tile(np.eye(4), (3, 1, 1))
    T_world_camera[:, :3, :3] = Rotation.from_rotvec([[0, 0, 0], [0, 0.2, 0], [0.4, 0, 0]]).as_matrix()
    T_world_camera[:, 0, 3] = [0, 1, 4]
    lens = np.eye(3) * np.array([1.0, 2.0, 3.0])[:, None, None]
    camera = resampled_camera(Camera(64, 48, lens, T_world_camera), Resampling.of(np.arange(3.0), np.array([0.25, 1.0, 1.5])))
    middle = Rotation.from_rotvec([0, 0.2, 0])
    halfway = middle * Rotation.from_rotvec((middle.inv() * Rotation.from_rotvec([0.4, 0, 0])).as_rotvec() / 2)
    truth = np.stack([Rotation.from_rotvec([0, 0.05, 0]).as_matrix(), middle.as_matrix(), halfway.as_matrix()])
    np.testing.assert_allclose(camera.world_from_camera[:, :3, :3], truth, atol=1e-12)
    np.testing.assert_allclose(camera.world_from_camera[:, 0, 3], [0.25, 1, 2.5], atol=1e-12)
    np.testing.assert_allclose(camera.intrinsics_px[:, 0, 0], [1.25, 2, 2.5], atol=1e-12)
    still = replace(camera, intrinsics_px=np.eye(3), world_from_camera=np.eye(4))
    same = resampled_camera(still, Resampling.of(np.arange(3.0), np.array([0.5])))
    assert same.world_from_camera.shape == (4, 4) and same.intrinsics_px.shape == (3, 3)
