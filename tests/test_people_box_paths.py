from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.people.box_paths import BRIDGED_S, BoxPaths, bridged, steadied
from rigdrop.ingest.people.boxes import PersonBoxes

TIMES_S = np.arange(200) / 30
SIGMA_S = 1 / 30


def moving(frames, speed=(3.0, -1.0, 4.0, 0.5)):
    frames = np.array(frames)
    boxes = np.float32([100, 200, 160, 400]) + frames[:, None] * np.float32(speed)
    return PersonBoxes(7, frames, boxes, np.linspace(0.4, 0.9, len(frames)).astype(np.float32), frames % 2 == 0)


def test_a_short_gap_is_bridged_straight_and_a_long_one_is_not():
    whole = moving(range(60))
    seen = [frame for frame in range(60) if not (10 <= frame < 15 or 30 <= frame < 36)]
    path = bridged(moving(seen), TIMES_S)
    # Six frames at 30 a second from the last seen to the next one are 0.2 s; seven are longer.
    assert pytest.approx(6 / 30) == BRIDGED_S
    assert path.frame.tolist() == [frame for frame in range(60) if not 30 <= frame < 36]
    # Everything moves evenly: half a float32 step at 400 px.
    np.testing.assert_allclose(path.box_xyxy, whole.box_xyxy[path.frame], atol=4e-5)
    put_in = np.isin(path.frame, range(10, 15))
    scores = dict(zip(seen, moving(seen).score, strict=True))
    np.testing.assert_allclose(path.score[put_in], 0.5 * min(scores[9], scores[15]), rtol=1e-6)
    assert not path.occluded[put_in].any()
    np.testing.assert_array_equal(path.occluded[~put_in], path.frame[~put_in] % 2 == 0)


def test_gaps_are_told_by_time_not_by_frames():
    slow = np.arange(200) / 4
    path = moving([0, 1, 3, 4])
    assert bridged(path, slow) is path
    assert bridged(path, np.arange(200) / 240).frame.tolist() == [0, 1, 2, 3, 4]


def test_what_moves_evenly_is_not_moved_nor_is_a_lone_box():
    for frames in (range(30), [5], [5, 6], [0, 1, 2, 9, 10, 11, 12, 13]):
        path = moving(frames)
        np.testing.assert_allclose(steadied(path, TIMES_S, SIGMA_S).box_xyxy, path.box_xyxy, atol=6e-5)


def test_a_gaussian_is_what_it_says():
    path = moving(range(40))
    path.box_xyxy[:] += np.random.default_rng(0).normal(0, 5, path.box_xyxy.shape).astype(np.float32)
    found = steadied(path, TIMES_S, SIGMA_S).box_xyxy
    # Away from the ends: three sigmas are three frames.
    weight = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    for row in range(3, 37):
        np.testing.assert_allclose(found[row], weight @ path.box_xyxy[row - 3 : row + 4] / weight.sum(), atol=1e-4)


def test_nothing_is_averaged_over_a_gap():
    frames = [*range(10), *range(20, 30)]
    path = moving(frames, speed=(0, 0, 0, 0))
    path.box_xyxy[10:] += 500
    np.testing.assert_allclose(steadied(path, TIMES_S, SIGMA_S).box_xyxy, path.box_xyxy, atol=6e-5)


def test_tremble_is_halved():
    path = moving(range(200))
    path.box_xyxy[:] += np.random.default_rng(1).normal(0, 2, path.box_xyxy.shape).astype(np.float32)
    still = steadied(path, TIMES_S, SIGMA_S)
    raw, calm = (np.abs(np.diff(one.box_xyxy, 2, axis=0)).mean() for one in (path, still))
    # White noise through these weights keeps 0.14 of its second difference.
    assert calm < 0.2 * raw
    assert (still.frame == path.frame).all() and (still.score == path.score).all() and still.id == 7


def gathered():
    paths = BoxPaths()
    for frame in range(40):
        if frame < 10:
            paths.add(frame, 7, 0.5, [300, 100, 340, 200])
        paths.add(frame, 2, 0.9, [100, 100, 130, 150 + frame], occluded=frame % 2 == 0)
        if frame >= 5:
            paths.add(frame, 4, 0.8, [200, 0, 260, 300])
    return paths


def test_paths_come_back_as_people_in_order_of_their_coming():
    people = gathered().people({7, 2, 4}, least_frames=0, most=0)
    # 2 and 7 are there from the first frame, 2 to the left.
    assert {path: person.id for path, person in people.items()} == {2: 1, 7: 2, 4: 3} and list(people) == [2, 7, 4]
    assert people[2].frame.tolist() == list(range(40)) and people[4].frame.tolist() == list(range(5, 40))
    np.testing.assert_array_equal(people[2].box_xyxy[:, 3], 150 + np.arange(40))
    np.testing.assert_array_equal(people[2].occluded, np.arange(40) % 2 == 0)
    assert people[7].score == pytest.approx(0.5) and not people[7].occluded.any()


def test_who_is_too_brief_or_too_small_is_left_out():
    paths = gathered()
    assert list(paths.people({7, 2, 4}, least_frames=11, most=0)) == [2, 4]
    # Heights over all frames sum to 1000, 2780 and 10,500.
    assert list(paths.people({7, 2, 4}, least_frames=0, most=2)) == [2, 4]
    assert {path: person.id for path, person in paths.people({7, 2, 4}, least_frames=0, most=1).items()} == {4: 1}
    assert list(paths.people({7}, least_frames=0, most=2)) == [7] and paths.people({1}, 0, 0) == {} and BoxPaths().people({1}, 0, 0) == {}
