from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.pose.body_pose import ANKLES, SWAPPED, TORSO, WRISTS, torso_distance

from .stick_world import StickPerson


def test_twins_are_each_others():
    np.testing.assert_array_equal(SWAPPED[SWAPPED], np.arange(33))
    assert SWAPPED[0] == 0
    for left, right in (WRISTS, ANKLES, TORSO[:2], TORSO[2:], (2, 5), (7, 8), (31, 32)):
        assert SWAPPED[left] == right


def standing(x, y=100.0, torso_px=50.0):
    return StickPerson(lambda _: (x, y), torso_px, (0, 0, 0)).pose(0)


def test_measures_of_somebody_who_stands():
    pose = standing(200.0)
    np.testing.assert_allclose(pose.centre_px, [200, 100])
    assert pose.torso_px == pytest.approx(50)
    assert pose.box_px[3] - pose.box_px[1] == pytest.approx(3.25 * 50)


def test_torsos_apart_in_torso_lengths_whichever_way_their_sides_are_read():
    one, other = standing(200.0), standing(240.0)
    assert torso_distance(one, other) == pytest.approx(0.8)
    other.points_px[:] = other.points_px[SWAPPED]
    assert torso_distance(one, other) == pytest.approx(0.8)
    one.points_px[:] = one.points_px[SWAPPED]
    assert torso_distance(standing(200.0), one) == pytest.approx(0)
