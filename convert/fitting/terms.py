"""What a good fit is, term by term: how far a pose is from what was seen, from what bodies do, and from smooth motion.

Every term adds whitened residuals to the normal equations. Sigmas are in metres, radians and seconds, so that a clip's
rate does not change what they mean. Recipe and values: measured on rendered people with exact truth (docs/benchmarks.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_apply, quat_inverse, quat_multiply, quat_to_rotvec, rotvec_to_quat
from ..body import BODY_JOINTS
from .banded import NormalEquations
from .points import JOINTS, POSE_SIZE, Pose, Posed

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TermSigmas:
    """How far each thing may stray: one standard deviation."""

    landmark_m: tuple[float, float, float] = (0.09, 0.09, 0.15)
    """3D landmarks against the torso's middle, in camera axes; depth is the weakest."""
    arm_depth_m: float = 0.015
    """How far an arm's bone comes toward the camera, by its length in the picture."""
    pixel_m: float = 0.012
    """2D landmarks, at the depth of the pelvis."""
    turn_rad_s2: float = 45.0
    """Angular acceleration of each joint."""
    joint_m_s2: float = 18.0
    """Acceleration of each joint's place."""
    root_m_s2: tuple[float, float, float] = (13.5, 13.5, 7.2)
    """Acceleration of the pelvis, in camera axes."""
    turn_huber: float = 0.3
    """Angular accelerations beyond this many sigmas count in proportion, not squared: a punch is not noise."""
    joint_huber: float = 0.5
    """The same for joints' places."""
    contact_m: float = 0.004
    """Movement of a planted sole from frame to frame."""
    ground_m: float = 0.015
    """Height of a planted sole above the ground."""


def huber_weight(distance: Array, threshold: float) -> Array:
    """Square root of Huber's weight for residuals ``distance`` sigmas long: 1 near, falling beyond ``threshold``."""
    return np.sqrt(np.minimum(1.0, threshold / np.maximum(distance, 1e-12)))


def add_landmarks_3d(equations: NormalEquations, posed: Posed, rows: slice, torso: NDArray[np.intp], seen_m: Array, weight: Array,
                     log_scale: float, sigma_m: Array, huber: float) -> None:
    """3D landmarks (F,N,3), compared from the torso's middle; the last shared unknown is the log of body over landmarks.

    ``sigma_m`` (3,) or (F,N,3) is told by camera axis.

    The body is scaled, not the landmarks: scaled landmarks would shrink their own noise, and pull the scale with it.
    """
    def centred(values: Array) -> Array:
        return np.asarray(values - values[:, torso].mean(1, keepdims=True))

    ours, shrink = centred(posed.place_m[:, rows]), np.exp(-log_scale)
    residual = (ours * shrink - centred(seen_m)) / sigma_m
    gain = weight * huber_weight(np.linalg.norm(residual, axis=-1), huber)
    gain3 = gain[..., None] * shrink / sigma_m
    by_pose, by_shape = centred(posed.by_pose[:, rows]), centred(posed.by_shape[:, rows])
    by_pose *= gain3[..., None]
    by_shape *= gain3[..., None]
    by_shared = np.concatenate([by_shape, (-ours * gain3)[..., None]], axis=-1)
    frames = len(ours)
    flat_shared = by_shared.reshape(frames, -1, by_shared.shape[-1])
    equations.add((residual * gain[..., None]).reshape(frames, -1), by_pose.reshape(frames, -1, POSE_SIZE), flat_shared)


