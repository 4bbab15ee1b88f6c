"""Gaps: planted in motion whose truth is known, at even and uneven times."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from rigdrop.convert.cleaning.fill import bridge_places, bridge_turns, whole_places, whole_turns

from .tumbling import angles_deg, even_times, shaken, steady_turns, tumbling, uneven_times, wandering

SPEEDS_RAD_S = np.array([[0.0, 4.0, 0.0], [1.0, -2.0, 0.5]])


def _seen(shape: tuple[int, ...], share: float = 0.7, seed: int = 1) -> np.ndarray:
    seen = np.random.default_rng(seed).random(shape) < share
    seen[[0, -1]] = True
    return seen


def test_steady_turns_come_back_exactly_from_gaps_at_uneven_times():
    times_s = uneven_times(200)
    truth = steady_turns(times_s, SPEEDS_RAD_S)
    seen = _seen(truth.shape[:2])
    given = np.where(seen[..., None], shaken(truth, 0.0), np.nan)  # signs by chance
    filled, mask = whole_turns(given, times_s, np.ones(200, bool))
    assert np.array_equal(mask, seen)
    assert angles_deg(filled, truth).max() < 1e-5  # a quaternion's own precision near the identity, in degrees
    assert (np.sum(filled[1:] * filled[:-1], axis=-1) > 0).all()


def test_straight_walks_come_back_exactly_from_gaps_at_uneven_times():
    times_s = uneven_times(200)
    truth = times_s[:, None, None] * np.array([[1.0, 0.2, -0.5], [0.0, 0.0, 2.0]])
    seen = _seen(truth.shape[:2])
    filled, mask = whole_places(np.where(seen[..., None], truth, np.inf), times_s, np.ones(200, bool))
    assert np.array_equal(mask, seen)
    assert np.abs(filled - truth).max() < 1e-12


def test_a_gap_is_crossed_as_scipys_slerp_does():
    times_s, truth = uneven_times(60), tumbling(uneven_times(60))
    seen = np.ones(60, bool)
    seen[20:27] = False
    ends = [19, 27]
    for joint in range(truth.shape[1]):
        expected = Slerp(times_s[ends], Rotation.from_quat(truth[ends, joint]))(times_s[20:27]).as_quat()
        assert angles_deg(whole_turns(truth, times_s, seen)[0][20:27, joint], expected).max() < 1e-5


@pytest.mark.parametrize("bridge", [bridge_turns, bridge_places])
def test_what_was_seen_is_never_touched(bridge):
    times_s = uneven_times(300)
    values = tumbling(times_s) if bridge is bridge_turns else wandering(times_s)
    seen = _seen(values.shape[:2])
    seen[100:200] = False
    filled = bridge(values, times_s, seen)
    assert np.allclose(np.abs(filled[seen]), np.abs(values[seen]), atol=1e-12)
    assert np.isfinite(filled).all()


def test_values_that_were_not_seen_count_for_nothing():
    times_s = even_times(200)
    values, seen = wandering(times_s), _seen((200, 3))
    seen[50:120] = False
    lies = np.where(seen[..., None], values, 1e9)
    assert np.array_equal(bridge_places(values, times_s, seen), bridge_places(lies, times_s, seen))


def test_a_short_gap_is_crossed_the_short_way_and_a_long_one_is_not():
    times_s = even_times(90)
    walk = times_s[:, None, None] * np.array([[1.0, 0.0, 0.0]])
    seen = np.ones(90, bool)
    seen[30:44] = False  # 15 intervals, half a second
    assert np.abs(bridge_places(walk, times_s, seen, short_gap_s=0.51) - walk).max() < 1e-12
    assert np.abs(bridge_places(walk, times_s, seen, short_gap_s=0.4) - walk).max() > 0.01


def test_a_long_gap_goes_between_the_means_of_the_five_nearest_seen_frames():
    times_s = even_times(120)
    places = wandering(times_s)
    seen = np.ones(120, bool)
    seen[40:80] = False
    seen[36] = False  # the five nearest before are 34, 35, 37, 38, 39
    filled = bridge_places(places, times_s, seen)
    before, after = places[[34, 35, 37, 38, 39]].mean(0), places[80:85].mean(0)
    share = ((np.arange(46, 74) - 39) / 41)[:, None, None]
    eased = share**2 * (3 - 2 * share)
    # From the sixth frame on the edge itself is forgotten.
    assert np.abs(filled[46:74] - (before + (after - before) * eased)).max() < 1e-12


def test_where_fewer_than_five_were_seen_the_mean_is_of_those():
    times_s = even_times(100)
    places = 3.0 + wandering(times_s)
    seen = np.zeros(100, bool)
    seen[[0, 1, 2, 98, 99]] = True
    filled = bridge_places(places, times_s, seen)
    before, after = places[:3].mean(0), places[98:].mean(0)
    share = (50 - 2) / 96
    assert np.abs(filled[50] - (before + (after - before) * share**2 * (3 - 2 * share))).max() < 1e-12


def test_the_frames_beside_an_edge_hold_on_to_it_as_sam_body4d_does():
    times_s = even_times(120)
    places = np.zeros((120, 1, 3))
    places[39] = 1.0  # the last that was seen; the mean of its five is 0.2
    seen = np.ones(120, bool)
    seen[40:80] = False
    filled = bridge_places(places, times_s, seen)[40:47, 0, 0]
    share = (np.arange(40, 47) - 39) / 41
    path = 0.2 * (1 - share**2 * (3 - 2 * share))
    held = np.array([0.82, 0.65, 0.45, 0.25, 0.1, 0.0, 0.0])
    assert np.abs(filled - (path * (1 - held) + held)).max() < 1e-12


def test_one_odd_frame_at_its_edge_does_not_carry_across_a_long_gap():
    times_s = even_times(120)
    quat = np.tile([0.0, 0.0, 0.0, 1.0], (120, 1, 1))
    quat[39, 0] = Rotation.from_rotvec([1.0, 0, 0]).as_quat()
    seen = np.ones(120, bool)
    seen[40:80] = False
    middle = bridge_turns(quat, times_s, seen)[55]
    assert angles_deg(middle, quat[0]).max() < np.degrees(1.0) / 5  # a fifth of it is in the mean, eased out by the middle
    assert angles_deg(whole_turns(quat, times_s, seen)[0][55], quat[0]).max() > 30


def test_gaps_at_the_ends_are_held_and_long_ones_settle_on_the_mean():
    times_s = even_times(100)
    quat, seen = tumbling(times_s), np.ones(100, bool)
    seen[:30] = seen[95:] = False
    filled = bridge_turns(quat, times_s, seen)
    assert angles_deg(filled[95:], quat[94]).max() < 1e-5
    mean = np.stack([Rotation.from_quat(quat[30:35, joint]).mean().as_quat() for joint in range(quat.shape[1])])
    # scipy's mean is the eigenvector's; ours adds quaternions up; over 5 frames of 11° they agree to a hundredth of a degree.
    assert angles_deg(filled[:24], mean).max() < 0.05


def test_what_was_never_seen_is_the_identity_or_nothing():
    times_s = even_times(20)
    assert np.array_equal(whole_turns(np.full((20, 2, 4), np.nan), times_s, np.ones(20, bool))[0], np.tile([0, 0, 0, 1.0], (20, 2, 1)))
    assert np.array_equal(bridge_places(np.full((20, 2, 3), np.nan), times_s, np.ones(20, bool)), np.zeros((20, 2, 3)))


def test_a_quaternion_without_length_was_not_seen():
    times_s, quat = even_times(9), steady_turns(even_times(9), SPEEDS_RAD_S)
    broken = quat.copy()
    broken[4] = 0.0
    filled, mask = whole_turns(broken, times_s, np.ones(9, bool))
    assert not mask[4].any()
    assert angles_deg(filled, quat).max() < 1e-5


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_a_frame_or_two(frames):
    times_s = even_times(frames)
    quat = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 2, 1))
    seen = np.zeros(frames, bool)
    seen[0] = True
    assert np.array_equal(bridge_turns(quat, times_s, seen, 0.0), quat)


def test_the_input_is_left_as_it_was():
    times_s, seen = even_times(60), _seen((60, 3))
    quat = tumbling(times_s)
    before = quat.copy()
    bridge_turns(quat, times_s, seen)
    assert np.array_equal(quat, before)
