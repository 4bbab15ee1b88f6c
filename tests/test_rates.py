"""Rates of files as exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.rates import even_times, exact_rate


@pytest.mark.parametrize(("value", "expected"), [
    (30, Fraction(30)),
    (120.0, Fraction(120)),
    (np.float32(100), Fraction(100)),
    (np.array(60.0), Fraction(60)),
    (np.array([25]), Fraction(25)),
    (30000 / 1001, Fraction(30000, 1001)),
    (np.float32(24000 / 1001), Fraction(24000, 1001)),
    (np.float64(np.float32(60000 / 1001)), Fraction(60000, 1001)),
    (120000 / 1001, Fraction(120000, 1001)),
    # Near an NTSC rate, but not what it rounds to.
    (29.97, Fraction(29.97)),
    (59.94, Fraction(59.94)),
    # AMASS has this one.
    (120.00004577, Fraction(120.00004577)),
    (np.float32(120.00004577), Fraction(float(np.float32(120.00004577)))),
])
def test_a_rate_is_what_the_file_says_and_ntscs_are_recognised(value, expected):
    assert exact_rate("file: fps", value) == expected


@pytest.mark.parametrize("value", [0, -30.0, np.nan, np.inf, np.array([30, 60]), np.array([]), "30", None, np.array(b"30")])
def test_what_is_no_rate_is_refused_with_the_field(value):
    with pytest.raises(ReadError, match=r"^clip\.npz: fps: found .* expected one rate above 0"):
        exact_rate("clip.npz: fps", value)


def test_times_stay_true_over_hours():
    rate = Fraction(30000, 1001)
    times_s = even_times(400_000, rate)
    assert times_s[0] == 0
    # Four hours in: 1 µs is what is asked for, and doubles there are 2e-12 s apart.
    assert abs(Fraction(float(times_s[-1])) - 399_999 / rate) < Fraction(1, 10**11)
