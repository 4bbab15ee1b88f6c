from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.people.sightings import Sighting
from rigdrop.ingest.people.strand import Strand, change_cost, is_somebody

from .stick_world import StickPerson

CLOTHES = np.full(68, 1 / 68, dtype=np.float32)


def walk(frames, step=3.0, torso_px=50.0):
    person = StickPerson(lambda frame: (100 + step * frame, 180.0), torso_px, (0, 0, 0))
    strand = Strand(0)
    for frame in frames:
        strand.add(Sighting(frame, 0, person.pose(frame), CLOTHES))
    return strand, person


def test_somebody_is_expected_where_their_walk_leads():
    strand, person = walk(range(20))
    np.testing.assert_allclose(strand.centre_px(20), person.centre(20), atol=0.1)
    assert strand.roi(20).x_px - strand.last.pose.roi.x_px == pytest.approx(3, abs=0.1)
    # Whoever stays unseen is not thought to run off without end.
    assert strand.centre_px(1000)[0] < strand.last.pose.centre_px[0] + 10 * 3 + 1


def test_what_comes_next_must_be_near_and_of_like_size():
    strand, person = walk(range(20))
    assert strand.goes_on_with(person.pose(20), 20)
    assert not strand.goes_on_with(StickPerson(lambda _: (160 + 80, 180.0), 50, (0, 0, 0)).pose(20), 20)
    assert not strand.goes_on_with(StickPerson(lambda _: (160.0, 180.0), 100, (0, 0, 0)).pose(20), 20)
    assert not strand.goes_on_with(person.pose(20, score=0.3), 20)


def test_the_beginning_reversed_goes_back_in_time():
    strand, person = walk(range(10, 20))
    back = strand.reversed()
    assert back.last.frame == -10
    np.testing.assert_allclose(back.centre_px(-9), person.centre(9), atol=0.8)


def test_a_beginning_that_was_followed_back_begins_earlier():
    strand, person = walk(range(10, 30))
    strand.begin_earlier(Sighting(9, 0, person.pose(9), CLOTHES))
    assert strand.first_frame == 9 and strand.reversed().last.frame == -9


def test_a_strand_keeps_its_beginning_and_its_end_alone():
    strand, _ = walk(range(500))
    assert [sighting.frame for sighting in strand.beginning] == list(range(10)) and strand.last.frame == 499


def test_whoever_was_missed_a_moment_ago_is_not_steady():
    strand, person = walk(range(20))
    assert strand.steady(20) and not strand.steady(21)
    strand.add(Sighting(22, 0, person.pose(22), CLOTHES))
    strand.add(Sighting(23, 0, person.pose(23), CLOTHES))
    assert not strand.steady(24)
    strand.add(Sighting(24, 0, person.pose(24), CLOTHES))
    assert strand.steady(25)


def test_a_stranger_costs_more_the_longer_it_is_hidden_the_less():
    strand, person = walk(range(20))
    aside = StickPerson(lambda _: (220.0, 180.0), 50, (0, 0, 0)).pose(0)
    soon, later = strand.cost(aside, CLOTHES, 21, 30), strand.cost(aside, CLOTHES, 50, 30)
    assert strand.cost(person.pose(20), CLOTHES, 20, 30) < 0.1 < later < soon


def test_change_costs_nothing_without_change():
    assert change_cost(50, 50, CLOTHES, CLOTHES) == pytest.approx(0)
    assert change_cost(50, 100, None, None) == pytest.approx(1.5 * np.log(2))


def test_hiding_is_counted_from_its_beginning():
    strand, person = walk(range(5))
    assert [strand.hide(frame, 3) for frame in (5, 6, 7)] == [True] * 3
    assert strand.last_known == 7
    strand.add(Sighting(8, 0, person.pose(8), CLOTHES))
    assert [strand.hide(frame, 3) for frame in (9, 10, 11)] == [True] * 3


def test_whoever_is_hidden_for_too_long_is_not_known_to_be_there():
    strand, _ = walk(range(5))
    assert [strand.hide(frame, 3) for frame in range(5, 20)] == [True] * 3 + [False] * 12
    assert strand.last_known == 7


def test_nobody_without_shoulders():
    pose = StickPerson(lambda _: (100.0, 100.0), 50, (0, 0, 0)).pose(0)
    assert is_somebody(pose)
    pose.visibility[[11, 12]] = 0.1
    assert not is_somebody(pose)
