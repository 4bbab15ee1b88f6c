"""Evaluation of a GLB between its keys, against SciPy's rotations and sums by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from rigdrop.errors import ReadError
from rigdrop.formats.glb_baked import write_glb_baked
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.verify.glb_document import GlbDocument, read_glb
from rigdrop.formats.verify.glb_evaluate import GlbScene

from .format_contract import truth_m
from .synthetic import small_take

TAKE = small_take(scale="varying")
KEYS_S = (TAKE.times_s - TAKE.times_s[0]).astype(np.float32).astype(float)
BETWEEN_S = np.array([0.01, 0.05, 0.123, 0.29])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "a.glb"
    write_glb_skeletal(TAKE, TAKE.people[0], path)
    return GlbScene(read_glb(path))


def test_rotations_between_keys_are_spherical(scene):
    quats = TAKE.people[0].motion.local_quat_xyzw[:, 3]
    expected = Slerp(KEYS_S, Rotation.from_quat(quats))(BETWEEN_S)
    found = Rotation.from_quat(scene.value(3, "rotation", BETWEEN_S))
    assert (expected.inv() * found).magnitude().max() < 1e-6  # float32 quaternions


def test_translations_between_keys_are_linear(scene):
    expected = np.stack([np.interp(BETWEEN_S, KEYS_S, axis) for axis in TAKE.people[0].motion.local_translation_m[:, 0].T], axis=1)
    np.testing.assert_allclose(scene.value(0, "translation", BETWEEN_S), expected, atol=1e-6)


def test_past_the_ends_the_ends_stay(scene):
    found = scene.vertices(np.array([-5.0, KEYS_S[0], KEYS_S[-1], 99.0]))
    np.testing.assert_array_equal(found[[0, 2]], found[[1, 3]])


def test_a_joint_without_a_channel_keeps_its_node(scene):
    assert (1, "rotation") not in scene.channels
    np.testing.assert_array_equal(scene.value(1, "rotation", BETWEEN_S), [scene.nodes[1]["rotation"]] * 4)


def test_morphs_blend_between_frames(tmp_path):
    write_glb_baked(TAKE, TAKE.people[0], tmp_path / "a.glb")
    truth = truth_m(TAKE.people[0])
    middle_s = (KEYS_S[:-1] + KEYS_S[1:]) / 2
    np.testing.assert_allclose(GlbScene(read_glb(tmp_path / "a.glb")).vertices(middle_s), (truth[:-1] + truth[1:]) / 2, atol=1e-6)


@pytest.mark.parametrize(("nodes", "message"), [
    ([{"children": [2]}, {"children": [2]}, {"mesh": 0}], "nodes\\[2\\]: found two parents"),
    ([{"mesh": 0}, {"mesh": 0}], "found 2 nodes with a mesh, expected one"),
    ([{}], "found 0 nodes with a mesh, expected one"),
])
def test_what_is_no_tree_with_one_mesh_is_refused(tmp_path, nodes, message):
    document = GlbDocument(tmp_path / "a.glb", {"nodes": nodes, "meshes": [{"primitives": [{}]}]}, np.zeros(0, np.uint8))
    with pytest.raises(ReadError, match=message):
        GlbScene(document).check()


def test_two_primitives_with_vertices_of_their_own_are_refused(tmp_path):
    primitives = [{"attributes": {"POSITION": 0}}, {"attributes": {"POSITION": 1}}]
    document = GlbDocument(tmp_path / "a.glb", {"nodes": [{"mesh": 0}], "meshes": [{"primitives": primitives}]}, np.zeros(0, np.uint8))
    with pytest.raises(ReadError, match="vertices of their own, expected all to share them"):
        GlbScene(document).check()


def test_a_step_holds_the_last_key(scene):
    stepped = GlbScene(replace(scene.document))
    sampler = dict(scene.channels[0, "translation"], interpolation="STEP")
    stepped.__dict__["channels"] = {(0, "translation"): sampler}
    before = TAKE.people[0].motion.local_translation_m[[0, 1, 3, 8], 0]
    np.testing.assert_allclose(stepped.value(0, "translation", BETWEEN_S), before, atol=1e-7)
