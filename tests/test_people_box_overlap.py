from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.people.box_overlap import area_px, nearness_px, overlap, shared_px, with_occlusion
from rigdrop.ingest.people.boxes import PersonBoxes


def person(number, frame, box_xyxy):
    count = len(frame)
    rows = np.broadcast_to(np.float32(box_xyxy), (count, 4)).copy()
    return PersonBoxes(number, np.array(frame), rows, np.ones(count, np.float32), np.zeros(count, bool))


def test_areas_are_counts_of_pixels():
    rng = np.random.default_rng(3)
    corners = rng.integers(0, 40, (30, 2, 2, 2))
    one, other = (np.concatenate([pair.min(axis=1), pair.max(axis=1)], axis=1) for pair in (corners[:, 0], corners[:, 1]))

    def painted(box):
        picture = np.zeros((40, 40), bool)
        picture[box[1] : box[3], box[0] : box[2]] = True
        return picture

    for row in range(30):
        first, second = painted(one[row]), painted(other[row])
        assert area_px(one[row]) == first.sum()
        assert shared_px(one[row], other[row]) == (first & second).sum()
        assert overlap(one[row], other[row]) == pytest.approx((first & second).sum() / max(1, (first | second).sum()))


def test_overlap_goes_by_the_leading_axes_and_is_none_for_nothing():
    one, other = np.float32([[0, 0, 2, 2], [0, 0, 4, 4]]), np.float32([[0, 0, 2, 2], [5, 5, 6, 6], [2, 0, 4, 4]])
    np.testing.assert_allclose(overlap(one[:, None], other), [[1, 0, 0], [0.25, 0, 0.5]])
    assert overlap(np.zeros(4), np.zeros(4)) == 0


def test_who_stands_lower_or_is_larger_is_nearer():
    far, low, large = [0, 100, 50, 300], [0, 120, 50, 320], [0, 50, 80, 300]
    assert nearness_px(np.array(low)) > nearness_px(np.array(far)) and nearness_px(np.array(large)) > nearness_px(np.array(far))


def test_who_is_covered_by_somebody_in_front_is_flagged_while_it_lasts():
    frames = np.arange(60)
    behind = person(1, frames, [100, 100, 160, 300])
    passing = person(2, frames[10:50], [0, 90, 80, 340])
    passing.box_xyxy[:, [0, 2]] += (5 * (frames[10:50] - 10))[:, None]
    behind, passing = with_occlusion([behind, passing])
    # 30 of 60 columns are covered from when its right edge is at 130 until its left edge is there: both rows of steps of 5.
    assert np.flatnonzero(behind.occluded).tolist() == list(range(10 + 11, 10 + 26))
    assert not passing.occluded.any()


def test_a_small_part_hidden_is_no_occlusion_and_apart_in_time_is_none():
    one = person(1, range(20), [100, 100, 160, 300])
    other = person(2, range(20), [140, 100, 220, 340])
    later = person(3, range(30, 40), [100, 100, 160, 340])
    assert not any(path.occluded.any() for path in with_occlusion([one, other, later]))
    assert with_occlusion([]) == ()


def test_two_who_are_level_do_not_change_places_every_frame():
    frames = np.arange(40)
    one, other = person(1, frames, [100, 100, 160, 300]), person(2, frames, [105, 100, 165, 303])
    other.box_xyxy[::5, 3] -= 10  # its lower edge is misread now and then
    flags = [path.occluded for path in with_occlusion([one, other])]
    assert flags[0].all() and not flags[1].any()
