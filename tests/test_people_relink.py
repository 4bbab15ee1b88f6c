from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from rigdrop.ingest.people.appearance import torso_colours
from rigdrop.ingest.people.options import PeopleOptions
from rigdrop.ingest.people.relink import people_of
from rigdrop.ingest.people.sightings import Sighting, Sightings

from .stick_world import StickPerson, StickWorld

RED, BLUE = (30, 30, 200), (200, 60, 30)
FPS = Fraction(30)


def strand(number, frames, place, colour=RED, torso_px=50.0, score=0.99):
    person = StickPerson(place, torso_px, colour)
    model = StickPerson(lambda _: (300.0, 180.0), torso_px, colour)
    clothes = torso_colours(StickWorld([model]).picture(0), model.pose(0))
    return [Sighting(frame, number, replace(person.pose(frame), score=score), clothes) for frame in frames]


def people_of_strands(strands, options=None):
    log = Sightings()
    for sighting in itertools.chain(*strands):
        log.add(sighting)
    return people_of(log.chains(range(len(strands))), FPS, options or PeopleOptions())


def spans(people):
    return [(chain.first_frame, chain.last_frame, len(chain)) for chain in people]


def test_a_strand_that_goes_on_after_a_gap_is_the_same_person():
    walk = lambda frame: (100.0 + 3 * frame, 180.0)  # noqa: E731
    people = people_of_strands([strand(0, range(30), walk), strand(1, range(60, 90), walk)])
    assert spans(people) == [(0, 89, 60)]


@pytest.mark.parametrize(
    ("place", "colour", "torso_px", "start"),
    [
        (lambda frame: (600.0, 50.0), RED, 50, 60), (lambda frame: (190.0, 180.0), RED, 140, 40),
        (lambda frame: (100.0 + 3 * frame, 180.0), RED, 50, 120),
        (lambda frame: (240.0 + frame, 230.0), BLUE, 75, 45),
    ],
    ids=["too far", "too large", "too late", "other clothes and size"],
)
def test_a_strand_that_does_not_go_on_is_somebody_else(place, colour, torso_px, start):
    one = strand(0, range(30), lambda frame: (100.0 + 3 * frame, 180.0))
    assert len(people_of_strands([one, strand(1, range(start, start + 40), place, colour, torso_px)])) == 2


def test_relinking_can_be_turned_off():
    walk = lambda frame: (100.0 + 3 * frame, 180.0)  # noqa: E731
    strands = [strand(0, range(30), walk), strand(1, range(60, 90), walk)]
    assert len(people_of_strands(strands, PeopleOptions(relink_s=0.5))) == 2


def test_two_strands_on_one_person_are_one_with_what_either_saw():
    walk = lambda frame: (100.0 + 3 * frame, 180.0)  # noqa: E731
    nearly = lambda frame: (104.0 + 3 * frame, 181.0)  # noqa: E731
    people = people_of_strands([strand(0, range(60), walk), strand(1, range(40, 80), nearly)])
    assert spans(people) == [(0, 79, 80)]
    np.testing.assert_array_equal(people[0].strand, [0] * 60 + [1] * 20)


def test_strands_that_were_exchanged_at_a_crossing_are_put_right_by_their_clothes():
    # Strand 0 wears red, is hidden from 20 to 30, and comes out blue; strand 1 the other way round.
    def right(frame):
        return (100.0 + 8 * frame, 180.0)

    def left(frame):
        return (500.0 - 8 * frame, 190.0)

    first = strand(0, range(20), right, RED) + strand(0, range(31, 50), left, BLUE)
    second = strand(1, range(28), left, BLUE) + strand(1, range(28, 50), right, RED)
    people = people_of_strands([first, second])
    assert len(people) == 2
    for chain in people:
        apart = chain.part((chain.frame < 20) | (chain.frame > 31))
        steps = np.diff(apart.centre_px[:, 0])
        assert (np.sign(steps) == np.sign(steps[0])).all()
        assert len(np.unique(apart.colour_counts, axis=0)) == 1


@pytest.mark.parametrize(
    ("frames", "score", "kept"), [(60, 0.98, True), (60, 0.55, False), (20, 0.85, False), (20, 0.98, True), (10, 0.99, False)]
)
def test_posters_and_glimpses_are_left_out(frames, score, kept):
    people = people_of_strands([strand(0, range(frames), lambda frame: (100.0, 180.0), score=score)])
    assert bool(people) == kept


def test_the_best_pair_is_joined_first_and_what_it_changes_is_weighed_anew():
    # Strand 1 goes on from strand 0, and strand 2 from strand 1; strand 3 follows strand 1 too, but not as well.
    def walk(frame):
        return 100.0 + 3 * frame, 180.0

    strands = [strand(0, range(20), walk), strand(1, range(25, 45), walk), strand(2, range(50, 80), walk),
               strand(3, range(50, 80), lambda frame: (160.0 + 3 * frame, 180.0))]
    assert spans(people_of_strands(strands)) == [(0, 79, 70), (50, 79, 30)]


def test_two_who_are_never_seen_in_one_picture_are_not_compared():
    one, other = strand(0, range(0, 80, 2), lambda frame: (100.0, 180.0)), strand(1, range(1, 81, 2), lambda frame: (500.0, 180.0))
    assert len(people_of_strands([one, other])) == 2


def test_a_crowd_of_thousands_of_strands_is_sorted_in_seconds():
    # Two thousand people cross the picture one after another, a minute apart: no two are ever compared.
    strands = [strand(number, range(1800 * number, 1800 * number + 30, 6), lambda frame: (100.0, 180.0)) for number in range(2000)]
    assert len(people_of_strands(strands, PeopleOptions(min_visible_s=0.1))) == 2000
