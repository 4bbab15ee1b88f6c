from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.motion.rig import Rig, Skeleton, vertex_normals, with_influences

from .synthetic import small_take


@pytest.fixture
def rig() -> Rig:
    return small_take().people[0].rig


def _bent(skeleton: Skeleton, **changed: object) -> Skeleton:
    return replace(skeleton, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "broken", "says"),
    [
        ("joint_names", lambda skeleton: ("a",) * 7, "each once"),
        ("joint_names", lambda skeleton: (), "one or more names"),
        ("joint_parents", lambda skeleton: skeleton.joint_parents[:3], r"expected \(7,\)"),
        ("joint_parents", lambda skeleton: [-1, 2, 0, 1, 3, 4, 2], "parent before its children"),
        ("joint_parents", lambda skeleton: [-1, 0, 1, 2, 3, 4, 6], "parent before its children"),
        ("joint_parents", lambda skeleton: [-1, 0, -1, 2, 3, 4, 2], "exactly one root"),
        ("joint_parents", lambda skeleton: [-2, 0, 1, 2, 3, 4, 2], "parent before its children"),
        ("rest_local", lambda skeleton: skeleton.rest_local[:, :3], r"expected \(7, 4, 4\)"),
        ("rest_local", lambda skeleton: skeleton.rest_local * np.nan, "finite"),
        ("semantic", lambda skeleton: {"pelvis": 7}, "0 to 6"),
        ("semantic", lambda skeleton: {"pelvis": -1}, "0 to 6"),
    ],
)
def test_a_skeleton_that_can_not_be_is_refused(rig, field, broken, says):
    with pytest.raises(ReadError, match=rf"rig: {field}: .*{says}"):
        _bent(rig.skeleton, **{field: broken(rig.skeleton)})


def _with(array: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("field", "broken", "says"),
    [
        ("bind_world", lambda rig: rig.bind_world[:-1], r"expected \(7, 4, 4\)"),
        ("vertices_m", lambda rig: rig.vertices_m[:, :2], r"expected \(V, 3\)"),
        ("vertices_m", lambda rig: rig.vertices_m[:0], r"expected \(V, 3\)"),
        ("faces", lambda rig: rig.faces.ravel(), r"expected \(T, 3\)"),
        ("faces", lambda rig: _with(rig.faces, (0, 0), 122), "0 to 121"),
        ("faces", lambda rig: _with(rig.faces, (0, 0), -1), "0 to 121"),
        ("normals", lambda rig: rig.normals[:-1], "122, 3"),
        ("skin_joints", lambda rig: np.zeros((122, 9)), "1 to 8"),
        ("skin_joints", lambda rig: np.zeros((122, 0)), "1 to 8"),
        ("skin_joints", lambda rig: _with(rig.skin_joints, (3, 1), 7), "0 to 6"),
        ("skin_weights", lambda rig: rig.skin_weights[:, :2], "expected"),
        ("skin_weights", lambda rig: rig.skin_weights * 0.99, "sum to 1"),
        ("skin_weights", lambda rig: rig.skin_weights[:, ::-1], "descending"),
        ("skin_weights", lambda rig: np.tile(np.float32([1.2, 0, 0, -0.2]), (122, 1)), "0 or more"),
        ("skin_weights", lambda rig: rig.skin_weights * np.nan, "finite"),
        ("vertices_m", lambda rig: _with(rig.vertices_m, (0, 0), np.inf), "finite"),
        ("uvs", lambda rig: rig.uvs[:-1], "122, 2"),
        ("uvs", lambda rig: rig.uvs * np.nan, "finite"),
        ("morph_targets_m", lambda rig: np.zeros((3, 121, 3)), r"\(M, 122, 3\)"),
        ("morph_targets_m", lambda rig: np.zeros((0, 122, 3)), "one target or more"),
        ("morph_targets_m", lambda rig: np.full((1, 122, 3), np.nan), "finite"),
    ],
)
def test_a_rig_that_can_not_be_is_refused(rig, field, broken, says):
    with pytest.raises(ReadError, match=rf"rig: \w+: .*{says}"):
        replace(rig, **{field: broken(rig)})


