"""Rates behind rounded numbers, and times from keys, against frames that are written out."""

from fractions import Fraction

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.frame_times import (
    COMMON_RATES,
    common_rate,
    frame_times,
    merged_keys,
    nominal_rate,
    rate_of_frame_time,
    snapped,
)


@pytest.mark.parametrize("rate", COMMON_RATES)
@pytest.mark.parametrize("digits", [6, 7, 8, 10])
def test_a_rounded_frame_time_gives_the_rate_back(rate, digits):
    assert rate_of_frame_time("here", f"{float(1 / rate):.{digits}f}") == rate


@pytest.mark.parametrize(("text", "rate"), [
    ("0.03", Fraction(100, 3)), ("0.0345", Fraction(10000, 345)), ("1", Fraction(1)), (".5", Fraction(2)),
])
def test_a_frame_time_of_no_common_rate_is_exact(text, rate):
    assert rate_of_frame_time("here", text) == rate


@pytest.mark.parametrize("text", ["", "0", "-0.1", "nan", "inf", "a"])
def test_what_is_no_time_is_an_error(text):
    with pytest.raises(ReadError, match=r"^here: found"):
        rate_of_frame_time("here", text)


@pytest.mark.parametrize("rate", COMMON_RATES)
def test_the_rate_of_float32_keys_is_told_from_a_clip_of_ten_seconds(rate):
    keys_s = (np.arange(int(10 * rate)) / float(rate)).astype(np.float32).astype(np.float64)
    assert nominal_rate(keys_s) == rate
    np.testing.assert_allclose(frame_times(keys_s, rate), np.arange(len(keys_s)) / float(rate), atol=1e-9)


def test_a_dropped_frame_is_filled_and_the_rate_stays():
    keys_s = np.delete(np.arange(60) / 24, [20, 41])
    assert nominal_rate(keys_s) == 24
    np.testing.assert_allclose(frame_times(keys_s, Fraction(24)), np.arange(60) / 24, atol=1e-9)


def test_keys_too_far_apart_to_be_frames_say_nothing():
    assert nominal_rate(np.array([0, 1.0, 2.5]), Fraction(25)) == 25 and nominal_rate(np.array([0.0]), Fraction(25)) == 25


def test_keys_of_odd_times_stay_where_they_are():
    times_s = frame_times(np.array([0.0, 0.0123, 0.5]), Fraction(30))
    assert {0.0, 0.0123, 0.5} <= set(times_s.tolist()) and 0.03 < np.diff(times_s)[1:].min() <= np.diff(times_s).max() < 0.035


def test_keys_of_one_frame_in_two_arrays_are_one():
    first, second = np.arange(5) / 30, np.arange(5) / 30 + 4e-5
    np.testing.assert_allclose(merged_keys(first, second), first, atol=1e-12)
    np.testing.assert_allclose(snapped(second, first), first, atol=1e-12)
    np.testing.assert_allclose(snapped(np.array([0.01, 0.9]), first), [0.01, 0.9])
    np.testing.assert_allclose(snapped(np.array([0.5]), np.array([0.5 + 1e-5])), [0.5 + 1e-5])


def test_a_rate_in_floating_point_is_the_fraction_it_came_from():
    assert common_rate(29.97002997002997) == Fraction(30000, 1001) and common_rate(23.976) == Fraction(24000, 1001)
    assert common_rate(30.0) == 30 and common_rate(31.5) == Fraction(63, 2)
