from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from rigdrop.ingest.people.options import PeopleOptions
from rigdrop.ingest.people.relink import people_of
from rigdrop.ingest.people.track import Tracker

from .stick_world import StickPerson, StickWorld

RED, GREEN, BLUE = (30, 30, 200), (40, 180, 40), (200, 60, 30)
FPS = Fraction(30)


def follow(world, frames, options=None):
    options = options or PeopleOptions(small_people=False)
    tracker = Tracker(world.detect, world.roi_of, world.look, FPS, options)
    for frame in range(frames):
        tracker.step(world.picture(frame), frame)
    return people_of(tracker.chains(), FPS, options)


def error_px(chain, person):
    """The largest distance of a chain's sightings from where that person was."""
    return float(np.linalg.norm(chain.centre_px - [person.centre(frame) for frame in chain.frame.tolist()], axis=1).max())


# Sightings are kept in single precision.
ROUNDING_PX = 1e-4


def walker(start, step, torso_px, colour, y=180.0):
    return StickPerson(lambda frame: (start + step * frame, y), torso_px, colour)


def test_somebody_who_walks_is_followed_without_searching_every_picture():
    world = StickWorld([walker(100, 3, 50, RED)])
    (chain,) = follow(world, 120)
    assert chain.frame.tolist() == list(range(120))
    assert error_px(chain, world.people[0]) < ROUNDING_PX
    assert world.looks < 120 + 15  # one a picture, and those that confirm a search
    assert world.searched_pictures < 20  # one in ten


def test_nobody_is_nobody():
    assert follow(StickWorld([]), 60) == []


@pytest.mark.parametrize("near_first", [True, False])
def test_people_who_cross_stay_themselves(near_first):
    near = walker(100, 4, 60, RED, y=200.0)
    far = walker(500, -4, 50, BLUE, y=180.0)
    people = [near, far] if near_first else [far, near]
    chains = follow(StickWorld(people), 110)
    assert len(chains) == 2
    for chain in chains:
        person = near if chain.length_px[0] > 55 else far
        assert error_px(chain, person) < 1
    behind = next(chain for chain in chains if chain.length_px[0] < 55)
    seen = set(behind.frame.tolist())
    meeting = 50  # both are at x = 300
    assert meeting not in seen and {30, 75} <= seen


def test_people_who_meet_and_turn_back_are_told_apart_by_their_clothes():
    # They walk up to each other, stop where one hides the other, and part to where they came from: the way that they
    # came says nothing, and two of the same size.
    def to_and_fro(sign):
        return lambda frame: (320 + sign * max(4.0, abs(4 * (frame - 50))), 180.0 + 8 * (sign > 0))

    left, right = StickPerson(to_and_fro(-1), 50, GREEN), StickPerson(to_and_fro(+1), 51, BLUE)
    chains = follow(StickWorld([left, right]), 101)
    assert len(chains) == 2
    for chain in chains:
        person = left if chain.centre_px[0, 0] < 320 else right
        late = chain.part((chain.frame > 75) | (chain.frame < 25))
        assert error_px(late, person) < 1


def test_somebody_who_is_gone_for_a_second_comes_back_as_the_same():
    def behind_a_pillar(frame):
        return None if 40 <= frame < 65 else (100 + 3 * frame, 180.0)

    world = StickWorld([StickPerson(behind_a_pillar, 50, RED)])
    (chain,) = follow(world, 120)
    frames = chain.frame.tolist()
    assert frames[:40] == list(range(40)) and frames[-50:] == list(range(70, 120))


def test_somebody_else_who_comes_later_is_somebody_else():
    first = StickPerson(lambda frame: (100 + 2 * frame, 180.0) if frame < 40 else None, 50, RED)
    second = StickPerson(lambda frame: (180 + 2 * (frame - 60), 200.0) if frame >= 60 else None, 90, BLUE)
    chains = follow(StickWorld([first, second]), 120)
    assert [(chain.first_frame < 40, chain.last_frame >= 60) for chain in chains] == [(True, False), (False, True)]


