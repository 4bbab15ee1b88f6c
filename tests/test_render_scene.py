"""The room behind a clip, and what stands in front of it."""

import numpy as np
import pytest

from rigdrop.render.painter import join
from rigdrop.render.scene import SceneOptions, Stage, box_surface, paint_room
from rigdrop.render.view import View, look_at, pinhole

from .test_render_painter import sphere

CLEAN = SceneOptions(noise=0.0, blur_px=0.0)


@pytest.fixture
def view():
    return View(320, 240, pinhole(320, 240, 260), look_at((0, 1.4, 4.5), (0, 1, 0)))


def nobody():
    return sphere((0, -50, 0), 0.1, (0, 0, 0), 4, 4)


def test_wall_and_floor_meet_where_the_wall_stands(view):
    room = paint_room(view, CLEAN).astype(float)
    meeting = view.project(np.array([0.0, 0.0, CLEAN.wall_z_m]))[0][1]
    # Just above the floor there is the light skirting board, below it the darker tiles.
    assert room[int(meeting) - 4, 160].mean() > room[int(meeting) + 6, 160].mean() + 15


def test_the_room_is_the_same_each_time_and_another_for_another_seed(view):
    np.testing.assert_array_equal(paint_room(view, CLEAN), paint_room(view, CLEAN))
    assert (paint_room(view, SceneOptions(seed=5)) != paint_room(view, CLEAN)).mean() > 0.5


def test_the_pillar_hides_who_is_behind_it(view):
    options = SceneOptions(noise=0.0, blur_px=0.0, pillar_x_m=0.0, pillar_z_m=1.0, pillar_width_m=0.4)
    stage = Stage(view, options)
    empty = stage.picture(nobody(), nobody(), 0)
    ball = sphere((0.0, 1.0, 0.0), 0.12, (0, 0, 255))
    np.testing.assert_array_equal(stage.picture(ball, nobody(), 0), empty)
    beside = stage.picture(sphere((1.0, 1.0, 0.0), 0.12, (0, 0, 255)), nobody(), 0)
    x, y = view.project(np.array([1.0, 1.0, 0.0]))[0].astype(int)
    assert beside[y, x, 2] > 100 > beside[y, x, 0]


def test_people_cast_shadows_on_the_floor(view):
    stage = Stage(view, CLEAN)
    empty = stage.picture(nobody(), nobody(), 0).astype(int)
    body = box_surface(np.array([-0.2, 0.0, -0.2]), np.array([0.2, 1.0, 0.2]), np.array([90.0, 90, 90]))
    with_shadow = stage.picture(nobody(), body, 0).astype(int)
    darker = (empty - with_shadow).max(axis=2) > 20
    assert darker.any() and not ((with_shadow - empty) > 0).any()


def test_the_camera_is_noisy_about_the_right_level(view):
    stage = Stage(view, SceneOptions(noise=3.0, blur_px=0.0))
    pictures = np.stack([stage.picture(nobody(), nobody(), frame).astype(float) for frame in range(8)])
    assert pictures.std(axis=0).mean() == pytest.approx(3.0, rel=0.15)


def test_joining_keeps_every_part(view):
    parts = [sphere((0, 1, 0), 0.2, (1, 2, 3)), box_surface(np.zeros(3), np.ones(3), np.array([9.0, 9, 9]))]
    joined = join(parts)
    assert len(joined.faces) == sum(len(part.faces) for part in parts)
    np.testing.assert_array_equal(joined.vertices_m[joined.faces[-1]], parts[1].vertices_m[parts[1].faces[-1]])
