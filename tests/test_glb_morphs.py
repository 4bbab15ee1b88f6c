"""Morph targets of a skinned GLB, as pygltflib reads them, and evaluated by the sums of the specification."""

from dataclasses import replace

import numpy as np
import pygltflib
import pytest

from rigdrop.formats.glb_morphs import morph_names
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.verify.glb_document import read_glb
from rigdrop.formats.verify.glb_evaluate import GlbScene

from .format_contract import largest_mm, truth_m
from .morphing import with_morphs
from .synthetic import small_take


def _written(tmp_path, take):
    write_glb_skeletal(take, take.people[0], tmp_path / "a.glb")
    return pygltflib.GLTF2().load(str(tmp_path / "a.glb")), read_glb(tmp_path / "a.glb")


def _weights_of(gltf, document):
    (channel,) = [channel for channel in gltf.animations[0].channels if channel.target.path == "weights"]
    sampler = gltf.animations[0].samplers[channel.sampler]
    assert gltf.nodes[channel.target.node].mesh == 0 and sampler.interpolation == "LINEAR"
    return document.accessor(sampler.input), document.accessor(sampler.output)


def test_targets_are_the_rigs_and_every_key_has_a_weight_for_each(tmp_path):
    take = with_morphs(small_take(5))
    gltf, document = _written(tmp_path, take)
    person, mesh = take.people[0], gltf.meshes[0]
    assert mesh.extras["targetNames"] == morph_names(person.rig) == ["morph_01", "morph_02", "morph_03"]
    assert mesh.weights == [0, 0, 0]
    for target, expected in zip(mesh.primitives[0].targets, person.rig.morph_targets_m, strict=True):
        np.testing.assert_array_equal(document.accessor(target["POSITION"]), expected)
        assert set(target) == {"POSITION"}
    keys_s, weights = _weights_of(gltf, document)
    np.testing.assert_allclose(keys_s, np.arange(5) / 30, atol=1e-7)
    np.testing.assert_array_equal(weights.reshape(5, 3), person.motion.morph_weights)


@pytest.mark.parametrize(("frames", "keys"), [(5, 2), (1, 1)])
def test_weights_that_stay_the_same_have_a_key_at_both_ends(tmp_path, frames, keys):
    take = with_morphs(small_take(frames), held=True)
    _, weights = _weights_of(*_written(tmp_path, take))
    np.testing.assert_array_equal(weights.reshape(keys, 3), take.people[0].motion.morph_weights[:keys])


def test_without_targets_nothing_is_said_of_them(tmp_path):
    gltf, _ = _written(tmp_path, small_take(3))
    assert gltf.meshes[0].primitives[0].targets in (None, []) and gltf.meshes[0].weights in (None, [])
    assert {channel.target.path for channel in gltf.animations[0].channels} == {"rotation", "translation"}


def test_between_two_frames_weights_go_straight(tmp_path):
    """A skeleton that stands still shows the weights alone: half of one frame's vertices and half of the next one's."""
    moving = with_morphs(small_take(6))
    person = moving.people[0]
    still = {name: np.repeat(getattr(person.motion, name)[:1], 6, axis=0) for name in ("local_quat_xyzw", "local_translation_m")}
    person = replace(person, motion=replace(person.motion, **still))
    _, document = _written(tmp_path, replace(moving, people=[person]))
    truth, keys_s = truth_m(person).astype(np.float64), (np.arange(6) / 30).astype(np.float32).astype(float)
    assert largest_mm(truth[1:], truth[:-1]) > 5
    found = GlbScene(document).vertices((keys_s[:-1] + keys_s[1:]) / 2)
    assert largest_mm(found, (truth[:-1] + truth[1:]) / 2) < 0.001  # float32 vertices of two metres
