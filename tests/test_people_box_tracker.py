from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rigdrop.ingest.people.box_tracker import BoxTracker
from rigdrop.ingest.people.options import PeopleOptions

FPS = Fraction(30)
FRAMES = 120
TIMES_S = np.arange(FRAMES) / 30


def walker(start, speed, height=200.0, bottom=400.0, frames=range(FRAMES)):
    """The boxes of somebody who walks along the picture: (x0 y0 x1 y1) by frame."""
    return {frame: np.array([start + speed * frame, bottom - height, start + speed * frame + 0.35 * height, bottom]) for frame in frames}


def follow(people, options=None, scores=None, tremble_px=0.0, extra=None):
    """Track made-up people: in each frame the boxes of all, in an order that changes, then whatever ``extra`` has there."""
    tracker, rng = BoxTracker(FPS, options or PeopleOptions()), np.random.default_rng(5)
    for frame in range(FRAMES):
        seen = [(who[frame], 0.9 if scores is None else scores(number, frame)) for number, who in enumerate(people) if frame in who]
        seen = [(box + rng.normal(0, tremble_px, 4), score) for box, score in seen] + (extra or {}).get(frame, [])
        order = rng.permutation(len(seen))
        boxes = np.array([seen[row][0] for row in order], np.float32).reshape(-1, 4)
        tracker.step(frame, boxes, np.array([seen[row][1] for row in order], np.float32))
    return tracker.people(TIMES_S)


def off_px(person, truth):
    """How far a person's boxes are from where somebody truly was, at most; sides, pixels."""
    return max(float(np.abs(box - truth[frame]).max()) for frame, box in zip(person.frame.tolist(), person.box_xyxy, strict=True))


def test_people_who_walk_are_followed_and_numbered_from_left_to_right():
    late, right, left = walker(300, 1, bottom=650, frames=range(30, 100)), walker(800, -2, bottom=900), walker(100, 3)
    people = follow([late, right, left])
    assert [person.id for person in people] == [1, 2, 3]
    for person, truth in zip(people, (left, right, late), strict=True):
        # Even ways are kept as they are, to float32.
        assert person.frame.tolist() == sorted(truth) and off_px(person, truth) < 1e-3
        assert person.score == pytest.approx(0.9)


def test_nobody_is_nobody():
    assert follow([]) == ()
    assert BoxTracker(FPS, PeopleOptions()).people(TIMES_S) == ()


