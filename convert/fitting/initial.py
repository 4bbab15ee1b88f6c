"""A first guess for the fit, in closed form: each bone along its landmarks, the body where the picture puts it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import matrix_to_quat, quat_apply, quat_inverse, quat_multiply, quat_slerp
from ..body import BODY_JOINTS, BODY_PARENTS, Body, body_joint

Array = NDArray[np.float64]

_STRAIGHT_SINE = np.sin(np.radians(15))


def fill_gaps(values: NDArray[np.floating[Any]], seen: NDArray[np.bool_]) -> Array:
    """Fill unseen frames of ``values`` (F, …) linearly in time between seen ones; the ends are held."""
    filled = np.array(values, dtype=np.float64)
    frames = np.arange(len(filled))
    flat = filled.reshape(len(filled), -1)
    for column in range(flat.shape[1]):
        flat[:, column] = np.interp(frames, frames[seen], flat[seen, column])
    return flat.reshape(filled.shape)


def root_from_rays(landmarks_m: Array, rays: Array, weight: Array) -> Array:
    """Place (F,3) of the landmarks' origin in glTF camera axes, from landmarks (F,N,3) and their rays (F,N,2) at depth 1.

    With u = X/D: Tx − u·D = u·P_depth − Px, and the same for y, is linear in (Tx, Ty, D); three Huber steps (facts of a
    single camera: x and y follow the picture, depth follows the size).
    """
    depth_of_point = -landmarks_m[..., 2]
    known = rays * depth_of_point[..., None] - landmarks_m[..., :2]
    frames, count = rays.shape[:2]
    design = np.zeros((frames, 2 * count, 3))
    design[:, :count, 0], design[:, count:, 1] = 1.0, 1.0
    design[:, :count, 2], design[:, count:, 2] = -rays[..., 0], -rays[..., 1]
    right = np.concatenate([known[..., 0], known[..., 1]], axis=1)
    base = np.concatenate([weight, weight], axis=1)
    gain = base
    for _ in range(3):
        weighted = design * gain[..., None]
        normal = np.swapaxes(weighted, 1, 2) @ design + 1e-9 * np.eye(3)
        solution = np.linalg.solve(normal, np.swapaxes(weighted, 1, 2) @ right[..., None])[..., 0]
        distance = np.abs((design @ solution[..., None])[..., 0] - right)
        scale = np.maximum(1.5 * np.median(distance, axis=1, keepdims=True), 1e-4)
        gain = base * np.minimum(1.0, scale / np.maximum(distance, 1e-9))
    depth = np.maximum(solution[:, 2], 0.3)
    return np.stack([solution[:, 0], solution[:, 1], -depth], axis=-1)


def pose_from_landmarks(points_m: Array) -> Array:
    """Canonical local rotations (F,22,4) from BlazePose's landmarks (F,33,3) in glTF axes."""
    world = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (len(points_m), len(BODY_JOINTS), 1))
    hips, shoulders = points_m[:, (23, 24)].mean(1), points_m[:, (11, 12)].mean(1)
    up = shoulders - hips
    pelvis = _frame(points_m[:, 23] - points_m[:, 24], up, first=0, second=1)
    chest = _frame(points_m[:, 11] - points_m[:, 12], up, first=0, second=1)
    ears = points_m[:, (7, 8)].mean(1)
    head = _frame(points_m[:, 7] - points_m[:, 8], points_m[:, 0] - ears, first=0, second=2)
    world[:, body_joint("pelvis")] = pelvis
    for name, share in (("spine_1", 1 / 3), ("spine_2", 2 / 3), ("spine_3", 1.0)):
        world[:, body_joint(name)] = quat_slerp(pelvis, chest, np.full(len(pelvis), share))
    world[:, body_joint("neck")] = quat_slerp(chest, head, np.full(len(pelvis), 0.5))
    world[:, body_joint("head")] = head
    for side, sign, offset in (("left", 1.0, 0), ("right", -1.0, 1)):
        world[:, body_joint(f"{side}_clavicle")] = chest
        _set_arm(world, points_m, side, sign, offset, chest)
        _set_leg(world, points_m, side, offset, pelvis)
    local = world.copy()
    local[:, 1:] = quat_multiply(quat_inverse(world[:, BODY_PARENTS[1:]]), world[:, 1:])
    return local


