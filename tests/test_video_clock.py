from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.video_clock import Clock


def times_of(clock, stamps):
    """The clock's times of some stamps in a row, each seen with the one after it."""
    return [clock.time_of(stamp, following) for stamp, following in zip(stamps, [*stamps[1:], None], strict=True)]


def test_stamps_that_are_missing_equal_or_step_back_are_repaired():
    clock = Clock(0.1)
    assert times_of(clock, [5.0, 5.1, 5.1, 5.2, None, 5.25, 5.4]) == pytest.approx([5.0, 5.1, 5.15, 5.2, 5.3, 5.35, 5.4])
    # A joined file begins again at zero.
    assert times_of(clock, [0.0, 0.1, 0.2]) == pytest.approx([5.5, 5.6, 5.7])
    assert clock.repaired == 4


# One bit of a 33-bit presentation time of 90 kHz, turned: 23,860 s; the lower bits give the rest.
@pytest.mark.parametrize("wrong_s", [23860.9, 3600.0, 7.0, 0.0])
def test_one_bad_stamp_costs_no_other_picture_its_time(wrong_s):
    true_s = 1.0 + np.arange(10) / 25
    stamps = true_s.tolist()
    stamps[4] = wrong_s
    clock = Clock(1 / 25)
    np.testing.assert_allclose(times_of(clock, stamps), true_s, atol=1e-9)
    assert clock.repaired == 1


@pytest.mark.parametrize("place", [0, 9])
def test_a_bad_stamp_at_either_end_too(place):
    true_s = 1.0 + np.arange(10) / 25
    stamps = true_s.tolist()
    stamps[place] = 23860.9
    clock = Clock(1 / 25)
    np.testing.assert_allclose(times_of(clock, stamps), true_s, atol=1e-9)
    assert clock.repaired == 1


def test_two_bad_stamps_in_a_row_cost_no_other_picture_more_than_a_few_frames():
    true_s = np.arange(20) / 25
    stamps = true_s.tolist()
    stamps[7:9] = [9000.0, 23860.9]
    # Each of the three new counts may be off by one frame.
    np.testing.assert_allclose(times_of(Clock(1 / 25), stamps), true_s, atol=3 / 25)


def test_a_hole_that_the_following_stamps_confirm_stays():
    stamps = [0.0, 0.04, 120.0, 120.04, 127.0, 136.0, 136.04]
    clock = Clock(0.04)
    assert times_of(clock, stamps) == stamps
    assert clock.repaired == 0


def test_a_hole_before_the_last_picture_stays():
    assert times_of(Clock(0.04), [0.0, 0.04, 9.0]) == [0.0, 0.04, 9.0]


@pytest.mark.parametrize("stamps", [[0.0, 0.04, 9000.0, 9000.04, 9000.08], [9000.0, 9000.04, 0.0, 0.04, 0.08]])
def test_a_jump_of_hours_that_lasts_goes_on_one_frame_later(stamps):
    clock = Clock(0.04)
    np.testing.assert_allclose(times_of(clock, stamps), stamps[0] + np.arange(5) * 0.04, atol=1e-9)
    assert clock.repaired == 1


def test_it_never_stands_still():
    rng = np.random.default_rng(1)
    stamps = [None if rng.random() < 0.2 else float(value) for value in rng.uniform(0, 3, 500)]
    stamps[100:400:10] = rng.uniform(-9000, 9000, 30).tolist()
    assert (np.diff(times_of(Clock(1 / 30), stamps)) > 0).all()


def test_the_furthest_time_is_that_of_the_file_also_where_it_was_repaired():
    clock = Clock(0.04)
    times_of(clock, [0.0, 0.04, 9000.0, 9000.04])
    assert clock.furthest_s == 9000.04
