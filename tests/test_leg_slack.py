"""Hips that give way for nearly straight legs: laws of the rule itself, on legs whose slack is written down."""

from __future__ import annotations

import numpy as np
import pytest

from rigdrop.convert.retargeting.leg_slack import hips_give

TIMES_S = np.arange(120) / 30


def _steps(straightest_m: float = 0.002) -> np.ndarray:
    """Slack (F,2) of the legs of somebody who strides once a second, metres: each gets nearly straight, then lifts."""
    phase = 2 * np.pi * TIMES_S[:, None] + [0.0, np.pi]
    return straightest_m + 0.03 * (1 - np.cos(phase))


def test_hips_stay_where_legs_lack_nothing():
    np.testing.assert_array_equal(hips_give(_steps(), _steps(), TIMES_S), 0.0)


def test_hips_stay_where_slack_is_plenty():
    # Legs 0.2 m from straight that lack 2 mm of each other: the rule's share is the square of 0.017, halved.
    sink = hips_give(np.full((120, 2), 0.2), np.full((120, 2), 0.198), TIMES_S)
    assert 0 < sink.max() < 2 * 0.002 * 0.0167**2


@pytest.mark.parametrize("lacking_m", [0.004, -0.004, 0.02])
def test_the_way_back_undoes_the_way_there(lacking_m):
    source, target = _steps(), _steps() - [lacking_m, 0.5 * lacking_m]
    sink = hips_give(source, target, TIMES_S)
    assert np.abs(sink).max() > 0.2 * abs(lacking_m), "the test is to have something to undo"
    # Hips that sank have so much more slack: what the way back takes for its source's, and has on its own hips' way.
    back = hips_give(target + sink[:, None], source + sink[:, None], TIMES_S)
    np.testing.assert_allclose(back, -sink, atol=1e-8)


def test_a_leg_that_stays_short_is_left_a_share_of_the_sources_slack():
    # Held still, so that the mean over time takes nothing off. The leg's slack is 1 mm short of the source's 0.5 mm.
    source, target = np.tile([0.0005, 0.1], (120, 1)), np.tile([-0.0005, 0.1], (120, 1))
    sink = hips_give(source, target, TIMES_S)
    left = target[:, 0] + sink
    # Between 0.7 of the mean of both and the source's own.
    assert (left > 0.7 * (left + source[:, 0]) / 2).all() and (left < source[:, 0]).all()


def test_legs_that_agree_are_heard_more_and_never_too_much():
    one = hips_give(np.tile([0.001, 0.5], (120, 1)), np.tile([-0.002, 0.5], (120, 1)), TIMES_S)
    both = hips_give(np.full((120, 2), 0.001), np.full((120, 2), -0.002), TIMES_S)
    assert (one < both).all() and (both < 0.003).all()


def test_hips_go_slowly():
    # A leg that is short for a single frame: no step of the hips beyond a Gaussian's of 0.1 s, 0.133 of its weight at 30 frames.
    source, target = np.full((120, 2), 0.05), np.full((120, 2), 0.05)
    source[60], target[60] = 0.001, -0.009
    sink = hips_give(source, target, TIMES_S)
    assert 0 < sink.max() <= 0.134 * 0.01 and np.abs(np.diff(sink)).max() < 0.1 * 0.01


@pytest.mark.parametrize("frames", [0, 1])
def test_what_has_no_time_has_hips_that_stay(frames):
    np.testing.assert_array_equal(hips_give(np.full((frames, 2), 0.01), np.zeros((frames, 2)), TIMES_S[:frames]), np.zeros(frames))
