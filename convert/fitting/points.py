"""Places of points that ride on a body, and how they move with its joints: the Jacobians that the fit stands on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_apply, quat_multiply, quat_normalize, quat_to_matrix, rotvec_to_quat
from ..body import BODY_JOINTS, BODY_PARENTS, Body
from .landmarks import REFERENCE_HEIGHT_M, LandmarkTable

Array = NDArray[np.float64]

JOINTS = len(BODY_JOINTS)
POSE_SIZE = 3 + 3 * JOINTS  # root place, then a turn a joint

BONE_GROUPS: dict[str, tuple[str, ...]] = {
    "trunk": ("spine_1", "spine_2", "spine_3", "neck"),
    "head": ("head",),
    "shoulders": ("clavicle", "shoulder"),
    "upper_arms": ("elbow",),
    "forearms": ("wrist",),
    "hips": ("hip",),
    "thighs": ("knee",),
    "shanks": ("ankle",),
    "feet": ("foot",),
}
SHAPE_NAMES = ("height", *BONE_GROUPS)


def group_of_joint() -> NDArray[np.intp]:
    """The bone group (22,) of the bone that ends at each joint; -1 for the pelvis."""
    names = list(BONE_GROUPS)
    def group(joint: str) -> int:
        plain = joint.removeprefix("left_").removeprefix("right_")
        return next((row for row, name in enumerate(names) if plain in BONE_GROUPS[name]), -1)
    return np.array([group(joint) for joint in BODY_JOINTS])


def _ancestry() -> NDArray[np.bool_]:
    """(22,22): whether the second joint is the first one or above it."""
    above = np.eye(JOINTS, dtype=bool)
    for joint, parent in enumerate(BODY_PARENTS):
        if parent >= 0:
            above[joint] |= above[parent]
    return above


ANCESTRY = _ancestry()


@dataclass(frozen=True, eq=False)
class Pose:
    """The unknowns of the fit: a canonical pose a frame, and one shape for the clip."""

    quat_xyzw: Array  # (F,22,4), local
    root_m: Array  # (F,3), the pelvis in glTF camera axes
    log_shape: Array  # (10,), log of height against the rig's, then of each bone group

    def part(self, frames: slice) -> Pose:
        """Return some of the frames."""
        return Pose(self.quat_xyzw[frames], self.root_m[frames], self.log_shape)


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points that ride on the body: landmarks, then joints, then soles."""

    carrier: NDArray[np.intp]  # (N,)
    origin: NDArray[np.intp]  # (N,)
    offset_m: Array  # (N,3), T-pose axes
    landmark_count: int

    @classmethod
    def of(cls, body: Body, table: LandmarkTable, height_m: float) -> PointSet:
        """Collect the points of ``body``; landmark offsets grow with its height."""
        sole_joint, sole_offset = body.sole_points
        joints = np.arange(JOINTS)
        return cls(
            np.concatenate([table.carrier, joints, sole_joint]), np.concatenate([table.origin, joints, sole_joint]),
            np.concatenate([table.offset_m * height_m / REFERENCE_HEIGHT_M, np.zeros((JOINTS, 3)), sole_offset]), len(table.landmark),
        )

    @property
    def landmarks(self) -> slice:
        """The landmarks' rows."""
        return slice(0, self.landmark_count)

    @property
    def joints(self) -> slice:
        """The joints' rows."""
        return slice(self.landmark_count, self.landmark_count + JOINTS)

    @property
    def soles(self) -> slice:
        """The soles' rows."""
        return slice(self.landmark_count + JOINTS, len(self.carrier))


@dataclass(frozen=True, eq=False)
class Posed:
    """Points of a pose, and what moves them."""

    place_m: Array  # (F,N,3)
    joint_m: Array  # (F,22,3)
    world_xyzw: Array  # (F,22,4)
    by_pose: Array  # (F,N,3,69), change with root place and joint turns (each in its parent's axes)
    by_shape: Array  # (F,N,3,10), change with the log shape

    def part(self, frames: slice) -> Posed:
        """Return some of the frames."""
        return Posed(*(getattr(self, own.name)[frames] for own in fields(self)))


