from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from rigdrop.ingest.pose.roi import Roi, crop, upright_square, wrap_rad

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("roi", [Roi(100, 50, 80, 0), Roi(30.5, -7, 300, 0.7), Roi(0, 0, 10, -2.5), Roi(5, 5, 1000, math.pi)])
def test_to_the_picture_and_back(roi):
    points = RNG.uniform(-1, 2, (20, 2))
    np.testing.assert_allclose(roi.to_roi(roi.to_picture(points)), points, atol=1e-12)


def test_a_square_drawn_from_its_centre_and_upper_middle():
    roi = upright_square(np.array([100.0, 100.0]), np.array([100.0, 60.0]))
    assert (roi.x_px, roi.y_px, roi.size_px, roi.angle_rad) == pytest.approx((100, 100, 80, 0))
    # Whoever lies with the head to the right: the square's up is the picture's right.
    lying = upright_square(np.array([100.0, 100.0]), np.array([140.0, 100.0]))
    assert lying.angle_rad == pytest.approx(math.pi / 2)
    np.testing.assert_allclose(lying.to_picture(np.array([0.5, 0.0])), [140, 100], atol=1e-9)
    # A quarter turn clockwise brings the square's left side up.
    np.testing.assert_allclose(lying.to_picture(np.array([0.0, 0.5])), [100, 60], atol=1e-9)


def test_growing_and_moving_up_along_its_own_axis():
    roi = Roi(100, 100, 40, math.pi / 2).scaled(2, shift_up=0.25)
    assert (roi.x_px, roi.y_px, roi.size_px) == pytest.approx((110, 100, 80))


@pytest.mark.parametrize("angle", [0.0, 3.0, -3.0, 3.2, -9.0, 100.0])
def test_wrapped_angles_are_the_same_angles(angle):
    assert -math.pi <= wrap_rad(angle) < math.pi
    assert math.cos(wrap_rad(angle)) == pytest.approx(math.cos(angle)) and math.sin(wrap_rad(angle)) == pytest.approx(math.sin(angle))


def gradient(width=400, height=300):
    """A picture whose red is its column and whose green is its row, both at pixel centres and divided by two."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    return np.dstack([np.zeros((height, width)), rows / 2, columns / 2]).astype(np.uint8)


@pytest.mark.parametrize(
    "roi", [Roi(200, 150, 64, 0), Roi(200, 150, 64, 0.6), Roi(190, 160, 100, -1.2), Roi(200, 150, 200, 0.3), Roi(150, 150, 128, 3.0)]
)
def test_a_crop_shows_what_is_at_its_points(roi):
    side = 64
    image = crop(gradient(), roi, side)
    centres = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1) + 0.5) / side
    expected = roi.to_picture(centres)
    found = image[..., :2] * 510  # RGB: red is the column, green the row
    # Eight bits of half a pixel each, and rounding in OpenCV's own sub-pixel table (1/32).
    assert np.abs(found - expected).max() < 3.5
    assert np.abs((found - expected).mean(axis=(0, 1)) + 0.5).max() < 0.6


def test_beyond_the_edge_the_last_pixels_go_on():
    image = gradient()
    found = crop(image, Roi(0, 150, 64, 0), 64)
    np.testing.assert_allclose(found[:, :31, 0], 0, atol=1 / 255)
    outside = crop(image, Roi(-5000, -5000, 64, 0.3), 64)
    np.testing.assert_allclose(outside[..., 0], image[0, 0, 2] / 255, atol=1 / 255)


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_shrinking_averages_instead_of_skipping(angle):
    # One-pixel stripes: skipping pixels shows black, white or moiré, averaging an even grey.
    image = np.zeros((800, 800, 3), dtype=np.uint8)
    image[:, ::2] = 255
    found = crop(image, Roi(400, 400, 560, angle), 64)
    assert np.abs(found - 0.5).max() < 0.06


def test_a_crop_of_the_whole_is_what_opencv_reduces_it_to():
    image = cv2.GaussianBlur(RNG.integers(0, 255, (256, 256, 3), dtype=np.uint8), (0, 0), 6)
    found = crop(image, Roi(128, 128, 256, 0), 64)
    expected = cv2.cvtColor(cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB) / 255
    assert np.abs(found - expected).max() < 2 / 255


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (3, 3)])
def test_tiny_pictures_can_be_cropped(size):
    assert np.isfinite(crop(np.full((*size, 3), 9, dtype=np.uint8), Roi(1, 1, 900, 0.2), 32)).all()
