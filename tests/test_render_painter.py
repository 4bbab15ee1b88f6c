"""The painter against geometry that can be worked out by hand."""

import cv2
import numpy as np
import pytest

from rigdrop.render.painter import Light, Surface, join, paint, paint_shadow, rasterize, shade
from rigdrop.render.scene import box_surface
from rigdrop.render.view import View, look_at, pinhole

BACKGROUND = 40


def sphere(centre, radius, colour, rings=60, segments=90):
    polar, turn = np.meshgrid(np.linspace(1e-4, np.pi - 1e-4, rings), np.linspace(0, 2 * np.pi, segments, endpoint=False), indexing="ij")
    normals = np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), -np.sin(polar) * np.sin(turn)], axis=-1).reshape(-1, 3)
    row, column = (grid.ravel() for grid in np.meshgrid(np.arange(rings - 1), np.arange(segments), indexing="ij"))
    a, b = row * segments + column, row * segments + (column + 1) % segments
    faces = np.concatenate([np.stack([a, a + segments, b + segments], axis=1), np.stack([a, b + segments, b], axis=1)])
    return Surface(np.array(centre) + radius * normals, normals, faces, np.tile(np.array(colour, float), (len(normals), 1)))


@pytest.fixture
def view():
    return View(320, 240, pinhole(320, 240, 300), look_at((0, 1, 4), (0, 1, 0)))


@pytest.fixture
def picture():
    return np.full((240, 320, 3), BACKGROUND, np.uint8)


def pixels_of(view, fragments):
    rows, columns = np.divmod(fragments.pixels, view.width)
    return np.stack([columns, rows], axis=1) + 0.5


def test_a_sphere_covers_a_disc_of_the_right_size_and_place(view):
    ball = sphere((0, 1, 0), 0.7, (200, 100, 50))
    seen = pixels_of(view, rasterize(view, ball.vertices_m, ball.faces))
    radius = 300 * 0.7 / np.sqrt(4**2 - 0.7**2)
    np.testing.assert_allclose(seen.mean(axis=0), [160, 120], atol=0.3)
    # A polygon's outline is drawn as well as filled: up to half a pixel more all around, and never less.
    area = np.pi * radius**2
    assert area - 2 < len(seen) < area + 2 * np.pi * radius * 0.7


def test_what_is_seen_in_a_pixel_projects_into_it(view):
    ball = sphere((0.4, 1.2, 0.3), 0.6, (0, 0, 0))
    fragments = rasterize(view, ball.vertices_m, ball.faces)
    back, depth = view.project(fragments.blend(ball.vertices_m))
    # Exact but for slivers at the outline, one pixel in twenty here, whose planes are not followed far outside them.
    distance = np.linalg.norm(back - pixels_of(view, fragments), axis=1)
    assert np.quantile(distance, 0.95) < 0.1 and np.median(distance) < 1e-3
    assert np.quantile(depth, 0.99) < view.project(np.array([0.4, 1.2, 0.3]))[1]  # only the near side is seen


def test_depth_is_interpolated_as_perspective_has_it(view):
    corners = np.array([[-2.0, 0, 3], [2, 0, 3], [2, 0, -9], [-2, 0, -9]])
    floor = Surface(corners, np.tile([0.0, 1, 0], (4, 1)), np.array([[0, 1, 2], [0, 2, 3]]), np.zeros((4, 3)))
    fragments = rasterize(view, floor.vertices_m, floor.faces)
    pixels = pixels_of(view, fragments)
    eye, rays = view.rays()
    ray = rays[(pixels[:, 1]).astype(int), pixels[:, 0].astype(int)]
    ground = eye + ray * (-eye[1] / ray[:, 1])[:, None]
    inside = (np.abs(ground[:, 0]) < 1.7) & (ground[:, 2] > -8) & (ground[:, 2] < 2.9)
    # float32 pixels of a grazing floor eight metres away: a hundredth of a pixel is a few centimetres there.
    np.testing.assert_allclose(fragments.blend(floor.vertices_m)[inside], ground[inside], atol=0.03)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_one_covers_the_other_whatever_the_order(view, picture, order):
    both = (sphere((0, 1, 0.5), 0.4, (250, 0, 0)), sphere((0.1, 1, -0.8), 0.8, (0, 0, 250)))
    paint(picture, view, join([both[index] for index in order]), Light())
    assert picture[120, 160, 0] > 90 and picture[120, 160, 2] == 0
    assert picture[120, 213, 2] > 90 and picture[120, 213, 0] == 0