def bone_offsets(body: Body, log_shape: Array) -> Array:
    """The body's offsets (22,3) at a shape."""
    group = group_of_joint()
    log_scale = log_shape[0] + np.where(group >= 0, log_shape[1 + np.maximum(group, 0)], 0.0)
    return np.asarray(body.offset_m * np.exp(log_scale)[:, None])


def place_points(body: Body, points: PointSet, pose: Pose) -> tuple[Array, Array, Array]:
    """Return points (F,N,3), joints (F,22,3) and canonical world rotations (F,22,4) of a pose."""
    world = body.world_rotations(pose.quat_xyzw)
    offset = bone_offsets(body, pose.log_shape)
    joints = np.zeros((*world.shape[:2], 3))
    joints[:, 0] = pose.root_m
    for level in body.levels[1:]:
        parents = BODY_PARENTS[level]
        joints[:, level] = joints[:, parents] + quat_apply(world[:, parents], offset[level])
    reach = quat_apply(world[:, points.carrier], points.offset_m * np.exp(pose.log_shape[0]))
    return joints[:, points.origin] + reach, joints, world


def pose_points(body: Body, points: PointSet, pose: Pose) -> Posed:
    """Place the points and differentiate: a joint's turn δ (in its parent's axes) moves p by (B δ) × (p − x)."""
    place, joints, world = place_points(body, points, pose)
    parent_world = world[:, np.maximum(BODY_PARENTS, 0)].copy()
    parent_world[:, 0] = (0.0, 0.0, 0.0, 1.0)
    axes = quat_to_matrix(parent_world)  # (F,22,3,3), columns are the parent's axes in the world
    frames, count = place.shape[:2]
    by_pose = np.zeros((frames, count, 3, POSE_SIZE))
    by_pose[..., :3] = np.eye(3)
    turns = by_pose[..., 3:].reshape(frames, count, 3, JOINTS, 3)
    # A joint at a time, with the few points that it moves: (F,M,1) for a coordinate of the arm, (F,1,3) for one of the axes.
    for joint, moved in enumerate(_moved(points)):
        x, y, z = np.moveaxis(place[:, moved] - joints[:, joint, None], -1, 0)[..., None]
        bx, by, bz = np.moveaxis(axes[:, joint], 1, 0)[:, :, None]
        turns[:, moved, 0, joint] = by * z - bz * y
        turns[:, moved, 1, joint] = bz * x - bx * z
        turns[:, moved, 2, joint] = bx * y - by * x
    return Posed(place, joints, world, by_pose, _by_shape(points, pose, place, joints))


def _moved(points: PointSet) -> list[NDArray[np.intp]]:
    """The points that each joint's turn moves: those whose carrier is that joint or one below it."""
    return [np.flatnonzero(moved) for moved in ANCESTRY[points.carrier].T]


def _by_shape(points: PointSet, pose: Pose, place: Array, joints: Array) -> Array:
    group = group_of_joint()
    bone = joints - joints[:, np.maximum(BODY_PARENTS, 0)]
    by_shape = np.zeros((*place.shape, len(SHAPE_NAMES)))
    by_shape[..., 0] = place - pose.root_m[:, None]
    chain = ANCESTRY[points.origin].astype(np.float64)
    for row in range(len(BONE_GROUPS)):
        by_shape[..., 1 + row] = (chain * (group == row)) @ bone
    return by_shape


def turned(pose: Pose, step: Array, shape_step: Array) -> Pose:
    """Move a pose by a step: root by its first three values, each joint by exp(δ) · Q, the shape by addition."""
    turns = rotvec_to_quat(step[:, 3:].reshape(len(step), JOINTS, 3))
    return Pose(quat_normalize(quat_multiply(turns, pose.quat_xyzw)), pose.root_m + step[:, :3], pose.log_shape + shape_step)

