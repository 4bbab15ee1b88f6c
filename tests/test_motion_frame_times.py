"""Rates behind rounded numbers, and times from keys, against frames that are written out."""

import re
from fractions import Fraction

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.frame_times import (
    COMMON_RATES,
    MAX_FRAMES,
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
    # Rounded to three or four digits, these are NTSC's too, and nearer to them.
    ("0.017", 60), ("0.0167", 60), ("0.0417", 24), ("0.042", 24), ("0.033", 30), ("0.0333", 30), ("0.0166", 60), ("0.0083", 120),
    # What only NTSC's rate is rounded to.
    ("0.0334", Fraction(30000, 1001)), ("0.03337", Fraction(30000, 1001)), ("0.01668", Fraction(60000, 1001)),
    # 1/240 is rounded to it as well, and 1/250 is it.
    ("0.004", 250), ("0.0042", 240),
])
def test_of_rates_that_are_rounded_to_the_same_digits_the_likelier_is_taken(text, rate):
    assert rate_of_frame_time("here", text) == rate


@pytest.mark.parametrize("rate", COMMON_RATES)
def test_a_frame_time_that_was_float32_gives_the_rate_back(rate):
    assert rate_of_frame_time("here", str(np.float32(float(1 / rate)))) == rate


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
    np.testing.assert_allclose(frame_times("here", keys_s, rate), np.arange(len(keys_s)) / float(rate), atol=1e-9)


def test_a_dropped_frame_is_filled_and_the_rate_stays():
    keys_s = np.delete(np.arange(60) / 24, [20, 41])
    assert nominal_rate(keys_s) == 24
    np.testing.assert_allclose(frame_times("here", keys_s, Fraction(24)), np.arange(60) / 24, atol=1e-9)


def test_keys_too_far_apart_to_be_frames_say_nothing():
    assert nominal_rate(np.array([0, 1.0, 2.5]), Fraction(25)) == 25 and nominal_rate(np.array([0.0]), Fraction(25)) == 25


def test_keys_of_odd_times_stay_where_they_are():
    times_s = frame_times("here", np.array([0.0, 0.0123, 0.5]), Fraction(30))
    assert {0.0, 0.0123, 0.5} <= set(times_s.tolist()) and 0.03 < np.diff(times_s)[1:].min() <= np.diff(times_s).max() < 0.035


@pytest.mark.parametrize(("stray_s", "said"), [(1e7, "10000000 s, 300000001 frames"), (1e30, "1e+30 s, 3e+31 frames")])
def test_a_stray_key_far_away_is_an_error_and_not_a_billion_frames(stray_s, said):
    keys_s = np.append(np.arange(3) / 30, stray_s)
    with pytest.raises(ReadError, match=rf"^here: found keys from 0 to {re.escape(said)} .*, expected {MAX_FRAMES} at most; "):
        frame_times("here", keys_s, Fraction(30))
    np.testing.assert_allclose(frame_times("here", keys_s, Fraction(30), 5), np.arange(5) / 30, atol=1e-9)


def test_as_many_frames_as_there_may_be_are_made_and_one_more_is_not():
    last_s = (MAX_FRAMES - 1) / 480
    times_s = frame_times("here", np.array([0.0, last_s]), Fraction(480))
    assert len(times_s) == MAX_FRAMES and times_s[-1] == last_s
    with pytest.raises(ReadError, match="expected"):
        frame_times("here", np.array([0.0, MAX_FRAMES / 480]), Fraction(480))


def test_of_a_limit_the_first_frames_are_made_as_they_would_be_without():
    keys_s = np.array([0.0, 0.0123, 0.5, 0.6, 2.0])
    whole = frame_times("here", keys_s, Fraction(30))
    for limit in (1, 2, 17, len(whole), len(whole) + 9):
        np.testing.assert_array_equal(frame_times("here", keys_s, Fraction(30), limit), whole[:limit])


def test_keys_of_one_frame_in_two_arrays_are_one():
    first, second = np.arange(5) / 30, np.arange(5) / 30 + 4e-5
    np.testing.assert_allclose(merged_keys(first, second), first, atol=1e-12)
    np.testing.assert_allclose(snapped(second, first), first, atol=1e-12)
    np.testing.assert_allclose(snapped(np.array([0.01, 0.9]), first), [0.01, 0.9])
    np.testing.assert_allclose(snapped(np.array([0.5]), np.array([0.5 + 1e-5])), [0.5 + 1e-5])


def test_a_rate_in_floating_point_is_the_fraction_it_came_from():
    assert common_rate(29.97002997002997) == Fraction(30000, 1001) and common_rate(23.976) == Fraction(24000, 1001)
    assert common_rate(30.0) == 30 and common_rate(31.5) == Fraction(63, 2)
