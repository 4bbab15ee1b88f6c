"""Spikes planted in known motion are found exactly, and nothing else is: not fast moves, not seams, not noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.cleaning.spikes import mend_places, mend_turns, place_pops, turn_pops

from .tumbling import angles_deg, even_times, shaken, tumbling, turned_world, uneven_times, wandering


def _seen(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), bool)


def _planted(frames: int, joints: int, seed: int, runs: int) -> np.ndarray:
    """Runs of one to three frames (F,J), at least five good frames apart and away from the ends."""
    rng, spiked = np.random.default_rng(seed), np.zeros((frames, joints), bool)
    for joint in range(joints):
        for start in rng.choice(np.arange(4, frames - 8, 9), runs, replace=False):
            spiked[start : start + rng.integers(1, 4), joint] = True
    return spiked


@pytest.mark.parametrize("times", [even_times, uneven_times])
@pytest.mark.parametrize("seed", range(4))
def test_planted_spikes_of_turns_are_found_exactly_and_mended(times, seed):
    times_s = times(400)
    truth = tumbling(times_s)  # 2.7° a frame
    given = shaken(truth, 0.004, seed)
    spiked = _planted(400, 3, seed, 12)
    leap = Rotation.random(int(spiked.sum()), random_state=seed).as_rotvec()
    leap *= np.random.default_rng(seed).uniform(0.6, 3.0, (len(leap), 1)) / np.linalg.norm(leap, axis=1, keepdims=True)
    leaps = np.zeros((*spiked.shape, 3))
    leaps[spiked] = leap
    with_spikes = (Rotation.from_quat(given.reshape(-1, 4)) * Rotation.from_rotvec(leaps.reshape(-1, 3))).as_quat().reshape(given.shape)
    mended, found = mend_turns(with_spikes, times_s, _seen(given))
    assert np.array_equal(found, spiked)
    assert angles_deg(mended, given)[~spiked].max() < 1e-5
    # Across up to four intervals the sway bends away from the short way by a degree or so.
    assert angles_deg(mended, truth)[spiked].max() < 3.0


@pytest.mark.parametrize("times", [even_times, uneven_times])
@pytest.mark.parametrize("seed", range(4))
def test_planted_spikes_of_places_are_found_exactly_and_mended(times, seed):
    times_s = times(400)
    truth = wandering(times_s)
    given = truth + np.random.default_rng(seed).normal(0, 0.002, truth.shape)
    spiked = _planted(400, 3, seed, 12)
    leaps = np.random.default_rng(seed + 9).normal(size=(*spiked.shape, 3))
    leaps *= np.random.default_rng(seed).uniform(0.3, 5.0, (*spiked.shape, 1)) / np.linalg.norm(leaps, axis=-1, keepdims=True)
    mended, found = mend_places(np.where(spiked[..., None], given + leaps, given), times_s, _seen(given))
    assert np.array_equal(found, spiked)
    assert np.array_equal(mended[~spiked], given[~spiked])
    assert np.linalg.norm(mended - truth, axis=-1)[spiked].max() < 0.02


def test_a_punch_a_wave_and_a_finger_that_taps_are_no_spikes():
    times_s = even_times(300)
    moves = np.zeros((300, 3, 3))
    moves[:, 0, 2] = 0.6 * np.exp(-0.5 * ((times_s - 10) / 0.06) ** 2)  # 6 m/s
    moves[:, 1, 0] = 0.1 * np.sin(2 * np.pi * 5 * times_s)  # five times a second
    moves[:, 2, 1] = 0.04 * np.clip(1 - np.abs(times_s - 10) / 0.12, 0, 1)  # down and up in a quarter of a second
    for noise in (0.0, 0.002):
        given = moves + np.random.default_rng(0).normal(0, 1, moves.shape) * noise
        assert not mend_places(given, times_s, _seen(given))[1].any()
    turns = Rotation.from_rotvec(3 * moves.reshape(-1, 3)).as_quat().reshape(300, 3, 4)
    assert not mend_turns(turns, times_s, _seen(turns))[1].any()


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_no_spike_however_much_there_is(seed):
    times_s = uneven_times(1000)
    quat = shaken(np.broadcast_to([0.0, 0, 0, 1], (1000, 4, 4)), 0.1, seed)
    assert mend_turns(quat, times_s, _seen(quat))[1].mean() < 1e-3
    places = np.random.default_rng(seed).normal(0, 0.05, (1000, 4, 3))
    assert mend_places(places, times_s, _seen(places))[1].mean() < 1e-3


def test_a_seam_is_no_spike_and_a_spike_is_no_seam():
    times_s = even_times(256)
    batch = (np.arange(256) // 64) % 2
    seam = Rotation.from_rotvec(batch[:, None] * np.array([0.15, 0, 0])).as_quat()[:, None]
    assert not mend_turns(seam, times_s, _seen(seam))[1].any()
    assert np.array_equal(np.flatnonzero(turn_pops(seam)[:, 0]), [63, 127, 191])
    spike = np.tile([0.0, 0.0, 0.0, 1.0], (256, 1, 1))
    spike[100, 0] = Rotation.from_rotvec([0.5, 0, 0]).as_quat()
    assert not turn_pops(spike).any()


def test_seams_are_found_in_motion_that_goes_on_through_them():
    times_s = even_times(256)
    jump = np.arange(256) // 64
    quat = shaken(tumbling(times_s), 0.0005)
    moved = np.stack([turned_world(quat[jump == number], number * np.array([0.0, 0.1, 0.0])) for number in range(4)]).reshape(256, 3, 4)
    assert np.array_equal(np.flatnonzero(turn_pops(moved).any(1)), [63, 127, 191])
    places = wandering(times_s) + 0.05 * jump[:, None, None]
    assert np.array_equal(np.flatnonzero(place_pops(places).any(1)), [63, 127, 191])
    assert not turn_pops(quat).any()
    assert not place_pops(wandering(times_s)).any()


def test_a_spike_of_half_a_turn_does_not_flip_what_comes_after():
    times_s = even_times(60)
    quat = shaken(np.broadcast_to([0.0, 0, 0, 1], (60, 1, 4)), 0.002)
    quat[30, 0] = Rotation.from_rotvec([np.pi, 0, 0]).as_quat()
    mended, found = mend_turns(quat, times_s, _seen(quat))
    assert np.array_equal(np.flatnonzero(found[:, 0]), [30])
    assert angles_deg(mended[30], [0.0, 0, 0, 1]).max() < 1.0


def test_no_more_frames_are_mended_than_told():
    times_s = even_times(100)
    places = np.zeros((100, 1, 3))
    places[20], places[40:42], places[60:63] = 1.0, 1.0, 1.0
    for most, expected in ((1, [20]), (2, [20, 40, 41]), (3, [20, 40, 41, 60, 61, 62])):
        assert np.array_equal(np.flatnonzero(mend_places(places, times_s, _seen(places), most)[1]), expected)


def test_what_takes_longer_than_a_spike_can_is_motion():
    slow = 5.0 + np.arange(60) / 5.0  # five frames a second: three of them last longer than a step aside takes
    places = np.zeros((60, 1, 3))
    places[30:33] = 0.3
    assert not mend_places(places, slow, _seen(places))[1].any()
    assert mend_places(places, even_times(60), _seen(places))[1].sum() == 3


def test_one_nan_frame_changes_nothing_but_itself():
    times_s = even_times(200)
    given = wandering(times_s) + np.random.default_rng(0).normal(0, 0.002, (200, 3, 3))
    given[50, 1] += 0.5
    holed = given.copy()
    holed[120] = np.nan
    mended, found = mend_places(given, times_s, _seen(given))
    around, found_around = mend_places(holed, times_s, _seen(given))
    assert np.array_equal(found, found_around)
    assert not found_around[120].any()
    assert np.array_equal(np.delete(mended, 120, axis=0), np.delete(around, 120, axis=0))
    assert np.isfinite(around).all()


def test_a_hole_beside_a_spike_is_no_spike_and_both_are_mended():
    times_s = even_times(60)
    places = np.zeros((60, 1, 3))
    places[30], places[31] = 1.0, np.nan
    mended, found = mend_places(places, times_s, _seen(places))
    assert np.array_equal(np.flatnonzero(found[:, 0]), [30])
    assert not mended.any()


def test_a_turned_world_has_the_same_spikes():
    times_s = even_times(120)
    quat = shaken(tumbling(times_s), 0.004)
    quat[60, 1] = Rotation.from_rotvec([1.0, 2.0, 0.0]).as_quat()
    turn = np.array([2.0, -1.0, 0.5])
    mended, found = mend_turns(quat, times_s, _seen(quat))
    turned, also = mend_turns(turned_world(quat, turn), times_s, _seen(quat))
    assert np.array_equal(found, also)
    assert found.sum() == 1
    assert angles_deg(turned, turned_world(mended, turn)).max() < 1e-5


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_clips_of_a_few_frames_have_none(frames):
    quat = tumbling(even_times(10))[:frames]
    assert not mend_turns(quat, even_times(frames), _seen(quat))[1].any()
    assert turn_pops(quat).shape == (frames - 1, 3)