def test_who_vanishes_behind_somebody_is_let_go_and_whoever_comes_later_is_somebody_else():
    # One goes behind somebody who stands, and away unseen; long after that another, clothed alike, comes in at the far side.
    stands = walker(320, 0, 60, RED, y=200.0)
    gone = StickPerson(lambda frame: (120 + 4 * frame, 180.0) if frame < 45 else None, 50, BLUE)
    comes = StickPerson(lambda frame: (600 - (frame - 150), 180.0) if frame >= 150 else None, 50, BLUE)
    world = StickWorld([stands, gone, comes])
    chains = follow(world, 220, PeopleOptions(small_people=False, relink_s=1.0))
    assert [chain.first_frame for chain in chains] == [0, 0, 150]
    for chain, person in zip(chains, (gone, stands, comes), strict=True):
        assert error_px(chain, person) < ROUNDING_PX
    assert chains[0].last_frame < 45


def test_somebody_new_is_followed_back_to_where_they_came_in():
    # Searches come every ten frames; this one enters just after one.
    late = StickPerson(lambda frame: (300 + frame, 180.0) if frame >= 12 else None, 50, RED)
    always = walker(100, 0, 50, BLUE)
    chains = follow(StickWorld([late, always]), 60)
    assert [chain.first_frame for chain in chains] == [0, 12]
    assert chains[1].frame.tolist() == list(range(12, 60))


def test_a_false_alarm_of_one_picture_is_nobody():
    glimpse = StickPerson(lambda frame: (300.0, 100.0) if frame in (0, 1) else None, 40, GREEN)
    (chain,) = follow(StickWorld([walker(100, 1, 50, RED), glimpse]), 60)
    assert len(chain) == 60


def test_who_is_seen_briefly_is_left_out_as_asked():
    brief = StickPerson(lambda frame: (300.0, 180.0) if frame < 20 else None, 50, GREEN)
    world = [walker(100, 1, 50, RED), brief]
    assert len(follow(StickWorld(world), 60, PeopleOptions(small_people=False, min_visible_s=1))) == 1
    assert len(follow(StickWorld(world), 60, PeopleOptions(small_people=False, min_visible_s=0.5))) == 2


def test_ids_go_by_first_appearance_then_from_left_to_right_and_stay_the_same():
    people = [walker(500, 0, 50, RED), walker(300, 0, 52, BLUE), walker(100, 0, 54, GREEN)]
    runs = [follow(StickWorld(people), 40) for _ in range(2)]
    np.testing.assert_allclose([[chain.centre_px[0, 0] for chain in run] for run in runs], [[100, 300, 500]] * 2, atol=ROUNDING_PX)


def test_max_people_keeps_the_largest_and_longest():
    brief = StickPerson(lambda frame: (500.0, 180.0) if frame < 20 else None, 70, GREEN)
    people = [walker(100, 0, 40, RED), walker(300, 0, 60, BLUE), brief]
    chains = follow(StickWorld(people), 60, PeopleOptions(small_people=False, max_people=1))
    np.testing.assert_allclose([chain.centre_px[0, 0] for chain in chains], [300], atol=ROUNDING_PX)


def test_only_landmarks_are_kept_of_a_long_clip():
    world = StickWorld([walker(100, 0.1, 50, RED)])
    tracker = Tracker(world.detect, world.roi_of, world.look, FPS, PeopleOptions(small_people=False))
    tracemalloc.start()
    try:
        held = {}
        for frame in range(2300):
            tracker.step(world.picture(frame % 250), frame)
            if frame in (252, 2299):
                held[frame] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(tracker._held) <= 30
    # 872 bytes a sighting: 33 landmarks in pixels, in metres and seen, in single precision, and the torso's colours; kept
    # in blocks, so that up to one of 1,024 is still empty. As objects and double precision they were 3,900.
    assert held[2299] - held[252] <= 872 * (2299 - 252 + 1024)
