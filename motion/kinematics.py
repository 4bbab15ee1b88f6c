"""From local joint values to world transforms to vertices, for whole clips at once, and back.

The meaning, exactly (docs/motion-store.md): ``T_world_joint = T_world_parent · T(translation) · R(quat) · S(scale)``,
the parent's scale inherited; ``vertex = Σ_k w_k · T_world_joint(k) · bind_world(k)⁻¹ · (rest vertex + Σ_m weight_m · target_m)``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .rig import Rig
from .rotations import matrix_to_quat, quat_to_matrix

Array = NDArray[np.floating]
Float64 = NDArray[np.float64]


def depth_levels(joint_parents: NDArray[np.integer]) -> list[NDArray[np.intp]]:
    """Group the joints (J,) of a parent-first tree by depth, roots first, so that a level can be computed at once."""
    depth = np.zeros(len(joint_parents), dtype=int)
    for joint, parent in enumerate(joint_parents):
        depth[joint] = 0 if parent < 0 else depth[parent] + 1
    return [np.flatnonzero(depth == level) for level in range(depth.max() + 1)]


def local_matrices(quat_xyzw: Array, translation_m: Array, scale: Array | None = None) -> Float64:
    """Return ``T(translation) · R(quat) · S(scale)`` as (…,4,4) float64 from (…,4), (…,3) and (…) or nothing."""
    rotation = quat_to_matrix(np.asarray(quat_xyzw, dtype=np.float64))
    matrix = np.zeros((*rotation.shape[:-2], 4, 4))
    matrix[..., :3, :3] = rotation if scale is None else rotation * np.asarray(scale, dtype=np.float64)[..., None, None]
    matrix[..., :3, 3] = translation_m
    matrix[..., 3, 3] = 1.0
    return matrix


def local_to_world(joint_parents: NDArray[np.integer], T_parent_joint: Array) -> Float64:
    """Chain local transforms (…,J,4,4) down the tree into world transforms (…,J,4,4), one tree level at a time."""
    T_world_joint = np.array(T_parent_joint, dtype=np.float64)
    for level in depth_levels(joint_parents)[1:]:
        T_world_joint[..., level, :, :] = T_world_joint[..., joint_parents[level], :, :] @ T_parent_joint[..., level, :, :]
    return T_world_joint


def world_to_local(joint_parents: NDArray[np.integer], T_world_joint: Array) -> Float64:
    """Return the transforms (…,J,4,4) of joints in their parents' frames; a root's stays as it is."""
    T_parent_joint = np.array(T_world_joint, dtype=np.float64)
    children = np.flatnonzero(np.asarray(joint_parents) >= 0)
    T_parent = T_world_joint[..., np.asarray(joint_parents)[children], :, :]
    T_parent_joint[..., children, :, :] = np.linalg.inv(T_parent) @ T_world_joint[..., children, :, :]
    return T_parent_joint


def decompose(matrices: Array) -> tuple[Float64, Float64, Float64]:
    """Split ``T·R·S`` (…,4,4) with uniform scale into quat_xyzw (…,4), translation (…,3) and scale (…)."""
    linear = np.asarray(matrices[..., :3, :3], dtype=np.float64)
    scale = np.cbrt(np.linalg.det(linear))
    return matrix_to_quat(linear / scale[..., None, None]), np.array(matrices[..., :3, 3], dtype=np.float64), scale


def world_transforms(rig: Rig, quat_xyzw: Array, translation_m: Array, scale: Array | None = None) -> Float64:
    """Return ``T_world_joint`` (F,J,4,4) float64 for local values (F,J,4), (F,J,3) and (F,J) or nothing."""
    return local_to_world(rig.joint_parents, local_matrices(quat_xyzw, translation_m, scale))


def skin_vertices(rig: Rig, T_world_joint: Array, morph_weights: Array | None = None) -> NDArray[np.float32]:
    """Return the skinned vertices (F,V,3) float32, metres, for world transforms (F,J,4,4): linear blend skinning.

    ``morph_weights`` (F,M) say how much of each of the rig's targets displaces the vertices first; nothing is none of them.
    """
    T_bind = np.linalg.inv(rig.bind_world)
    skinning = (T_world_joint @ T_bind)[..., :3, :]
    rest = np.concatenate([rig.vertices_m, np.ones((len(rig.vertices_m), 1), np.float32)], axis=1).astype(np.float64)
    blend = rig.skinning_matrix
    vertices = np.empty((len(skinning), len(rest), 3), dtype=np.float32) if morph_weights is None else _displacements(rig, morph_weights)
    for frame, matrices in enumerate(skinning):
        per_vertex = (blend @ matrices.reshape(len(matrices), 12)).reshape(-1, 3, 4)
        if morph_weights is not None:
            rest[:, :3] = rig.vertices_m + vertices[frame].astype(np.float64)
        vertices[frame] = np.einsum("vij,vj->vi", per_vertex, rest)
    return vertices


def _displacements(rig: Rig, morph_weights: Array) -> NDArray[np.float32]:
    """Return what weights (F,M) add to the vertices (F,V,3), metres: of centimetres, single precision loses nanometres."""
    assert rig.morph_targets_m is not None, "weights are of a rig's own targets"
    flat = morph_weights.astype(np.float32) @ rig.morph_targets_m.reshape(rig.morph_count, -1)
    return np.asarray(flat.reshape(len(morph_weights), -1, 3))


def skin_chunks(
    rig: Rig, quat_xyzw: Array, translation_m: Array, scale: Array | None, morph_weights: Array | None = None, chunk: int = 32
) -> Iterator[NDArray[np.float32]]:
    """Yield the vertices of a clip as (≤chunk,V,3) float32 blocks, in order, so that memory does not grow with length."""
    for start in range(0, len(quat_xyzw), chunk):
        part = slice(start, start + chunk)
        T_world_joint = world_transforms(rig, quat_xyzw[part], translation_m[part], None if scale is None else scale[part])
        yield skin_vertices(rig, T_world_joint, None if morph_weights is None else morph_weights[part])
