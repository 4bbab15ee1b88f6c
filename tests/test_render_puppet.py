"""Drawn skins move as the rig's own vertices do."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from rigdrop.convert.body import Body
from rigdrop.motion.kinematics import skin_vertices, world_transforms
from rigdrop.motion.rig import vertex_normals
from rigdrop.render.puppet import coarse_cast, coarse_puppet, decimate, puppet

from .bodies import humanoid, turns
from .test_render_painter import sphere


@pytest.fixture(scope="module")
def rig():
    return humanoid()


@pytest.fixture(scope="module")
def worlds(rig):
    joints = {"left_shoulder": [0.2, 0.3, -1.0], "right_hip": [-0.9, 0.1, 0.0], "spine_2": [0.3, 0.2, 0.1]}
    quat = turns({name: np.array(rotvec) for name, rotvec in joints.items()}, 2)
    motion = Body.of(rig).to_motion(quat, np.array([[0.2, 1, 0], [0.3, 0.9, 1]]), np.ones(2, bool), np.ones(2))
    return world_transforms(rig, motion.local_quat_xyzw, motion.local_translation_m)


def test_the_skin_is_the_one_that_the_store_means(rig, worlds):
    drawn = puppet(rig, np.array([1.0, 2, 3]))
    for world, vertices in zip(worlds, skin_vertices(rig, worlds), strict=True):
        np.testing.assert_allclose(drawn.posed(world).vertices_m, vertices, atol=1e-6)


def test_morph_targets_are_drawn_as_the_store_means_them(rig, worlds):
    rng = np.random.default_rng(3)
    morphed, weights = replace(rig, morph_targets_m=rng.normal(0, 0.01, (3, len(rig.vertices_m), 3))), rng.random((2, 3), np.float32)
    truth = skin_vertices(morphed, worlds, weights)
    assert np.abs(truth - skin_vertices(rig, worlds)).max() > 0.01
    drawn, coarse = puppet(morphed, np.zeros(3)), coarse_puppet(morphed, np.zeros(3), 200)
    for world, own, vertices in zip(worlds, weights, truth, strict=True):
        np.testing.assert_allclose(drawn.posed(world, own).vertices_m, vertices, atol=1e-6)
        assert cKDTree(vertices).query(coarse.posed(world, own).vertices_m)[0].max() < 1e-5


def test_a_turned_body_keeps_its_normals_outward(rig, worlds):
    drawn = puppet(rig, np.zeros(3)).posed(worlds[0])
    expected = vertex_normals(drawn.vertices_m, drawn.faces)
    length = np.linalg.norm(drawn.normals, axis=1)
    # Weights are shared between joints that turn apart, so that blended normals lean a little and shorten.
    assert (np.sum(drawn.normals * expected, axis=1) / length).min() > 0.8


def test_a_coarse_skin_uses_the_rigs_own_vertices(rig, worlds):
    coarse = coarse_puppet(rig, np.zeros(3), 200)
    assert len(coarse.faces) <= 230 < len(rig.faces)
    distance, _ = cKDTree(skin_vertices(rig, worlds)[1]).query(coarse.posed(worlds[1]).vertices_m)
    assert distance.max() < 1e-5


def test_kept_meshes_are_drawn_with_vertices_of_their_own(rig):
    mesh = (rig.vertices_m * [1.0, 2.0, 1.0] + [3.0, 0.0, 0.0]).astype(np.float32)  # no skinning gives that
    drawn = coarse_cast(rig, np.array([1.0, 2, 3]), 200).posed(mesh)
    assert len(drawn.faces) <= 230 and drawn.colours_bgr.shape == drawn.vertices_m.shape
    distance, _ = cKDTree(mesh).query(drawn.vertices_m)
    assert distance.max() == 0
    np.testing.assert_allclose(np.linalg.norm(drawn.normals, axis=1), 1, atol=1e-6)


def test_a_coarse_sphere_is_still_one():
    ball = sphere((0, 0, 0), 1.0, (0, 0, 0))
    kept, faces = decimate(ball.vertices_m, ball.faces, 600)
    corners = ball.vertices_m[kept][faces]
    volume = np.einsum("ni,ni->n", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 400 < len(faces) < 700
    # A polyhedron of 600 triangles inside the unit sphere holds 98 % of it at best; faces turned over would take away.
    assert 0.93 < volume / (4 / 3 * np.pi) < 1.0


def test_vertices_that_were_split_at_a_seam_become_one():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0]])
    kept, faces = decimate(square, np.array([[0, 1, 2], [3, 4, 5]]), 10)
    assert len(kept) == 4 and faces.max() == 3 and len(faces) == 2