def add_landmarks_2d(equations: NormalEquations, posed: Posed, rows: slice, depth_m: Array, rays: Array, weight: Array,
                     sigma_m: float, huber: float) -> None:
    """2D landmarks as rays (F,N,2), x and y at depth 1 in glTF camera axes.

    Compared at ``depth_m`` (F,), a guess of the pelvis' depth that does not change during the solve: with the depth that
    is being solved for, coming nearer would shrink every residual.
    """
    place = posed.place_m[:, rows]
    depth, at = np.maximum(-place[..., 2:], 0.1), depth_m[:, None, None]
    residual = at * (place[..., :2] / depth - rays) / sigma_m
    gain = weight * huber_weight(np.linalg.norm(residual, axis=-1), huber)
    gain3 = (gain / sigma_m)[..., None]
    flat, slope = gain3 * at / depth, gain3 * at * place[..., :2] / depth**2

    def image(change: Array) -> Array:
        moved = slope[..., None] * change[..., 2:, :]
        moved += flat[..., None] * change[..., :2, :]
        return np.asarray(moved).reshape(len(change), -1, change.shape[-1])

    by_shape = image(posed.by_shape[:, rows])
    by_shared = np.concatenate([by_shape, np.zeros((*by_shape.shape[:-1], 1))], axis=-1)
    equations.add((residual * gain[..., None]).reshape(len(place), -1), image(posed.by_pose[:, rows]), by_shared)


def add_depths(equations: NormalEquations, posed: Posed, ends: NDArray[np.intp], depth_m: Array, weight: Array, sigma_m: float,
               huber: float) -> None:
    """Bones come toward the camera by ``depth_m`` (F,M), from the first of their ``ends`` (M,2; rows of points) to the second."""
    def depth(values: Array) -> Array:
        return np.asarray(values[:, ends[:, 1], 2] - values[:, ends[:, 0], 2])

    residual = (depth(posed.place_m) - depth_m) / sigma_m
    gain = weight * huber_weight(np.abs(residual), huber)
    wide = (gain / sigma_m)[..., None]
    by_shape = depth(posed.by_shape) * wide
    by_shared = np.concatenate([by_shape, np.zeros((*by_shape.shape[:-1], 1))], axis=-1)
    equations.add(residual * gain, depth(posed.by_pose) * wide, by_shared)


def second_difference(times_s: Array) -> Array:
    """Weights (F-2,3) that turn three neighbouring values into an acceleration, 1/s²; exact for uneven times too."""
    before, after = np.diff(times_s)[:-1], np.diff(times_s)[1:]
    both = before + after
    return np.stack([2 / (before * both), -2 / (before * after), 2 / (after * both)], axis=-1)


def add_smooth_turns(equations: NormalEquations, pose: Pose, times_s: Array, sigma: float, huber: float) -> None:
    """Angular acceleration on SO(3): the change between one step's rotation vector and the next one's, a joint at a time."""
    if len(times_s) < 3:
        return
    factor = second_difference(times_s) / sigma
    step = quat_to_rotvec(quat_multiply(pose.quat_xyzw[1:], quat_inverse(pose.quat_xyzw[:-1])))
    residual = factor[:, 2, None, None] * step[1:] - factor[:, 0, None, None] * step[:-1]
    gain = huber_weight(np.linalg.norm(residual, axis=-1), huber)
    _add_second_difference(equations, residual.reshape(len(residual), -1), factor, np.repeat(gain, 3, axis=-1), slice(3, POSE_SIZE))


def add_smooth_root(equations: NormalEquations, pose: Pose, times_s: Array, sigma: tuple[float, float, float]) -> None:
    """Acceleration of the pelvis, by camera axis."""
    if len(times_s) < 3:
        return
    factor, root = second_difference(times_s), pose.root_m
    residual = factor[:, :1] * root[:-2] + factor[:, 1:2] * root[1:-1] + factor[:, 2:] * root[2:]
    _add_second_difference(equations, residual, factor, np.broadcast_to(1 / np.array(sigma), residual.shape), slice(0, 3))


def _add_second_difference(equations: NormalEquations, residual: Array, factor: Array, gain: Array, columns: slice) -> None:
    """Add Σ factor_i x[t+i], times ``gain``, for unknowns whose Jacobian is the identity: only diagonals of blocks change."""
    index = np.arange(columns.start, columns.stop)
    count = len(residual)
    equations.cost += float(((residual * gain) ** 2).sum())
    for i in range(3):
        equations.gradient[i:i + count, columns] += factor[:, i, None] * gain**2 * residual
        for j in range(i + 1):
            equations.near[i - j][j:j + count, index, index] += (factor[:, i] * factor[:, j])[:, None] * gain**2


