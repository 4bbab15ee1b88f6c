from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from rigdrop.ingest.people.appearance import torso_colours
from rigdrop.ingest.people.options import PeopleOptions
from rigdrop.ingest.people.relink import people_of
from rigdrop.ingest.people.strand import Sighting, Strand

from .stick_world import StickPerson, StickWorld

RED, BLUE = (30, 30, 200), (200, 60, 30)
FPS = Fraction(30)


def strand(number, frames, place, colour=RED, torso_px=50.0, score=0.99):
    person = StickPerson(place, torso_px, colour)
    model = StickPerson(lambda _: (300.0, 180.0), torso_px, colour)
    clothes = torso_colours(StickWorld([model]).picture(0), model.pose(0))
    found = Strand(number)
    for frame in frames:
        found.add(Sighting(frame, number, replace(person.pose(frame), score=score), clothes))
    return found


def spans(people):
    return [(chain[0].frame, chain[-1].frame, len(chain)) for chain in people]


def test_a_strand_that_goes_on_after_a_gap_is_the_same_person():
    walk = lambda frame: (100.0 + 3 * frame, 180.0)  # noqa: E731
    people = people_of([strand(0, range(30), walk), strand(1, range(60, 90), walk)], FPS, PeopleOptions())
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
    assert len(people_of([one, strand(1, range(start, start + 40), place, colour, torso_px)], FPS, PeopleOptions())) == 2


def test_relinking_can_be_turned_off():
    walk = lambda frame: (100.0 + 3 * frame, 180.0)  # noqa: E731
    strands = [strand(0, range(30), walk), strand(1, range(60, 90), walk)]
    assert len(people_of(strands, FPS, PeopleOptions(relink_s=0.5))) == 2


def test_two_strands_on_one_person_are_one_with_what_either_saw():
    walk = lambda frame: (100.0 + 3 * frame, 180.0)  # noqa: E731
    nearly = lambda frame: (104.0 + 3 * frame, 181.0)  # noqa: E731
    people = people_of([strand(0, range(60), walk), strand(1, range(40, 80), nearly)], FPS, PeopleOptions())
    assert spans(people) == [(0, 79, 80)]
    np.testing.assert_array_equal([sighting.strand for sighting in people[0]], [0] * 60 + [1] * 20)


def test_strands_that_were_exchanged_at_a_crossing_are_put_right_by_their_clothes():
    # Strand 0 wears red, is hidden from 20 to 30, and comes out blue; strand 1 the other way round.
    def right(frame):
        return (100.0 + 8 * frame, 180.0)

    def left(frame):
        return (500.0 - 8 * frame, 190.0)

    first = strand(0, range(20), right, RED)
    for sighting in strand(0, range(31, 50), left, BLUE).sightings:
        first.add(sighting)
    second = strand(1, range(28), left, BLUE)
    for sighting in strand(1, range(28, 50), right, RED).sightings:
        second.add(sighting)
    people = people_of([first, second], FPS, PeopleOptions())
    for chain in people:
        steps = np.diff([sighting.pose.centre_px[0] for sighting in chain if not 20 <= sighting.frame <= 31])
        assert (np.sign(steps) == np.sign(steps[0])).all()
        assert len({sighting.colours.tobytes() for sighting in chain if not 20 <= sighting.frame <= 31}) == 1


@pytest.mark.parametrize(
    ("frames", "score", "kept"), [(60, 0.98, True), (60, 0.55, False), (20, 0.85, False), (20, 0.98, True), (10, 0.99, False)]
)
def test_posters_and_glimpses_are_left_out(frames, score, kept):
    people = people_of([strand(0, range(frames), lambda frame: (100.0, 180.0), score=score)], FPS, PeopleOptions())
    assert bool(people) == kept
