from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.people.detect import Detection, find_people, find_person, tile_places
from rigdrop.ingest.pose.roi import Roi


def detection(x, y, radius, score=0.9):
    hips, circle, head = ([x, y], [x, y - radius], [x - 5, y - 50, x + 5, y - 40])
    return Detection(score, np.array(hips, dtype=float), np.array(circle, dtype=float), np.array(head, dtype=float))


@pytest.mark.parametrize("size", [(1280, 720), (1080, 1920), (640, 480), (333, 777), (100, 100), (4096, 2160)])
def test_tiles_cover_the_picture_and_overlap_by_a_quarter(size):
    width, height = size
    covered = np.zeros((height, width), dtype=int)
    places = tile_places(width, height)
    for x, y, side in places:
        assert x >= 0 and x + side <= width and y >= 0 and y + side <= height
        covered[y : y + side, x : x + side] += 1
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = sorted({place[axis] for place in places})
        assert (np.diff(starts) <= 0.75 * places[0][2] + 1).all()


def test_detections_in_tiles_stand_where_they_are_in_the_picture_and_count_once():
    image = np.zeros((360, 640, 3), dtype=np.uint8)
    image[200, 300] = 255
    calls = []

    def detect(pictures):
        calls.append(len(pictures))
        found = []
        for picture in pictures:
            rows, columns = np.nonzero(picture[:, :, 0])
            found.append([detection(float(x), float(y), 40) for y, x in zip(rows, columns, strict=True)])
        return found

    (one,) = find_people(image, detect, tiles=True)
    np.testing.assert_array_equal(one.hips_px, [300, 200])
    np.testing.assert_array_equal(one.circle_px, [300, 160])
    np.testing.assert_array_equal(one.head_px, [295, 150, 305, 160])
    assert calls == [1 + len(tile_places(640, 360))]
    assert len(find_people(image, detect, tiles=False)) == 1


def test_a_tile_is_not_believed_about_somebody_larger_than_itself():
    image = np.zeros((360, 640, 3), dtype=np.uint8)
    found = find_people(image, lambda pictures: [[], *([detection(100, 100, 200)] for _ in pictures[1:])], tiles=True)
    assert found == []


def test_two_people_side_by_side_are_two():
    image = np.zeros((360, 640, 3), dtype=np.uint8)
    detections = [detection(300, 200, 100, 0.8), detection(350, 200, 100, 0.9), detection(305, 203, 95, 0.7)]
    found = find_people(image, lambda pictures: [detections], tiles=False)
    assert [one.score for one in found] == [0.9, 0.8]


@pytest.mark.parametrize("centre", [(300, 200), (0, 0), (639, 359), (-500, 900)])
def test_the_surroundings_of_somebody_lost_lie_inside_the_picture(centre):
    image = np.arange(360 * 640, dtype=np.int64).reshape(360, 640, 1).repeat(3, axis=2).astype(np.uint8)
    seen = []

    def detect(pictures):
        seen.extend(pictures)
        return [[detection(10, 20, 30)]]

    (one,) = find_person(image, detect, Roi(*centre, 100, 0.3), unseen=5)
    assert min(seen[0].shape[:2]) >= 1
    x, y = (one.hips_px - (10, 20)).astype(int)
    np.testing.assert_array_equal(seen[0][0, 0], image[y, x])