def add_smooth_joints(equations: NormalEquations, posed: Posed, rows: slice, times_s: Array, sigma: float, huber: float) -> None:
    """Acceleration of the joints' places in the camera's frame."""
    if len(times_s) < 3:
        return
    place = posed.place_m[:, rows]
    factor = second_difference(times_s)[:, :, None, None] / sigma
    residual = factor[:, 0] * place[:-2] + factor[:, 1] * place[1:-1] + factor[:, 2] * place[2:]
    gain = huber_weight(np.linalg.norm(residual, axis=-1, keepdims=True), huber)
    by_pose = posed.by_pose[:, rows].reshape(len(place), -1, POSE_SIZE)
    weight = np.moveaxis(factor[..., 0], 1, 0) * np.repeat(gain[..., 0], 3, axis=-1)
    equations.add_between((residual * gain).reshape(len(residual), -1), by_pose, weight)


def add_contacts(equations: NormalEquations, posed: Posed, rows: slice, planted: Array, sigma: float) -> None:
    """Planted soles don't move: ``planted`` (F-1,4), 0…1, for each step between frames."""
    place, gain = posed.place_m[:, rows], np.sqrt(planted) / sigma
    wide = np.repeat(gain, 3, axis=-1)
    by_pose = posed.by_pose[:, rows].reshape(len(place), -1, POSE_SIZE)
    equations.add_between(((place[1:] - place[:-1]) * gain[..., None]).reshape(len(gain), -1), by_pose, np.stack([-wide, wide]))


def add_ground(equations: NormalEquations, posed: Posed, rows: slice, up: Array, height_m: float, planted: Array,
               sigma: float, huber: float) -> None:
    """Planted soles (F,4; 0…1) lie on the ground, ``height_m`` along ``up`` (3,) in camera axes, and no sole lies below it."""
    height = posed.place_m[:, rows] @ up - height_m
    residual = height / sigma
    share = np.where(height < 0, 1.0, planted)
    gain = np.sqrt(share) * huber_weight(np.abs(residual), huber) / sigma
    by_pose, by_shape = (up @ change[:, rows] * gain[..., None] for change in (posed.by_pose, posed.by_shape))
    by_shared = np.concatenate([by_shape, np.zeros((*by_shape.shape[:-1], 1))], axis=-1)
    equations.add(height * gain, by_pose, by_shared)


def _mean_pose() -> Array:
    """The pose (22,4) that a body takes when nothing is known: arms hanging, elbows and knees a little bent."""
    rotvec = np.zeros((JOINTS, 3))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rotvec[BODY_JOINTS.index(f"{side}_shoulder")] = (0.0, 0.0, -sign * np.radians(65))
        rotvec[BODY_JOINTS.index(f"{side}_elbow")] = (0.0, -sign * np.radians(25), 0.0)
        rotvec[BODY_JOINTS.index(f"{side}_knee")] = (np.radians(8), 0.0, 0.0)
    return rotvec_to_quat(rotvec)


MEAN_POSE_XYZW = _mean_pose()

_PRIOR_SIGMA_RAD = {"spine_1": 0.2, "spine_2": 0.2, "spine_3": 0.2, "clavicle": 0.2, "neck": 0.35, "head": 0.35, "ankle": 0.35,
                    "wrist": 0.5, "foot": 0.15, "hip": 1.2, "shoulder": 1.5}


def _prior_weights() -> Array:
    """1/sigma (22,) of the isotropic pose prior; none for the pelvis and for hinges, which have terms of their own."""
    plain = [name.removeprefix("left_").removeprefix("right_") for name in BODY_JOINTS]
    return np.array([1 / _PRIOR_SIGMA_RAD[name] if name in _PRIOR_SIGMA_RAD else 0.0 for name in plain])


