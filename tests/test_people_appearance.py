from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.people.appearance import colour_distance, torso_colours

from .stick_world import StickPerson, StickWorld


def colours(colour, x=300.0, light=1.0):
    person = StickPerson(lambda _: (x, 180.0), 50, tuple(int(light * value) for value in colour))
    return torso_colours(StickWorld([person]).picture(0), person.pose(0))


def test_a_histogram_has_two_halves():
    found = colours((30, 30, 200))
    assert found[:4].sum() == pytest.approx(0.5) and found[4:].sum() == pytest.approx(0.5)


def test_the_same_clothes_elsewhere_are_the_same():
    assert colour_distance(colours((30, 30, 200)), colours((30, 30, 200), x=400)) < 0.05


def test_other_clothes_are_told_apart_and_other_light_less_so():
    red, blue = (30, 30, 200), (200, 60, 30)
    assert colour_distance(colours(red), colours(blue)) > 0.7
    assert colour_distance(colours(red), colours(red, light=0.9)) < 0.75 * colour_distance(colours(red), colours(blue))


def test_somebody_half_outside_the_picture_has_colours_too():
    assert np.isfinite(colours((30, 30, 200), x=-10.0)).all()
