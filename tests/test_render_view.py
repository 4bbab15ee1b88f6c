"""Views against OpenCV's own projection."""

import cv2
import numpy as np
import pytest

from rigdrop.motion.take import Camera
from rigdrop.render.view import View, look_at, look_from, pinhole

GLTF_TO_OPENCV = np.diag([1.0, -1.0, -1.0])


@pytest.fixture
def view():
    return View(640, 480, np.array([[510.0, 0, 300], [0, 520.0, 260], [0, 0, 1]]), look_at((1.2, 1.9, 4.0), (0.1, 0.8, -0.3)))


@pytest.fixture
def points():
    return np.random.default_rng(3).uniform([-1, 0, -1], [1, 2, 1], (50, 3))


def test_points_fall_where_opencv_puts_them(view, points):
    T_camera_world = np.linalg.inv(view.world_from_camera)
    rotation, translation = GLTF_TO_OPENCV @ T_camera_world[:3, :3], GLTF_TO_OPENCV @ T_camera_world[:3, 3]
    expected, _ = cv2.projectPoints(points, cv2.Rodrigues(rotation)[0], translation, view.intrinsics_px, None)
    pixels, depth = view.project(points)
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-8)
    np.testing.assert_allclose(depth, (points @ rotation.T + translation)[:, 2], atol=1e-12)


def test_the_takes_camera_projects_alike(view, points):
    camera = Camera(view.width, view.height, view.intrinsics_px, view.world_from_camera)
    np.testing.assert_allclose(View.of_camera(camera).project(points)[0], camera.project(points[None])[0], atol=1e-9)


def test_a_camera_that_moves_gives_each_frame_its_own_view(view):
    worlds = np.stack([view.world_from_camera, look_at((0, 1, 3), (0, 1, 0))])
    camera = Camera(view.width, view.height, view.intrinsics_px, worlds)
    np.testing.assert_array_equal(View.of_camera(camera, 1).world_from_camera, worlds[1])


def test_fewer_pixels_show_the_same(view, points):
    np.testing.assert_allclose(view.resized(320, 120).project(points)[0], view.project(points)[0] * [0.5, 0.25])


def test_rays_meet_the_pixels_that_they_start_from(view):
    eye, rays = view.rays()
    pixels, depth = view.project(eye + 2.5 * rays[[0, 100, 479], [0, 320, 639]])
    np.testing.assert_allclose(pixels, [[0.5, 0.5], [320.5, 100.5], [639.5, 479.5]], atol=1e-9)
    np.testing.assert_allclose(depth, 2.5)


def test_the_camera_looks_at_its_target_and_stands_upright(view):
    pixels, depth = view.project(np.array([0.1, 0.8, -0.3]))
    np.testing.assert_allclose(pixels, [300, 260], atol=1e-9)
    assert depth == pytest.approx(np.linalg.norm([1.1, 1.1, 4.3]))
    higher, _ = view.project(np.array([0.1, 0.9, -0.3]))
    assert higher[1] < pixels[1] and higher[0] == pytest.approx(pixels[0])


@pytest.mark.parametrize("direction", [(0, 0.1, 1), (0.8, 0.5, 1), (-2, -0.1, 0.2)])
def test_everything_is_in_the_picture_and_no_smaller_than_it_must_be(direction, points):
    intrinsics = pinhole(600, 800, 900)
    view = View(600, 800, intrinsics, look_from(direction, points, 600, 800, intrinsics, 0.1, 0.1))
    pixels, depth = view.project(points)
    share = pixels / [600, 800]
    assert (depth > 0).all() and share.min() > 0.1 - 1e-9 and share.max() < 0.9 + 1e-9
    touches = np.isclose(share.min(axis=0), 0.1) & np.isclose(share.max(axis=0), 0.9)
    assert touches.any()


def test_nobody_is_nearer_than_asked():
    point = np.array([[0.0, 1.0, 0.5]])
    view = View(100, 100, pinhole(100, 100, 100), look_from((0, 0, 1), point, 100, 100, pinhole(100, 100, 100), 0.1, 3.0))
    assert view.project(point)[1][0] == pytest.approx(3.0)
