"""Smoothing against what it promises: fast moves stay, jitter goes, nothing shifts in time, nothing unseen counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from rigdrop.convert import smooth
from rigdrop.convert.smooth import SmoothOptions, smooth_places, smooth_turns

SECONDS = 4


def _times(fps: float) -> np.ndarray:
    return np.arange(round(SECONDS * fps)) / fps


def _seen(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), bool)


def _peak_speed(places_m: np.ndarray, times_s: np.ndarray) -> float:
    return float((np.linalg.norm(np.diff(places_m, axis=0), axis=-1) / np.diff(times_s)[:, None]).max())


def _jitter(places_m: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(places_m, 3, axis=0), axis=-1).mean())


def _turn_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma_rad: float) -> Rotation:
    return Rotation.from_rotvec(rng.normal(0, sigma_rad, (int(np.prod(shape)), 3)))


def _angles_deg(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.degrees((Rotation.from_quat(left.reshape(-1, 4)).inv() * Rotation.from_quat(right.reshape(-1, 4))).magnitude())


# A punch goes out and back, 60 cm, in about a quarter of a second: 6 m/s at its fastest. A fit's noise is some 2 mm a
# frame; at 5 mm the noise adds a tenth to the speed that is given, so that the punch itself is the measure.


def _punch(times_s: np.ndarray, width_s: float) -> np.ndarray:
    places_m = np.zeros((len(times_s), 1, 3))
    places_m[:, 0, 2] = 0.6 * np.exp(-0.5 * ((times_s - 2) / width_s) ** 2)
    return places_m


@pytest.mark.parametrize("fps", [25, 30, 60])
@pytest.mark.parametrize("noise_m", [0.0, 0.002, 0.005])
@pytest.mark.parametrize("width_s", [0.06, 0.08, 0.1])
def test_a_punch_keeps_nine_tenths_of_its_speed(fps, noise_m, width_s):
    times_s = _times(fps)
    punch = _punch(times_s, width_s)
    for seed in range(5):
        given_m = punch + np.random.default_rng(seed).normal(0, 1, punch.shape) * noise_m
        kept = _peak_speed(smooth_places(given_m, times_s, _seen(times_s)), times_s)
        assert kept >= 0.9 * _peak_speed(given_m if noise_m < 0.003 else punch, times_s)


@pytest.mark.parametrize("fps", [30, 60])
def test_a_fast_turn_keeps_nine_tenths_of_its_speed(fps):
    times_s = _times(fps)
    angle = 1.8 * np.exp(-0.5 * ((times_s - 2) / 0.08) ** 2)
    axis = np.array([0.0, -0.6, 0.8])
    for seed in range(5):
        noise = _turn_noise(np.random.default_rng(seed), times_s.shape, 0.008)  # 5 mm at the end of an arm
        quat = (Rotation.from_rotvec(angle[:, None] * axis) * noise).as_quat()[:, None]
        kept = smooth_turns(quat, times_s, _seen(times_s))
        speed = [np.max(_angles_deg(values[:-1], values[1:])) for values in (quat, kept)]
        assert speed[1] >= 0.9 * speed[0]


@pytest.mark.parametrize("fps", [25, 30, 60])
@pytest.mark.parametrize("noise_m", [0.002, 0.005])
def test_a_still_persons_jitter_falls_to_a_fifth(fps, noise_m):
    times_s = _times(fps)
    for seed in range(5):
        given_m = np.random.default_rng(seed).normal(0, 1, (len(times_s), 3, 3)) * noise_m + [0.1, 1.0, -3]
        assert _jitter(smooth_places(given_m, times_s, _seen(times_s))) < _jitter(given_m) / 5


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_a_still_joints_jitter_falls_to_a_fifth(fps):
    times_s = _times(fps)
    rest = Rotation.from_rotvec([1.0, 2.0, -0.5])
    for seed in range(5):
        quat = (rest * _turn_noise(np.random.default_rng(seed), times_s.shape, 0.01)).as_quat()[:, None]
        hand = [
            Rotation.from_quat(values[:, 0]).apply([0, -0.6, 0])[:, None] for values in (quat, smooth_turns(quat, times_s, _seen(times_s)))
        ]
        assert _jitter(hand[1]) < _jitter(hand[0]) / 5


def test_somebody_who_punches_is_still_before_and_after():
    times_s = _times(30)
    given_m = np.random.default_rng(0).normal(0, 0.003, (len(times_s), 1, 3))
    given_m += _punch(times_s, 0.06)
    kept = smooth_places(given_m, times_s, _seen(times_s))
    for quiet in (times_s < 1.4, times_s > 2.6):
        assert _jitter(kept[quiet]) < _jitter(given_m[quiet]) / 5


def test_smoothing_brings_motion_nearer_to_the_truth():
    times_s = _times(30)
    truth = np.stack([0.3 * np.sin(3 * times_s), 0.2 * np.cos(2 * times_s), -3 + 0.5 * np.sin(times_s)], -1)[:, None]
    given_m = truth + np.random.default_rng(0).normal(0, 0.005, truth.shape)
    kept = smooth_places(given_m, times_s, _seen(times_s))
    assert np.linalg.norm(kept - truth, axis=-1).mean() < 0.6 * np.linalg.norm(given_m - truth, axis=-1).mean()


# Rotations live on a sphere.


@pytest.mark.parametrize("turns", [1.0, 2.0, 5.0])
def test_a_joint_may_turn_through_pi_and_round(turns):
    times_s = _times(30)
    angle = turns * np.pi * times_s / SECONDS * 2 + 0.3 * np.sin(2 * times_s)
    truth = Rotation.from_rotvec(angle[:, None] * np.array([0.6, 0.0, 0.8])).as_quat()[:, None]
    noise = _turn_noise(np.random.default_rng(0), times_s.shape, 0.01)
    given_quat = (Rotation.from_quat(truth[:, 0]) * noise).as_quat()[:, None]
    kept = smooth_turns(given_quat, times_s, _seen(times_s))
    assert _angles_deg(kept, truth).max() < 3.0  # 0.01 rad of noise an axis is 0.6°; a flip would be tens of degrees
    assert _angles_deg(kept, truth).mean() < _angles_deg(given_quat, truth).mean()
    assert (np.sum(kept[1:] * kept[:-1], axis=-1) > 0).all()


def test_signs_of_quaternions_mean_nothing():
    times_s, rng = _times(30), np.random.default_rng(0)
    quat = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.05, (len(times_s), 3)), axis=0)).as_quat()[:, None]
    flipped = quat * rng.choice([-1.0, 1.0], (len(times_s), 1, 1))
    assert _angles_deg(smooth_turns(quat, times_s, _seen(times_s)), smooth_turns(flipped, times_s, _seen(times_s))).max() < 1e-5


def test_a_turned_world_gives_the_turned_result():
    times_s, rng = _times(30), np.random.default_rng(0)
    path = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.05, (len(times_s), 3)), axis=0))
    world = Rotation.from_rotvec([2.0, -1.0, 0.5])
    kept = smooth_turns(path.as_quat()[:, None], times_s, _seen(times_s))
    turned = smooth_turns((world * path).as_quat()[:, None], times_s, _seen(times_s))
    assert _angles_deg((world * Rotation.from_quat(kept[:, 0])).as_quat(), turned[:, 0]).max() < 1e-5


# Time.


def _wandering(times_s: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 0.4 * np.sin(2.5 * times_s[:, None, None] + rng.uniform(0, 6, (1, 2, 3)))
    values[:, :, 0] += 0.5 * np.exp(-0.5 * ((times_s - 1.5) / 0.07) ** 2)[:, None]
    return values + rng.normal(0, 0.004, values.shape)


@pytest.mark.parametrize("even", [True, False])
def test_a_reversed_clip_gives_the_reversed_result(even):
    times_s = _times(30) if even else np.cumsum(np.random.default_rng(1).uniform(0.01, 0.06, 120))
    places, back = _wandering(times_s), (times_s[-1] - times_s)[::-1]
    seen = np.random.default_rng(2).random(len(times_s)) > 0.1
    assert np.abs(smooth_places(places[::-1], back, seen[::-1])[::-1] - smooth_places(places, times_s, seen)).max() < 1e-9
    quat = Rotation.from_rotvec(places.reshape(-1, 3)).as_quat().reshape(-1, 2, 4)
    assert _angles_deg(smooth_turns(quat[::-1], back, seen[::-1])[::-1], smooth_turns(quat, times_s, seen)).max() < 1e-5


def test_the_middle_of_a_move_stays_where_it_is_in_time():
    times_s = _times(60)
    bump = np.exp(-0.5 * ((times_s - 2) / 0.1) ** 2)
    kept = smooth_places(np.tile(bump[:, None, None], (1, 1, 3)), times_s, _seen(times_s))[:, 0, 0]
    assert abs((kept * times_s).sum() / kept.sum() - 2) < 1e-4


def test_uneven_times_are_taken_as_they_are():
    # Half of the frames come in pairs; by their number, an even walk would limp.
    times_s = np.cumsum(np.tile([0.005, 0.061], 60))
    walk = np.stack([1.2 * times_s, 0 * times_s, -3 + 0 * times_s], -1)[:, None]
    given_m = walk + np.random.default_rng(0).normal(0, 0.003, walk.shape)
    kept = smooth_places(given_m, times_s, _seen(times_s))
    inner = slice(15, -15)
    assert np.linalg.norm(kept - walk, axis=-1)[inner].mean() < 0.75 * np.linalg.norm(given_m - walk, axis=-1)[inner].mean()


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_clips_of_a_few_frames(frames):
    times_s = np.arange(frames) / 30
    places = np.random.default_rng(0).normal(0, 0.1, (frames, 2, 3))
    quat = Rotation.from_rotvec(places.reshape(-1, 3)).as_quat().reshape(frames, 2, 4)
    assert np.abs(smooth_places(places, times_s, _seen(times_s)) - places).max() < 0.5
    kept = smooth_turns(quat, times_s, _seen(times_s))
    assert np.allclose(np.linalg.norm(kept, axis=-1), 1)


# What was not seen.


def test_unseen_values_count_for_nothing():
    times_s = _times(30)
    places, seen = _wandering(times_s), np.random.default_rng(3).random(len(times_s)) > 0.2
    lies, nothing = places.copy(), places.copy()
    lies[~seen] += 100
    nothing[~seen] = np.nan
    kept = smooth_places(places, times_s, seen)
    assert np.array_equal(kept, smooth_places(lies, times_s, seen))
    assert np.array_equal(kept, smooth_places(nothing, times_s, _seen(times_s)))
    quat = Rotation.from_rotvec(places.reshape(-1, 3)).as_quat().reshape(-1, 2, 4)
    other = np.where(seen[:, None, None], quat, Rotation.from_rotvec([3.0, 0, 0]).as_quat())
    assert _angles_deg(smooth_turns(quat, times_s, seen), smooth_turns(other, times_s, seen)).max() < 1e-6


def test_each_joint_has_its_own_mask():
    times_s = _times(30)
    places, seen = _wandering(times_s), np.ones((120, 2), bool)
    seen[40:60, 1] = False
    kept = smooth_places(places, times_s, seen)
    assert np.array_equal(kept[:, 0], smooth_places(places, times_s, _seen(times_s))[:, 0])
    assert not np.array_equal(kept[:, 1], smooth_places(places, times_s, _seen(times_s))[:, 1])


def test_a_gap_is_bridged_the_short_way_and_ends_are_held():
    times_s = np.arange(9) / 30
    angle = np.array([np.nan, 3.0, np.nan, np.nan, 3.6, np.nan, np.nan, 3.0, np.nan])  # through π
    quat = np.full((9, 1, 4), np.nan)
    known = np.isfinite(angle)
    quat[known, 0] = Rotation.from_rotvec(angle[known, None] * np.array([0, 1.0, 0])).as_quat()
    filled = smooth_turns(quat, times_s, known, SmoothOptions(smooth=0))
    expected = np.array([3.0, 3.0, 3.2, 3.4, 3.6, 3.4, 3.2, 3.0, 3.0])
    assert _angles_deg(filled[:, 0], Rotation.from_rotvec(expected[:, None] * np.array([0, 1.0, 0])).as_quat()).max() < 1e-5
    places = np.full((9, 1, 3), np.nan)
    places[known, 0] = angle[known, None]
    assert np.allclose(smooth_places(places, times_s, known, SmoothOptions(smooth=0))[:, 0, 1], expected)


def test_nothing_seen_gives_the_identity():
    quat = np.full((20, 3, 4), np.nan)
    assert np.array_equal(smooth_turns(quat, np.arange(20) / 30, np.zeros(20, bool)), np.tile([0.0, 0, 0, 1], (20, 3, 1)))
    assert np.isfinite(smooth_places(np.full((20, 3, 3), np.nan), np.arange(20) / 30, np.zeros(20, bool))).all()


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    frames=st.integers(1, 40),
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.05, 0.5, 0.95]),
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_nothing_that_is_no_number_comes_out(frames, seed, share, bad):
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(rng.uniform(0.01, 0.1, frames))
    seen = rng.random((frames, 2)) > 0.3
    places = rng.normal(0, 1, (frames, 2, 3))
    places[rng.random(places.shape) < share] = bad
    quat = rng.normal(0, 1, (frames, 2, 4))
    quat[rng.random(quat.shape) < share] = bad
    quat[rng.random(quat.shape[:2]) < 0.1] = 0.0
    assert np.isfinite(smooth_places(places, times_s, seen)).all()
    kept = smooth_turns(quat, times_s, seen)
    assert np.allclose(np.linalg.norm(kept, axis=-1), 1)


# Options, and what must not matter.


def test_no_strength_leaves_the_motion_and_more_is_softer():
    times_s = _times(30)
    places = _wandering(times_s)
    off, one, two = (smooth_places(places, times_s, _seen(times_s), SmoothOptions(smooth=strength)) for strength in (0.0, 1.0, 2.0))
    assert np.array_equal(off, places)
    assert _jitter(two) < _jitter(one) < _jitter(off)


def test_joints_do_not_know_of_each_other():
    times_s = _times(30)
    places = _wandering(times_s)
    both = smooth_places(places, times_s, _seen(times_s))
    assert np.abs(both[:, 1:] - smooth_places(places[:, 1:], times_s, _seen(times_s))).max() < 1e-12


def test_blocks_of_a_long_clip_do_not_show(monkeypatch):
    times_s = _times(30)
    places = _wandering(times_s)
    whole = smooth_places(places, times_s, _seen(times_s))
    monkeypatch.setattr(smooth, "_BLOCK_VALUES", 2000)
    assert np.abs(smooth_places(places, times_s, _seen(times_s)) - whole).max() < 1e-12


def test_joints_of_a_long_clip_are_taken_in_turn_and_it_does_not_show(monkeypatch):
    rng, times_s = np.random.default_rng(2), _times(30)
    quat = _turn_noise(rng, (len(times_s), 5), 0.1).as_quat().reshape(-1, 5, 4)
    places = rng.normal(0, 0.1, (len(times_s), 5, 3))
    whole = smooth_turns(quat, times_s, _seen(quat)), smooth_places(places, times_s, _seen(places))
    monkeypatch.setattr(smooth, "_VALUES_AT_ONCE", 2 * len(times_s))
    assert np.abs(smooth_turns(quat, times_s, _seen(quat)) - whole[0]).max() < 1e-12
    assert np.abs(smooth_places(places, times_s, _seen(places)) - whole[1]).max() < 1e-12


@pytest.mark.parametrize("least_s", [0.0, 0.05, 0.15])
def test_a_least_window_takes_bursts_of_noise_away(least_s):
    times_s = _times(30)
    rng = np.random.default_rng(0)
    burst = (times_s > 2) & (times_s < 2.3)
    quat = Rotation.from_rotvec(rng.normal(0, 0.002, (len(times_s), 3)) + burst[:, None] * rng.normal(0, 0.2, (len(times_s), 3))).as_quat()[
        :, None
    ]
    kept = smooth_turns(quat, times_s, _seen(times_s), least_s=least_s)
    assert _angles_deg(kept[:-1], kept[1:]).max() < _angles_deg(quat[:-1], quat[1:]).max() * (1.01 if least_s == 0 else 0.6)


def test_the_input_is_left_as_it_was():
    times_s = _times(30)
    places = _wandering(times_s)
    quat, kept = Rotation.from_rotvec(places[:, 0]).as_quat()[:, None], places.copy()
    smooth_places(places, times_s, _seen(times_s))
    before = quat.copy()
    smooth_turns(quat, times_s, _seen(times_s))
    assert np.array_equal(places, kept)
    assert np.array_equal(quat, before)