def test_sides_that_face_away_are_not_painted(view):
    ball = sphere((0, 1, 0), 0.7, (0, 0, 0))
    outline_m = 4 - 0.7**2 / 4  # how far away the circle is along which lines of sight touch the sphere
    seen = (rasterize(view, ball.vertices_m, faces) for faces in (ball.faces, ball.faces[:, ::-1]))
    near, far = (view.project(fragments.blend(ball.vertices_m))[1] for fragments in seen)
    assert np.quantile(near, 0.98) < outline_m < np.quantile(far, 0.02)


@pytest.mark.parametrize("centre", [(0, 1, 9), (30, 1, 0), (0, -20, 0), (0, 1, 4)])
def test_what_is_behind_beside_or_around_the_camera_paints_nothing(view, picture, centre):
    ball = sphere(centre, 0.03 if centre == (0, 1, 4) else 0.7, (255, 255, 255))
    assert len(paint(picture, view, ball, Light()).pixels) == 0
    assert (picture == BACKGROUND).all()


def test_opacity_mixes_with_what_is_behind(view, picture):
    ball = sphere((0, 1, 0), 0.7, (200, 200, 200))
    solid, half = picture.copy(), picture.copy()
    paint(solid, view, ball, Light())
    paint(half, view, ball, Light(), np.full(len(ball.vertices_m), 0.5))
    np.testing.assert_allclose(half.astype(float), 0.5 * BACKGROUND + 0.5 * solid.astype(float), atol=1.01)  # two roundings


def test_the_side_toward_the_sun_is_the_brighter_one():
    light = Light(to_sun=(0.0, 1.0, 0.0))
    grey = np.full((3, 3), 200.0)
    up, side, down = shade(grey, np.array([[0.0, 1, 0], [1, 0, 0], [0, -1, 0]]), light)[:, 0]
    assert 255 >= up > side > down > 30
    np.testing.assert_allclose(shade(grey[:1], np.array([[0.0, 7.0, 0]]), light)[0, 0], up, rtol=1e-6)  # length does not matter


def test_the_shadow_falls_where_the_suns_ray_meets_the_ground(picture):
    view = View(320, 240, pinhole(320, 240, 250), look_at((0, 3, 4), (0, 0, 0)))
    light = Light(to_sun=(-0.5, 1.0, 0.25))
    paint_shadow(picture, view, sphere((0, 1, 0), 0.15, (0, 0, 0)), light, strength=0.5, softness_px=1.0)
    rows, columns = np.nonzero(picture[..., 0] < 0.75 * BACKGROUND)
    expected, _ = view.project(np.array([0.5, 0.0, -0.25]))
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], expected, atol=0.7)
    assert picture.min() >= BACKGROUND // 2 - 1


def test_a_box_has_the_outline_that_its_corners_span(view):
    box = box_surface(np.array([-0.5, 0.4, -0.3]), np.array([0.2, 1.4, 0.6]), np.array([1.0, 2, 3]))
    fragments = rasterize(view, box.vertices_m, box.faces)
    hull = cv2.convexHull(view.project(box.vertices_m)[0].astype(np.float32))
    assert len(fragments.pixels) == pytest.approx(cv2.contourArea(hull), rel=0.03)
    outward = fragments.blend(box.normals)
    assert (np.einsum("nc,nc->n", outward, view.world_from_camera[:3, 3] - fragments.blend(box.vertices_m)) > 0).all()
