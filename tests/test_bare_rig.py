"""A stand-in body for skeletons that come without one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from rigdrop.convert.retargeting.bare_rig import bare_rig
from rigdrop.motion.kinematics import skin_vertices, world_to_local
from rigdrop.motion.rig import Skeleton

# A trunk, a head, an arm, and a joint that lies on its parent.
PLACES = np.array([[0, 0, 0], [0, 1.0, 0], [0, 1.6, 0], [0.5, 1.0, 0], [0.5, 1.0, 0]])
PARENTS = np.array([-1, 0, 1, 1, 3], np.int32)


def _skeleton(places=PLACES, parents=PARENTS) -> Skeleton:
    world = np.tile(np.eye(4), (len(places), 1, 1))
    world[:, :3, :3] = Rotation.random(len(places), random_state=2).as_matrix()
    world[:, :3, 3] = places
    return Skeleton(tuple(f"joint {row}" for row in range(len(places))), parents, world_to_local(parents, world), {"pelvis": 0})


def test_each_bone_is_an_octahedron_from_joint_to_joint():
    rig = bare_rig(_skeleton(), "stick")
    # Three bones with a length, and the three joints from which none starts.
    shapes = rig.vertices_m.reshape(-1, 6, 3)
    assert len(shapes) == 6
    np.testing.assert_allclose(shapes[:3, [0, 5]], PLACES[[[0, 1], [1, 2], [1, 3]]], atol=1e-7)
    np.testing.assert_allclose(shapes[3:].mean(axis=1), PLACES[2:], atol=1e-7)
    assert rig.skin_joints.reshape(-1, 6)[:, 0].tolist() == [0, 1, 1, 2, 3, 4]
    assert (rig.name, rig.skeleton.semantic) == ("stick", {"pelvis": 0})


def test_every_octahedron_is_closed_and_faces_outward():
    rig = bare_rig(_skeleton(), "stick")
    for number in range(len(rig.vertices_m) // 6):
        points = rig.vertices_m[6 * number:6 * number + 6].astype(float) - rig.vertices_m[6 * number]
        corners = points[rig.faces[8 * number:8 * number + 8] - 6 * number]
        # A closed surface that faces outward encloses what its convex hull does, by the divergence theorem.
        volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
        assert volume == pytest.approx(ConvexHull(points).volume, rel=1e-4)


def test_bones_follow_their_joint_stiffly():
    rig = bare_rig(_skeleton(), "stick")
    turn = np.tile(np.eye(4), (1, 5, 1, 1))
    turn[0, 1, :3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # a quarter turn about z
    moved = skin_vertices(rig, turn @ rig.bind_world)[0]
    own = rig.skin_joints[:, 0] == 1
    x, y, z = rig.vertices_m[own].T
    np.testing.assert_allclose(moved[own], np.stack([-y, x, z], -1), atol=1e-6)
    np.testing.assert_allclose(moved[~own], rig.vertices_m[~own], atol=1e-6)


def test_the_mesh_grows_with_the_skeleton():
    small, large = bare_rig(_skeleton(), "small"), bare_rig(_skeleton(100 * PLACES), "large")
    np.testing.assert_allclose(large.vertices_m, 100 * small.vertices_m, rtol=1e-5, atol=1e-4)


def test_a_single_joint_shows_too():
    rig = bare_rig(_skeleton(np.zeros((1, 3)), np.array([-1], np.int32)), "point")
    assert len(rig.vertices_m) == 6
    assert np.ptp(rig.vertices_m, axis=0).min() > 0
