"""Kinematics and skinning against loops over frames, joints and vertices that follow docs/motion-store.md word for word."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.motion.kinematics import (
    decompose,
    depth_levels,
    local_matrices,
    local_to_world,
    skin_chunks,
    skin_vertices,
    world_to_local,
    world_transforms,
)
from rigdrop.motion.take import Motion, Person

from .morphing import with_morphs
from .synthetic import small_take


def _loop_world(person: Person) -> np.ndarray:
    motion, parents = person.motion, person.rig.joint_parents
    frames, joints = motion.local_quat_xyzw.shape[:2]
    world = np.zeros((frames, joints, 4, 4))
    for frame in range(frames):
        for joint in range(joints):
            T, R, S = np.eye(4), np.eye(4), np.eye(4)
            T[:3, 3] = motion.local_translation_m[frame, joint]
            R[:3, :3] = Rotation.from_quat(motion.local_quat_xyzw[frame, joint]).as_matrix()
            S[:3, :3] *= 1.0 if motion.local_scale is None else motion.local_scale[frame, joint]
            above = np.eye(4) if parents[joint] < 0 else world[frame, parents[joint]]
            world[frame, joint] = above @ T @ R @ S
    return world


def _loop_vertices(person: Person, world: np.ndarray) -> np.ndarray:
    rig = person.rig
    vertices = np.zeros((len(world), len(rig.vertices_m), 3))
    for frame in range(len(world)):
        skinning = [world[frame, joint] @ np.linalg.inv(rig.bind_world[joint]) for joint in range(world.shape[1])]
        for vertex, still in enumerate(rig.vertices_m):
            rest = still.astype(np.float64)
            for morph in range(rig.morph_count):
                rest = rest + float(person.motion.morph_weights[frame, morph]) * rig.morph_targets_m[morph, vertex]
            for joint, weight in zip(rig.skin_joints[vertex], rig.skin_weights[vertex], strict=True):
                vertices[frame, vertex] += weight * (skinning[joint] @ [*rest, 1.0])[:3]
    return vertices


def _local(motion: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    return motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale


@pytest.mark.parametrize("scale", ["none", "constant", "varying"])
@pytest.mark.parametrize("influences", [1, 4, 7])
def test_joints_and_vertices_are_those_of_the_loop(scale, influences):
    person = small_take(frames=4, scale=scale, influences=influences).people[0]
    expected = _loop_world(person)
    world = world_transforms(person.rig, *_local(person.motion))
    # SciPy renormalises the float32 quaternions, ours are used as stored: 1e-7 of a metre's arm.
    assert np.abs(world - expected).max() < 1e-6
    vertices = skin_vertices(person.rig, world)
    assert vertices.dtype == np.float32
    assert np.abs(vertices - _loop_vertices(person, expected)).max() < 2e-6


def test_morphs_displace_what_the_joints_move_then():
    person = with_morphs(small_take(frames=4, scale="varying")).people[0]
    world = _loop_world(person)
    vertices = skin_vertices(person.rig, world, person.motion.morph_weights)
    assert np.abs(vertices - _loop_vertices(person, world)).max() < 2e-6
    assert np.abs(vertices - skin_vertices(person.rig, world)).max() > 0.01


def test_the_bind_pose_leaves_the_mesh_as_it_is():
    rig = small_take().people[0].rig
    # float32 vertices of two metres' height: half an ulp is 1e-7.
    assert np.abs(skin_vertices(rig, rig.bind_world[None])[0] - rig.vertices_m).max() < 3e-7


@pytest.mark.parametrize("chunk", [1, 5, 12, 100])
def test_chunks_are_the_whole_in_order(chunk):
    person = small_take(frames=12, scale="varying").people[0]
    blocks = list(skin_chunks(person.rig, *_local(person.motion), chunk=chunk))
    assert [len(block) for block in blocks[:-1]] == [chunk] * (len(blocks) - 1)
    assert np.array_equal(np.concatenate(blocks), skin_vertices(person.rig, world_transforms(person.rig, *_local(person.motion))))


def test_chunks_of_morphs_are_the_whole_too():
    person = with_morphs(small_take(frames=12)).people[0]
    weights, world = person.motion.morph_weights, world_transforms(person.rig, *_local(person.motion))
    blocks = np.concatenate(list(skin_chunks(person.rig, *_local(person.motion), weights, chunk=5)))
    # How many frames are blended at once changes how float32 sums are rounded.
    assert np.abs(blocks - skin_vertices(person.rig, world, weights)).max() < 5e-7


def test_world_and_local_are_inverse_to_each_other():
    person = small_take(scale="varying").people[0]
    local = local_matrices(*_local(person.motion))
    world = local_to_world(person.rig.joint_parents, local)
    assert np.allclose(world_to_local(person.rig.joint_parents, world), local, atol=1e-12)


def test_decompose_undoes_compose():
    rng = np.random.default_rng(0)
    quat, translation, scale = Rotation.random(50, random_state=1).as_quat(), rng.normal(size=(50, 3)), rng.uniform(0.2, 3, 50)
    back_quat, back_translation, back_scale = decompose(local_matrices(quat, translation, scale))
    assert np.allclose(back_scale, scale, atol=1e-12)
    assert np.allclose(back_translation, translation, atol=1e-12)
    assert np.allclose(Rotation.from_quat(back_quat).as_matrix(), Rotation.from_quat(quat).as_matrix(), atol=1e-12)


@pytest.mark.parametrize(
    ("parents", "levels"),
    [([-1], [[0]]), ([-1, 0, 1, 2], [[0], [1], [2], [3]]), ([-1, 0, 0, 1, 2, 2], [[0], [1, 2], [3, 4, 5]])],
)
def test_joints_are_grouped_by_depth(parents, levels):
    assert [level.tolist() for level in depth_levels(np.array(parents))] == levels


def test_inputs_are_left_as_they_were():
    person = small_take().people[0]
    local = local_matrices(*_local(person.motion))
    kept = local.copy()
    local_to_world(person.rig.joint_parents, local)
    world_to_local(person.rig.joint_parents, local)
    assert np.array_equal(local, kept)