_PRIOR_WEIGHT = _prior_weights()


def add_pose_prior(equations: NormalEquations, pose: Pose, strength: Array) -> None:
    """Joints stay near the mean pose; ``strength`` (F,22) is above 1 where little was seen of them."""
    away = quat_to_rotvec(quat_multiply(pose.quat_xyzw, quat_inverse(MEAN_POSE_XYZW)))
    weight = np.repeat(_PRIOR_WEIGHT * strength, 3, axis=1)
    equations.add_diagonal(away.reshape(len(away), -1), weight, slice(3, POSE_SIZE))


@dataclass(frozen=True)
class Hinge:
    """A joint that closes about one axis: elbow or knee, told in T-pose axes."""

    joint: int
    bone: Array  # unit, along the bone below
    axis: Array  # unit, positive turns close the joint
    twist_sigma_rad: float
    rest_flexion_rad: float


def hinges() -> list[Hinge]:
    """The four hinges of a body."""
    rows = []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rows.append(Hinge(BODY_JOINTS.index(f"{side}_elbow"), np.array([sign, 0, 0]), np.array([0, -sign, 0]), 0.5, np.radians(25)))
        rows.append(Hinge(BODY_JOINTS.index(f"{side}_knee"), np.array([0, -1.0, 0]), np.array([1.0, 0, 0]), 0.12, np.radians(8)))
    return rows


_OFF_AXIS_SIGMA, _FLEXION_SIGMA, _LIMIT_SIGMA, _FLEXION_RANGE = 0.08, 1.2, 0.04, (0.03, 2.6)


def add_hinges(equations: NormalEquations, pose: Pose, strength: Array) -> None:
    """Elbows and knees: the bone stays in the hinge's plane, closes between limits, and twists little.

    ``strength`` (F,22) is above 1 where little was seen of a joint.
    """
    for hinge in hinges():
        quat, strong = pose.quat_xyzw[:, hinge.joint], strength[:, hinge.joint]
        bone = quat_apply(quat, np.broadcast_to(hinge.bone, (len(quat), 3)))
        side = np.cross(hinge.axis, hinge.bone)
        off, flexion = bone @ hinge.axis, np.arctan2(bone @ side, bone @ hinge.bone)
        axial = 2 * np.arctan2(quat[:, :3] @ hinge.bone, quat[:, 3])
        twist = (axial + np.pi) % (2 * np.pi) - np.pi
        by_twist = (hinge.bone + bone) / np.maximum(1 + bone @ hinge.bone, 0.05)[:, None]
        by_flexion = np.broadcast_to(hinge.axis, bone.shape)
        low, high = _FLEXION_RANGE
        beyond = np.where(flexion < low, flexion - low, np.where(flexion > high, flexion - high, 0.0))
        rows = [
            (off / _OFF_AXIS_SIGMA, np.cross(bone, hinge.axis) / _OFF_AXIS_SIGMA),
            (twist / hinge.twist_sigma_rad * strong, by_twist / hinge.twist_sigma_rad * strong[:, None]),
            ((flexion - hinge.rest_flexion_rad) / _FLEXION_SIGMA * strong, by_flexion / _FLEXION_SIGMA * strong[:, None]),
            (beyond / _LIMIT_SIGMA, by_flexion / _LIMIT_SIGMA * (beyond != 0)[:, None]),
        ]
        column = 3 + 3 * hinge.joint
        block = np.stack([row[1] for row in rows], axis=1)
        residual = np.stack([row[0] for row in rows], axis=1)
        equations.cost += float((residual**2).sum())
        equations.near[0][:len(quat), column:column + 3, column:column + 3] += np.swapaxes(block, 1, 2) @ block
        equations.gradient[:len(quat), column:column + 3] += np.einsum("fma,fm->fa", block, residual)
