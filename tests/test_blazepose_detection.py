from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from rigdrop.ingest.pose.blazepose.detection import Detector, _anchors, _letterbox, _merge
from rigdrop.ingest.video import open_clip


@pytest.fixture(scope="module")
def detector():
    with ThreadPoolExecutor(2) as threads:
        yield Detector(threads)


@pytest.fixture(scope="module")
def signer(shared):
    """A woman who stands upright in the middle: head near (308, 140), hips below the picture's lower third."""
    return next(open_clip(shared / "videos" / "intel_asl_book.mkv").frames()).image_bgr


def test_anchors_are_the_published_ones():
    anchors = _anchors()
    assert anchors.shape == (2254, 2)
    # 28 × 28 cells of two, 14 × 14 of two, 7 × 7 of six; row by row.
    np.testing.assert_allclose(anchors[0], [0.5 / 28, 0.5 / 28])
    np.testing.assert_allclose(anchors[2], [1.5 / 28, 0.5 / 28])
    np.testing.assert_allclose(anchors[28 * 28 * 2], [0.5 / 14, 0.5 / 14])
    np.testing.assert_allclose(anchors[-6], [6.5 / 7, 6.5 / 7])
    assert len(np.unique(anchors, axis=0)) == 28 * 28 + 14 * 14 + 7 * 7


@pytest.mark.parametrize("size", [(480, 640), (1920, 1080), (50, 60), (1, 1000)])
def test_the_letterbox_says_how_to_come_back(size):
    image = np.full((*size, 3), 255, dtype=np.uint8)
    picture, scale, margin = _letterbox(image)
    assert picture.shape == (224, 224, 3) and picture.dtype == np.float32
    rows, columns = np.nonzero(picture[..., 0] > 0)
    low = (np.array([columns.min(), rows.min()]) - margin) / scale
    high = (np.array([columns.max() + 1, rows.max() + 1]) - margin) / scale
    # A side is rounded to whole pixels of the net.
    np.testing.assert_allclose(low, [0, 0], atol=1e-9)
    np.testing.assert_allclose(high, size[::-1], atol=1 / scale)


def test_overlapping_boxes_are_one_person_weighted_by_score():
    def row(x):
        return [[x, 50], [20, 20], [x, 100], [x, 40], [0, 0], [0, 0]]

    found = _merge(np.array([row(50), row(54), row(200)], dtype=float), np.array([0.6, 0.9, 0.7]))
    assert [detection.score for detection in found] == [0.9, 0.7]
    np.testing.assert_allclose(found[0].hips_px, [(0.6 * 50 + 0.9 * 54) / 1.5, 100])
    np.testing.assert_allclose(found[0].head_px, [(0.6 * 50 + 0.9 * 54) / 1.5 - 10, 40, (0.6 * 50 + 0.9 * 54) / 1.5 + 10, 60])


def test_one_person_is_found_where_she_stands(detector, signer):
    ((found,),) = detector([signer])
    assert found.score > 0.9
    head = (found.head_px[:2] + found.head_px[2:]) / 2
    np.testing.assert_allclose(head, [308, 150], atol=30)
    assert abs(found.hips_px[0] - 310) < 30 and 380 < found.hips_px[1] < 480
    assert found.circle_px[1] < found.hips_px[1] - 200


def test_she_is_found_wherever_the_picture_puts_her_and_upside_down(detector, signer):
    height, width = signer.shape[:2]
    pasted = np.full((900, 1200, 3), 127, dtype=np.uint8)
    pasted[400 : 400 + height, 500 : 500 + width] = signer
    turned = np.ascontiguousarray(signer[::-1, ::-1])
    ((still,), (moved,), (around,)) = detector([signer, pasted, turned])
    # Her hips are below the picture's edge, and guessed: 5 % of her height.
    np.testing.assert_allclose(moved.hips_px - (500, 400), still.hips_px, atol=40)
    np.testing.assert_allclose(np.array([width, height]) - around.hips_px, still.hips_px, atol=40)
    assert around.circle_px[1] > around.hips_px[1] + 150


def test_nobody_in_noise(detector):
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    assert detector([noise, cv2.GaussianBlur(noise, (0, 0), 9), np.zeros_like(noise)]) == [[], [], []]
