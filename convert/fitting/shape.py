"""A rig made to a person's measure: bones as long as the fit found them, the mesh grown with them, nothing scaled over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import local_to_world, world_to_local
from ...motion.rig import Rig, Skeleton, vertex_normals
from ..body import Body
from .points import bone_offsets, group_of_joint

Array = NDArray[np.float64]


def shaped_body(body: Body, log_shape: Array) -> Body:
    """Return ``body`` with its rig at the shape (10,): log of height, then of each bone group."""
    return replace(body, rig=shaped_rig(body, log_shape), offset_m=bone_offsets(body, log_shape))


def shaped_rig(body: Body, log_shape: Array) -> Rig:
    """Return the body's rig with bones at the shape's lengths, feet on y = 0.

    Each joint moves as its bone lengthens; the mesh follows by skinning (its own weights, each joint scaled about itself
    by the bone group below it), so that limbs grow along with their bones. The bind pose is the new rest pose.
    """
    rig = body.rig
    height, factor = np.exp(log_shape[0]), _joint_factors(body, log_shape)
    T_rest = local_to_world(rig.joint_parents, rig.skeleton.rest_local)
    place = T_rest[:, :3, 3] * height
    for joint, parent in enumerate(rig.joint_parents):
        if parent >= 0:
            place[joint] = place[parent] + (T_rest[joint, :3, 3] - T_rest[parent, :3, 3]) * height * factor[joint]
    thickness = _thickness(rig, factor)
    vertices = _grown_mesh(rig, place, height * thickness)
    lift = -vertices[:, 1].min()
    T_new = T_rest.copy()
    T_new[:, :3, 3] = place
    above = _joints_above(body)
    T_new[~above, 1, 3] += lift
    vertices[:, 1] += lift
    faces = rig.faces
    skeleton = Skeleton(rig.joint_names, rig.joint_parents, world_to_local(rig.joint_parents, T_new), rig.skeleton.semantic)
    return replace(rig, skeleton=skeleton, bind_world=T_new, vertices_m=vertices.astype(np.float32), normals=_normals(rig, vertices, faces))


def _joints_above(body: Body) -> NDArray[np.bool_]:
    """Joints above the pelvis, which stand on the ground and don't grow."""
    above = np.zeros(len(body.rig.joint_names), dtype=bool)
    parent = int(body.rig.joint_parents[body.joint_index[0]])
    while parent >= 0:
        above[parent] = True
        parent = int(body.rig.joint_parents[parent])
    return above


def _joint_factors(body: Body, log_shape: Array) -> Array:
    """(J,): how much the bone that ends at each of the rig's joints grows beyond the height.

    A helper joint between two named ones grows with the named one that follows it, so that the sum comes out right.
    """
    rig = body.rig
    factor = np.ones(len(rig.joint_names))
    groups = group_of_joint()
    for canonical, joint in enumerate(body.joint_index):
        if groups[canonical] < 0:
            continue
        current, stop = int(joint), {int(index) for index in body.joint_index} - {int(joint)}
        while current >= 0 and current not in stop:
            factor[current] = np.exp(log_shape[1 + groups[canonical]])
            current = int(rig.joint_parents[current])
    return factor


def _thickness(rig: Rig, factor: Array) -> Array:
    """(J,): how much the flesh on each joint grows: as the bones that leave it do, on average."""
    thickness = factor.copy()
    for joint in range(len(factor)):
        children = np.flatnonzero(rig.joint_parents == joint)
        if len(children):
            thickness[joint] = float(np.exp(np.log(factor[children]).mean()))
    return thickness


def _grown_mesh(rig: Rig, place: Array, scale: Array) -> Array:
    """Skin the bind mesh with each joint moved to its new place and scaled about itself, unturned."""
    old = rig.bind_world[:, :3, 3]
    shift = place - old * scale[:, None]
    weights = rig.skinning_matrix
    return np.asarray((weights @ scale)[:, None] * rig.vertices_m.astype(np.float64) + weights @ shift)


def _normals(rig: Rig, vertices: Array, faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Normals of the new mesh; vertices that stood at one place (a seam of the UVs) keep one normal between them."""
    _, twin = np.unique(rig.vertices_m, axis=0, return_inverse=True)
    twin = twin.ravel()
    merged = np.zeros((twin.max() + 1, 3))
    merged[twin] = vertices
    return vertex_normals(merged, twin[faces])[twin]