def with_arms_along(body: Body, quat_xyzw: Array, points_m: Array) -> Array:
    """Local rotations (F,22,4) with arms turned along BlazePose's landmarks (F,33,3), hands straight; all else as in ``quat_xyzw``."""
    world, local = body.world_rotations(quat_xyzw), np.array(quat_xyzw)
    for side, sign, offset in (("left", 1.0, 0), ("right", -1.0, 1)):
        _set_arm(world, points_m, side, sign, offset, world[:, body_joint("spine_3")])
        arm = [body_joint(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist")]
        local[:, arm] = quat_multiply(quat_inverse(world[:, BODY_PARENTS[arm]]), world[:, arm])
    return local


def _set_arm(world: Array, points_m: Array, side: str, sign: float, offset: int, chest: Array) -> None:
    shoulder, elbow, wrist = (points_m[:, row + offset] for row in (11, 13, 15))
    upper, fore = elbow - shoulder, wrist - elbow
    bone, hinge = np.array([sign, 0, 0]), np.array([0, -sign, 0])
    fallback = np.cross(upper, _turned(chest, np.array([0.0, 0.0, 1.0])))
    axis = _hinge_axis(np.cross(upper, fore), upper, fore, fallback)
    world[:, body_joint(f"{side}_shoulder")] = _aligned(bone, hinge, upper, axis)
    world[:, body_joint(f"{side}_elbow")] = _aligned(bone, hinge, fore, axis)
    world[:, body_joint(f"{side}_wrist")] = world[:, body_joint(f"{side}_elbow")]


def _set_leg(world: Array, points_m: Array, side: str, offset: int, pelvis: Array) -> None:
    hip, knee, ankle, heel, toe = (points_m[:, row + offset] for row in (23, 25, 27, 29, 31))
    thigh, shank = knee - hip, ankle - knee
    bone, hinge = np.array([0, -1.0, 0]), np.array([1.0, 0, 0])
    left = _turned(pelvis, hinge)
    axis = _hinge_axis(np.cross(thigh, shank), thigh, shank, left)
    # A knee never closes forward: an axis that points to the other side is noise of a straight leg.
    axis = np.where(np.sum(axis * left, axis=-1, keepdims=True) < 0, left, axis)
    world[:, body_joint(f"{side}_hip")] = _aligned(bone, hinge, thigh, axis)
    world[:, body_joint(f"{side}_knee")] = _aligned(bone, hinge, shank, axis)
    foot = _frame(toe - heel, -shank, first=2, second=1)
    world[:, body_joint(f"{side}_ankle")] = foot
    world[:, body_joint(f"{side}_foot")] = foot


def _hinge_axis(axis: Array, upper: Array, lower: Array, fallback: Array) -> Array:
    lengths = np.linalg.norm(upper, axis=-1) * np.linalg.norm(lower, axis=-1)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True) / np.maximum(lengths, 1e-9)[:, None]
    return np.where(sine > _STRAIGHT_SINE, axis, fallback)


def _turned(quat_xyzw: Array, vector: Array) -> Array:
    return quat_apply(quat_xyzw, np.broadcast_to(vector, (len(quat_xyzw), 3)))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def _frame(along: Array, near: Array, first: int, second: int) -> Array:
    """Quaternions (F,4) whose axis ``first`` points along ``along`` and whose axis ``second`` is as near ``near`` as can be."""
    columns: dict[int, Array] = {first: _unit(along)}
    columns[second] = _unit(near - columns[first] * np.sum(near * columns[first], axis=-1, keepdims=True))
    third = 3 - first - second
    sign = 1.0 if (first + 1) % 3 == second else -1.0
    columns[third] = sign * np.cross(columns[first], columns[second])
    return matrix_to_quat(np.stack([columns[axis] for axis in range(3)], axis=-1))


def _aligned(bone: Array, hinge: Array, to_bone: Array, to_hinge: Array) -> Array:
    """Quaternions (F,4) that bring the canonical bone and hinge onto their seen directions; the bone exactly."""
    seen_bone = _unit(to_bone)
    seen_hinge = _unit(to_hinge - seen_bone * np.sum(to_hinge * seen_bone, axis=-1, keepdims=True))
    seen = np.stack([seen_bone, seen_hinge, np.cross(seen_bone, seen_hinge)], axis=-1)
    canonical = np.stack([bone, hinge, np.cross(bone, hinge)], axis=-1)
    return matrix_to_quat(seen @ canonical.T)
