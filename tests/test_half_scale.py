"""Halved scales against plain skinning with the store's own."""

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.formats.half_scale import half_scale
from rigdrop.motion.kinematics import skin_vertices, world_transforms

from .format_contract import largest_mm, truth_m
from .synthetic import small_take

# A half has 11 significant bits, so rounding takes at most this share of a number.
_HALF = 2.0**-11


def _written_m(person):
    motion = person.motion
    rounded = half_scale(person.rig, motion.local_translation_m, motion.local_scale)
    assert rounded.scale.dtype == np.float16
    worlds = world_transforms(person.rig, motion.local_quat_xyzw, rounded.translation_m, rounded.scale.astype(np.float32))
    return worlds, skin_vertices(replace(person.rig, vertices_m=rounded.vertices_m), worlds)


@pytest.mark.parametrize("scale", ["constant", "varying"])
def test_joints_stand_where_they_stood_and_keep_their_size_within_one_rounding(scale):
    person = small_take(scale=scale).people[0]
    motion = person.motion
    worlds, _ = _written_m(person)
    exact = world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
    # Rotations, translations and scales are float32: a few 1e-7 m down a chain of seven.
    np.testing.assert_allclose(worlds[..., :3, 3], exact[..., :3, 3], atol=2e-6)
    sizes = np.cbrt(np.linalg.det(worlds[..., :3, :3]) / np.linalg.det(exact[..., :3, :3]))
    assert np.abs(sizes - 1).max() < _HALF


@pytest.mark.parametrize(("scale", "limit_mm"), [("constant", 0.02), ("varying", 0.2)])
def test_vertices_stay_far_below_a_tenth_of_a_millimetre(scale, limit_mm):
    person = small_take(scale=scale).people[0]
    assert largest_mm(_written_m(person)[1], truth_m(person)) < limit_mm


def test_the_corrections_pay():
    person = small_take(scale="constant").people[0]
    motion = person.motion
    naive = world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale.astype(np.float16))
    assert largest_mm(_written_m(person)[1], truth_m(person)) < 0.7 * largest_mm(skin_vertices(person.rig, naive), truth_m(person))


def test_at_rest_a_constant_scale_is_exact():
    person = small_take(frames=1, scale="constant").people[0]
    rig, scale = person.rig, person.motion.local_scale
    rounded = half_scale(rig, person.motion.local_translation_m, scale)
    exact_m = _sized_at_rest(rig, scale[0])
    written_m = _sized_at_rest(replace(rig, vertices_m=rounded.vertices_m), rounded.scale[0])
    # In the bind pose the corrected mesh makes up for the rounding wholly, so only float32's is left.
    np.testing.assert_allclose(written_m, exact_m, atol=3e-7)


def _sized_at_rest(rig, local_scale):
    """Vertices with each joint where the bind pose has it, and as large as its scales say."""
    worlds = rig.bind_world.copy()
    sizes = np.array(local_scale, dtype=np.float64)
    for joint, parent in enumerate(rig.joint_parents):
        sizes[joint] *= sizes[parent] if parent >= 0 else 1
    worlds[:, :3, :3] *= sizes[:, None, None]
    return skin_vertices(rig, worlds[None])


def test_at_rest_a_displacement_of_the_mesh_is_exact_too():
    person = small_take(frames=1, scale="constant").people[0]
    rig, scale = person.rig, person.motion.local_scale
    rounded = half_scale(rig, person.motion.local_translation_m, scale)
    displaced_m = np.random.default_rng(2).normal(0, 0.05, rig.vertices_m.shape)
    exact_m = _sized_at_rest(replace(rig, vertices_m=rig.vertices_m + displaced_m), scale[0])
    written = replace(rig, vertices_m=rounded.vertices_m + displaced_m * rounded.growth)
    np.testing.assert_allclose(_sized_at_rest(written, rounded.scale[0]), exact_m, atol=4e-7)


@pytest.mark.parametrize("scale", [None, "ones"])
def test_without_scale_nothing_changes(scale):
    person = small_take().people[0]
    ones = np.ones(person.motion.local_translation_m.shape[:2], np.float32)
    rounded = half_scale(person.rig, person.motion.local_translation_m, ones if scale else None)
    assert rounded.vertices_m is person.rig.vertices_m and rounded.translation_m is person.motion.local_translation_m
    assert (rounded.scale == 1).all() and (rounded.growth == 1).all()