def test_arrays_take_the_stores_types_and_lie_in_one_piece(rig):
    loose = replace(
        rig,
        vertices_m=rig.vertices_m.astype(np.float64),
        faces=np.asfortranarray(rig.faces, dtype=np.int64),
        skin_joints=rig.skin_joints.tolist(),
        morph_targets_m=np.zeros((2, 122, 3)),
    )
    arrays = [field.name for field in fields(loose) if field.name not in ("name", "skeleton", "origin")]
    kinds = {name: np.asarray(getattr(loose, name)).dtype for name in arrays}
    assert kinds == {
        "bind_world": np.float64,
        "vertices_m": np.float32,
        "faces": np.int32,
        "normals": np.float32,
        "skin_joints": np.uint16,
        "skin_weights": np.float32,
        "uvs": np.float32,
        "morph_targets_m": np.float32,
    }
    assert (loose.morph_count, rig.morph_count) == (2, 0)
    assert loose.faces.flags.c_contiguous


def test_the_skinning_matrix_holds_every_weight_at_its_joint(rig):
    dense = np.zeros((122, 7))
    for vertex in range(122):
        for joint, weight in zip(rig.skin_joints[vertex], rig.skin_weights[vertex], strict=True):
            dense[vertex, joint] += weight
    assert np.allclose(rig.skinning_matrix.toarray(), dense)


def test_a_joint_named_twice_for_a_vertex_counts_twice(rig):
    doubled = replace(rig, skin_joints=np.zeros((122, 2)), skin_weights=np.full((122, 2), 0.5))
    assert np.allclose(doubled.skinning_matrix.toarray()[:, 0], 1.0)


@pytest.mark.parametrize("influences", [1, 2, 4, 8])
def test_fewer_influences_keep_the_largest_and_sum_to_one(influences):
    rig = small_take(influences=7).people[0].rig
    fewer = with_influences(rig, influences)
    kept = min(influences, 7)
    assert fewer.skin_joints.shape == (122, kept)
    expected = rig.skin_weights[:, :kept] / rig.skin_weights[:, :kept].sum(1, keepdims=True)
    assert np.allclose(fewer.skin_weights, expected, atol=1e-6)


def test_normals_of_a_sphere_point_outward():
    # An icosahedron's corners are also the directions of its normals, by symmetry.
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)])
    vertices = np.concatenate([corners, np.roll(corners, 1, axis=1), np.roll(corners, 2, axis=1)])
    faces = []
    for a in range(12):
        for b in range(a + 1, 12):
            for c in range(b + 1, 12):
                if np.allclose([np.linalg.norm(vertices[i] - vertices[j]) for i, j in ((a, b), (b, c), (c, a))], 2.0):
                    outward = np.linalg.det(vertices[[a, b, c]]) > 0
                    faces.append((a, b, c) if outward else (a, c, b))
    assert len(faces) == 20
    normals = vertex_normals(vertices, np.array(faces))
    assert np.allclose(normals, vertices / np.linalg.norm(vertices, axis=1, keepdims=True), atol=1e-6)


def test_normals_take_clips_of_meshes_and_weigh_faces_by_area(rig):
    moved = np.stack([rig.vertices_m, rig.vertices_m[:, [1, 2, 0]]])
    normals = vertex_normals(moved, rig.faces)
    for vertices, got in zip(moved, normals, strict=True):
        expected = np.zeros((len(vertices), 3))
        for a, b, c in rig.faces:
            area = np.cross(vertices[b].astype(float) - vertices[a], vertices[c].astype(float) - vertices[a])
            expected[[a, b, c]] += area
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        assert np.allclose(got, expected, atol=1e-5)


def test_a_vertex_without_faces_has_a_unit_normal():
    normals = vertex_normals(np.zeros((4, 3)), np.array([[0, 1, 2]]))
    assert np.allclose(np.linalg.norm(normals, axis=-1), 1)
