"""What a baked GLB holds, and how long it may be."""

from dataclasses import replace

import numpy as np
import pygltflib
import pytest

from rigdrop.errors import SettingsError
from rigdrop.formats.glb_baked import MANY_FRAMES, MAX_FRAMES, frame_vertices, write_glb_baked
from rigdrop.formats.options import GlbBakedOptions

from .format_contract import truth_m
from .synthetic import small_take


def _written(tmp_path, take, options=None):
    write_glb_baked(take, take.people[0], tmp_path / "a.glb", options)
    return pygltflib.GLTF2().load(str(tmp_path / "a.glb"))


def test_there_is_a_named_target_for_each_frame_after_the_first(tmp_path):
    gltf = _written(tmp_path, small_take(5))
    assert gltf.meshes[0].extras["targetNames"] == ["frame_1", "frame_2", "frame_3", "frame_4"]
    assert len(gltf.meshes[0].primitives[0].targets) == 4 and gltf.animations[0].samplers[0].interpolation == "LINEAR"
    assert gltf.skins == []


@pytest.mark.parametrize(("normals", "keys"), [(False, {"POSITION"}), (True, {"POSITION", "NORMAL"})])
def test_normals_come_on_request(tmp_path, normals, keys):
    gltf = _written(tmp_path, small_take(3), GlbBakedOptions(normals=normals))
    assert {key for key, value in gltf.meshes[0].primitives[0].targets[0].items() if value is not None} == keys


def test_one_frame_needs_no_target_and_no_animation(tmp_path):
    gltf = _written(tmp_path, small_take(1))
    assert gltf.meshes[0].primitives[0].targets in (None, []) and gltf.animations == []


def test_stored_vertices_come_before_skinned_ones():
    person = small_take(3).people[0]
    stored = truth_m(person) + 1
    np.testing.assert_array_equal(list(frame_vertices(replace(person, vertices_m=stored))), stored)
    np.testing.assert_array_equal(list(frame_vertices(person)), truth_m(person))


def test_too_many_frames_are_refused_with_advice(tmp_path):
    take = small_take(MAX_FRAMES + 1)
    with pytest.raises(SettingsError, match=r"2048 frames, a baked GLB holds at most 2047; convert a part .* usd-skel instead"):
        write_glb_baked(take, take.people[0], tmp_path / "a.glb")
    assert list(tmp_path.iterdir()) == []


def test_many_frames_are_written_with_a_warning(tmp_path):
    take = small_take(MANY_FRAMES + 1)
    with pytest.warns(UserWarning, match="601 frames is large and slow to open"):
        write_glb_baked(take, take.people[0], tmp_path / "a.glb")
    assert (tmp_path / "a.glb").exists()
