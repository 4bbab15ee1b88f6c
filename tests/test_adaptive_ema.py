"""SAM-Body4D's scheme: each of its cases is planted, and its constants are seen to be at work."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from rigdrop.convert.cleaning.adaptive_ema import adaptive_ema_places, adaptive_ema_turns

from .tumbling import angles_deg, even_times, rms, shaken, tumbling, turned_world, uneven_times, wandering

GLOBAL, BODY = np.array([0]), np.array([1])


def _seen(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), bool)


def _about_x(angle: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(angle[:, None] * np.array([1.0, 0, 0])).as_quat()[:, None]


def _angle(quat: np.ndarray) -> np.ndarray:
    return np.unwrap(Rotation.from_quat(quat[:, 0]).as_rotvec()[:, 0])


def _ema_both_ways(signal: np.ndarray, share: float) -> np.ndarray:
    ways = []
    for way in (signal, signal[::-1]):
        start = (1 - share) * way[:1]
        ways.append(lfilter([share], [1, share - 1], way, axis=0, zi=start)[0])
    return (ways[0] + ways[1][::-1]) / 2


@pytest.mark.parametrize(("group", "share", "sway"), [(BODY, 0.18, 0.02), (GLOBAL, 0.10, 0.005)])
def test_what_is_nearly_still_is_an_exponential_mean(group, share, sway):
    times_s = even_times(200)
    angle = np.random.default_rng(0).uniform(-sway, sway, 200)
    expected = _ema_both_ways(angle, share)
    kept = adaptive_ema_turns(_about_x(angle), times_s, np.ones(200, bool), group)
    assert np.abs(_angle(kept) - expected).max() < 1e-6  # chordal means of milliradians


@pytest.mark.parametrize("step", [0.25, 0.5])
def test_what_moves_is_not_touched(step):
    times_s = even_times(100)
    quat = _about_x(step * np.arange(100))  # round and round
    assert angles_deg(adaptive_ema_turns(quat, times_s, _seen(quat), BODY), quat).max() < 1e-5


def test_in_between_only_jumps_are_softened_to_nine_hundredths():
    times_s = even_times(100)
    angle = 0.1 * np.arange(100.0)  # median 0.1 a frame: neither still nor moving
    angle[50] += 0.4
    kept = _angle(adaptive_ema_turns(_about_x(angle), times_s, np.ones(100, bool), BODY))
    # Into the jump (0.5) and out of it (−0.3) a frame counts for 0.09, either way; all other frames are as they were.
    ahead, back = angle.copy(), angle.copy()
    for frame in (50, 51):
        ahead[frame] = ahead[frame - 1] + 0.09 * (angle[frame] - ahead[frame - 1])
    for frame in (50, 49):
        back[frame] = back[frame + 1] + 0.09 * (angle[frame] - back[frame + 1])
    assert kept == pytest.approx((ahead + back) / 2, abs=1e-3)  # chordal means over 0.5 rad
    assert np.abs(np.delete(kept - angle, [49, 50, 51])).max() < 1e-6
    assert abs(kept[50] - 0.1 * 50) < 0.1 * 0.4 + 1e-3


def test_a_jump_of_what_moves_is_a_move():
    times_s = even_times(60)  # less than the window of 64 frames: one judgement for all
    angle = 0.1 * np.arange(60.0)
    angle[30:] += 0.7  # 0.8 in one frame is above 0.75
    quat = _about_x(angle)
    assert angles_deg(adaptive_ema_turns(quat, times_s, _seen(quat), BODY), quat).max() < 1e-5


def test_the_whole_persons_turn_has_no_jumps_to_soften():
    times_s = even_times(100)
    angle = 0.05 * np.arange(100.0)
    angle[50] += 0.4
    quat = _about_x(angle)
    assert angles_deg(adaptive_ema_turns(quat, times_s, _seen(quat), GLOBAL), quat).max() < 1e-5


def test_joints_of_a_group_are_judged_together():
    times_s = even_times(100)
    quat = np.concatenate([_about_x(0.3 * np.arange(100)), shaken(_about_x(np.zeros(100)), 0.005)], axis=1)
    together = adaptive_ema_turns(quat, times_s, _seen(quat), np.array([1, 1]))
    apart = adaptive_ema_turns(quat, times_s, _seen(quat), np.array([1, 2]))
    assert angles_deg(together, quat).max() < 1e-5  # one of them moves, so both are let alone
    assert rms(angles_deg(apart[:, 1], quat[0, 1])) < 0.6 * rms(angles_deg(quat[:, 1], quat[0, 1]))


def test_a_long_track_is_judged_around_each_frame_and_has_no_seam_every_64():
    times_s = even_times(640)
    rng = np.random.default_rng(0)
    angle = np.where(np.arange(640) < 320, 0.0, 0.3 * (np.arange(640) - 320)) + rng.uniform(-0.01, 0.01, 640)
    kept = _angle(adaptive_ema_turns(_about_x(angle), times_s, np.ones(640, bool), BODY))
    assert np.std(kept[20:270]) < 0.5 * np.std(angle[20:270])
    assert np.abs(kept[300:] - angle[300:]).max() < 1e-6
    still = np.abs(np.diff(kept[:270]))
    assert still[63::64].max() < 3 * np.median(still) + 0.01


def test_the_roots_place_is_smoothed_in_metres():
    times_s = even_times(200)
    place = np.random.default_rng(0).uniform(-0.002, 0.002, (200, 1, 3))
    assert np.abs(adaptive_ema_places(place, times_s, _seen(place)) - _ema_both_ways(place, 0.1)).max() < 1e-12
    walk = times_s[:, None, None] * np.array([[0.3, 0.0, 0.0]])  # as slowly as people walk
    assert np.abs(adaptive_ema_places(walk, times_s, _seen(walk)) - walk).max() < 1e-12


def test_its_constants_hold_for_any_rate():
    kept = {}
    for fps in (30, 120):
        times_s = even_times(4 * fps, fps)
        angle = 0.1 * np.clip((times_s - times_s[0] - 2) / 0.5, 0, 1)  # a slow turn of somebody who is nearly still
        kept[fps] = _angle(adaptive_ema_turns(_about_x(angle), times_s, np.ones(4 * fps, bool), BODY))[:: fps // 30]
    # At 0.2 rad/s half a frame's difference in sampling is 3 mrad; shares taken a frame would make it 13.
    assert np.abs(kept[30] - kept[120]).max() < 0.004
    assert np.abs(kept[30] - angle[::4]).max() > 0.01  # the mean is at work: it rounds the corners off


def test_a_slow_turn_does_not_lag():
    times_s = even_times(300)
    angle = 0.015 * np.arange(300)  # 26°/s, which counts as still: looking back alone, it would lag by 9 frames
    kept = _angle(adaptive_ema_turns(_about_x(angle), times_s, np.ones(300, bool), GLOBAL))
    assert np.abs(kept - angle)[60:-60].max() < 1e-3


def test_a_reversed_clip_gives_the_reversed_result():
    times_s = uneven_times(200)
    back, group = (times_s[-1] - times_s)[::-1], np.array([0, 1, 1])
    quat, places = shaken(tumbling(times_s, turns=0.8), 0.005), 0.02 * wandering(times_s)
    ahead, reverse = adaptive_ema_turns(quat, times_s, _seen(quat), group), adaptive_ema_turns(quat[::-1], back, _seen(quat), group)
    assert angles_deg(ahead, reverse[::-1]).max() < 1e-5
    ahead, reverse = adaptive_ema_places(places, times_s, _seen(places)), adaptive_ema_places(places[::-1], back, _seen(places))
    assert np.abs(ahead - reverse[::-1]).max() < 1e-9
    assert np.abs(ahead - places).max() > 1e-4  # there was something to do


def test_what_stands_still_stands_still():
    times_s = uneven_times(90)
    quat = np.broadcast_to(Rotation.random(4, random_state=1).as_quat(), (90, 4, 4))
    assert angles_deg(adaptive_ema_turns(quat, times_s, _seen(quat), np.array([0, 1, 1, 2])), quat).max() < 1e-5
    places = np.broadcast_to(wandering(times_s)[:1], (90, 3, 3))
    assert np.abs(adaptive_ema_places(places, times_s, _seen(places)) - places).max() < 1e-12


@pytest.mark.parametrize("group", [0, 1])
def test_a_joint_may_turn_through_pi_and_round(group):
    times_s = even_times(300)
    truth = tumbling(times_s, turns=4.0)
    kept = adaptive_ema_turns(shaken(truth, 0.002), times_s, _seen(truth), np.full(3, group))
    assert angles_deg(kept, truth).max() < 2.0  # Euler angles that wrap would be off by up to 180°
    assert (np.sum(kept[1:] * kept[:-1], axis=-1) > 0).all()


def test_a_turned_world_gives_the_turned_result():
    times_s = uneven_times(120)
    quat, turn = shaken(tumbling(times_s), 0.01), np.array([2.0, -1.0, 0.5])
    group = np.array([0, 1, 1])
    kept = adaptive_ema_turns(quat, times_s, _seen(quat), group)
    assert angles_deg(adaptive_ema_turns(turned_world(quat, turn), times_s, _seen(quat), group), turned_world(kept, turn)).max() < 1e-5


def test_a_nan_frame_goes_no_further_than_the_mean_remembers():
    times_s = even_times(300)
    places = 0.001 * np.random.default_rng(0).normal(size=(300, 1, 3))
    holed = places.copy()
    holed[150] = np.nan
    kept, around = (adaptive_ema_places(values, times_s, _seen(values)) for values in (places, holed))
    apart = np.abs(kept - around).max((1, 2))
    assert np.isfinite(around).all()
    # The frame counts for a tenth, of which 0.9 a frame remains; its noise is of 1 mm.
    assert apart.max() < 0.1 * 0.006
    assert apart[[50, 250]].max() < 0.1 * 0.006 * 0.9**100
