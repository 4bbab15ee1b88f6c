"""The parts that both kinds of GLB share."""

from dataclasses import replace

import numpy as np
import pygltflib
import pytest

from rigdrop.errors import ReadError
from rigdrop.formats.glb import GlbFile
from rigdrop.formats.glb_parts import Clock, add_camera, clip_times_s, take_extras

from .synthetic import SHA256, small_take


def test_extras_say_where_a_file_comes_from():
    take = small_take()
    assert take_extras(take, take.people[0]) == {
        "take": "a clip", "person": "person_01", "name": "Person 1", "fps": "30/1", "source_sha256": SHA256,
    }


def test_times_start_at_0_and_are_the_takes_own():
    take = replace(small_take(4), times_s=np.array([7.0, 7.04, 7.07, 7.2]))
    np.testing.assert_allclose(clip_times_s(take), [0, 0.04, 0.07, 0.2], atol=1e-7)


def test_frames_that_float32_can_not_tell_apart_are_refused():
    take = replace(small_take(3), times_s=np.array([0.0, 1000.0, 1000.0 + 1e-6]))
    with pytest.raises(ReadError, match="frames 1 and 2 nearer than"):
        clip_times_s(take)


def test_a_clock_is_appended_once_and_only_when_it_is_used():
    file = GlbFile.new({})
    clock = Clock(file, np.linspace(0, 1, 5, dtype=np.float32))
    assert file.gltf.accessors == []
    assert clock.every_frame() == clock.every_frame() == 0 and clock.both_ends() == 1
    assert [accessor.count for accessor in file.gltf.accessors] == [5, 2]


def test_a_clip_of_one_frame_has_one_key():
    file = GlbFile.new({})
    clock = Clock(file, np.zeros(1, np.float32))
    assert clock.both_ends() == clock.every_frame() == 0


@pytest.mark.parametrize("moves", [False, True])
def test_the_camera_has_its_own_angle_of_view_and_moves_if_it_moved(moves):
    take = small_take(camera_moves=moves)
    file, animation = GlbFile.new({}), pygltflib.Animation()
    add_camera(file, take.camera, Clock(file, clip_times_s(take)), animation)
    lens = file.gltf.cameras[0].perspective
    # 480 rows at 900 px: an independent formula, the tangent of half the angle.
    assert np.tan(lens.yfov / 2) == pytest.approx(240 / 900) and lens.aspectRatio == pytest.approx(4 / 3)
    assert file.gltf.nodes[0].translation == [0, 1.2, 4] and file.gltf.scenes[0].nodes == [0]
    assert [channel.target.path for channel in animation.channels] == (["translation", "rotation"] if moves else [])