def crossing(gap=6):
    """Two who walk past each other; the smaller one, behind, is not detected while they overlap."""
    front = walker(100, 5, height=240, bottom=430)
    behind = walker(700, -4, height=190, bottom=390)
    middle = min(range(FRAMES), key=lambda frame: abs(front[frame][0] - behind[frame][0]))
    return front, {frame: box for frame, box in behind.items() if abs(frame - middle) > gap // 2}, middle


def test_people_who_cross_stay_themselves():
    front, behind, middle = crossing()
    people = follow([front, behind], tremble_px=2.0)
    assert len(people) == 2
    for person, truth in zip(people, (front, behind), strict=True):
        assert off_px(person, truth) < 12  # the boxes tremble by 2 px, and the next person is hundreds away
    assert people[0].frame.tolist() == list(range(FRAMES)) and middle not in people[1].frame
    # Before and after they are out of sight of the detector one is half behind the other.
    assert people[1].occluded.any() and not people[0].occluded.any()


def test_somebody_who_is_gone_for_a_second_comes_back_as_the_same_and_after_longer_as_another():
    there = walker(100, 2)
    away = {frame: box for frame, box in there.items() if not 40 <= frame < 70}
    (person,) = follow([away])
    assert person.frame.tolist() == sorted(away)
    assert [person.id for person in follow([away], PeopleOptions(relink_s=0.5))] == [1, 2]


def test_short_gaps_are_bridged():
    there = walker(100, 2)
    (person,) = follow([{frame: box for frame, box in there.items() if frame not in (50, 51, 52)}])
    assert person.frame.tolist() == list(range(FRAMES)) and off_px(person, there) < 1e-3
    assert person.score[[50, 51, 52]] == pytest.approx(0.45)


def test_a_dash_without_any_overlap_is_followed():
    # One who is 40 px wide stands, runs 60 px a frame, and stands again.
    left = [100 + 60 * min(max(0, frame - 30), 10) for frame in range(FRAMES)]
    (person,) = follow([{frame: np.array([x, 200.0, x + 40, 400]) for frame, x in enumerate(left)}])
    assert person.frame.tolist() == list(range(FRAMES))


def test_nobody_leaves_their_place_lest_somebody_lost_has_none():
    # One stands; another, at the left, is lost; somebody comes up at the right, out of the lost one's reach and in the first's.
    stands, gone = walker(500, 0, height=400, bottom=700), walker(260, 0, height=400, bottom=700, frames=range(40))
    for away in (8, 15, 20):
        comes = walker(620, 0, height=400, bottom=700, frames=range(40 + away, FRAMES))
        people = follow([stands, gone, comes])
        assert len(people) == 3
        for person, truth in zip(people, (gone, stands, comes), strict=True):
            assert person.frame.tolist() == sorted(truth) and off_px(person, truth) < 1e-3


def test_without_patience_whoever_is_in_each_picture_is_followed_all_the_same():
    there = walker(100, 2)
    for relink_s in (0.0, 0.03):
        (person,) = follow([there], PeopleOptions(relink_s=relink_s))
        assert person.frame.tolist() == list(range(FRAMES)) and off_px(person, there) < 1e-3
    gap = {frame: box for frame, box in there.items() if frame != 50}
    assert len(follow([gap], PeopleOptions(relink_s=0.0))) == 2


def test_somebody_far_away_or_much_larger_is_somebody_else():
    first = walker(100, 0, frames=range(40))
    far, large = walker(600, 0, frames=range(40, 120)), walker(40, 0, height=390, bottom=480, frames=range(40, 120))
    assert [len(follow([first, other])) for other in (far, large)] == [2, 2]


def test_doubtful_boxes_go_on_a_path_and_begin_none():
    there, ghost = walker(100, 2), walker(600, 0)
    people = follow([there, ghost], scores=lambda number, frame: 0.3 if number == 1 or 50 <= frame < 80 else 0.9)
    assert [len(person.frame) for person in people] == [FRAMES] and off_px(people[0], there) < 1e-3
    people = follow([there], scores=lambda _, frame: 0.1 if 50 <= frame < 80 else 0.9)
    assert [len(person.frame) for person in people] == [FRAMES - 30]


def test_a_false_alarm_is_nobody_and_a_double_is_no_second_person():
    there = walker(100, 2)
    alarms = {20: [(np.array([600.0, 100, 650, 200]), 0.95)], 21: [(np.array([600.0, 100, 650, 200]), 0.95)]}
    doubles = {frame: [(box + [2, -3, 1, 4], 0.7)] for frame, box in there.items()}
    (person,) = follow([there], PeopleOptions(min_visible_s=0), extra=alarms)
    assert off_px(person, there) < 1e-3
    (person,) = follow([there], extra=doubles)
    assert off_px(person, there) < 1e-3


def test_who_is_kept_is_as_asked():
    long, brief, large = walker(100, 0, height=150), walker(400, 0, frames=range(20)), walker(700, 0, height=390, bottom=460)
    assert [len(follow([long, brief, large], PeopleOptions(min_visible_s=seconds))) for seconds in (0.5, 0.7)] == [3, 2]
    kept = follow([long, brief, large], PeopleOptions(max_people=1))
    assert len(kept) == 1 and kept[0].id == 1 and kept[0].box_xyxy[0, 0] == pytest.approx(700)


def test_tremble_is_taken_out_but_not_moves():
    there = walker(100, 4)
    (calm,) = follow([there], tremble_px=2.0)
    raw = np.random.default_rng(5).normal(0, 2.0, (FRAMES, 4))
    assert np.abs(np.diff(calm.box_xyxy, 2, axis=0)).mean() < 0.25 * np.abs(np.diff(raw, 2, axis=0)).mean()
