"""Exponential means against scipy's recursive filter and against slerp."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation, Slerp

from rigdrop.convert.cleaning.exponential import both_ways, exponential_places, exponential_turns

from .tumbling import angles_deg, even_times, shaken, tumbling, wandering


def test_a_constant_share_is_scipys_recursive_filter():
    values = wandering(even_times(50))
    expected, _ = lfilter([0.3], [1, -0.7], values, axis=0, zi=0.7 * values[:1])
    assert np.abs(exponential_places(values, np.full(50, 0.3)) - expected).max() < 1e-12


def test_shares_may_differ_by_frame_and_joint():
    values, rng = wandering(even_times(20)), np.random.default_rng(0)
    share = rng.random((20, 3))
    mean = exponential_places(values, share)
    for joint in range(3):
        now = values[0, joint]
        for frame in range(1, 20):
            now = (1 - share[frame, joint]) * now + share[frame, joint] * values[frame, joint]
            assert np.abs(mean[frame, joint] - now).max() < 1e-12


def test_turns_go_a_share_of_the_short_way_whatever_their_signs():
    quat = tumbling(even_times(200))
    mean = exponential_turns(shaken(quat, 0.0), np.full(200, 0.4))
    for frame in range(1, 200):
        for joint in range(3):
            ends = Rotation.from_quat(np.stack([mean[frame - 1, joint], quat[frame, joint]]))
            # The chordal mean against slerp, over angles up to 15°: they part by the third power of the angle.
            assert angles_deg(mean[frame, joint], Slerp([0, 1], ends)(0.4).as_quat()) < 0.02


def test_a_share_of_one_leaves_everything_and_none_holds_the_first():
    quat = tumbling(even_times(50))
    assert angles_deg(exponential_turns(quat, np.ones(50)), quat).max() < 1e-5
    assert angles_deg(exponential_turns(quat, np.zeros(50)), quat[0]).max() < 1e-5


def test_both_ways_nothing_lags_inside():
    times_s = even_times(200)
    walk = times_s[:, None, None] * np.ones((1, 1, 3))
    kept = both_ways(lambda values, _: exponential_places(values, np.full(200, 0.2)), walk, times_s)
    assert np.abs(kept - walk)[80:-80].max() < 1e-8  # 0.8 to the power of 80
    one_way = exponential_places(walk, np.full(200, 0.2))
    assert np.abs(one_way - walk)[80:, 0, 0] == pytest.approx(4 / 30, rel=1e-6)  # (1 − 0.2) / 0.2 frames
