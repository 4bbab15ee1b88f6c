"""From a score to a moving body: the walk's sway is laid over the key poses, the hips ride on the feet, the legs follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from ..convert.body import Body, body_joint
from ..motion.rotations import quat_apply, quat_inverse, quat_multiply, rotvec_to_quat
from .gait import Foot, FootTrack, plan_steps, track_foot
from .legs import solve_leg
from .score import Path, Score

Array = NDArray[np.float64]

_GRID_HZ = 120.0
_LEG_M = 0.9  # the leg length that key poses are written for
_STANDING = 0.99  # share of the leg's length at which somebody stands
_REACH = 0.9965  # and at which the hips begin to sink after the feet
_AHEAD_M = 0.03  # a standing body's hips are in front of its ankles
# Full curls of the joints of a finger, radians, from the knuckle on; the thumb's first.
_CURL_RAD = np.array([[0.45, 0.75, 0.9], *[[1.45, 1.65, 1.1]] * 4]).reshape(-1)


@dataclass(frozen=True)
class Style:
    """How somebody in particular moves."""

    spread: float = 0.72
    """Distance between the feet, as a share of that between the hips."""
    toe_out: float = 0.12
    """Turn of the feet, radians."""
    arm_swing: float = 0.62
    """Swing of the arms, radians a metre between the feet."""
    sway_m: float = 0.02
    """How far the hips move over the standing foot."""
    seed: int = 0
    """Of the small movements of somebody who stands still."""


@dataclass(frozen=True, eq=False)
class Performance:
    """A canonical body's motion over F frames."""

    quat_xyzw: Array  # (F,22,4), local
    root_m: Array  # (F,3), the pelvis in the world
    fingers_xyzw: Array  # (F,30,4), local
    contact: NDArray[np.bool_]  # (F,4), which of `convert.body.SOLE_POINTS` stands still on the ground


@dataclass(frozen=True, eq=False)
class _Stride:
    """What the feet do to the body over F frames."""

    support: Array  # (F,), +1 on the left foot alone, -1 on the right, 0 on both
    ahead_m: Array  # (F,), how far the left foot is in front of the right
    speed: Array  # (F,), metres a second


def perform(score: Score, body: Body, start_yaw: float, style: Style, times_s: Array) -> Performance:
    """Play a score on a body at given times (F,)."""
    path = Path.of(score, start_yaw, float(times_s[-1]))
    feet = {side: Foot.of(body, side) for side in ("left", "right")}
    plants = plan_steps(score, path, feet, style.spread, style.toe_out)
    grid = np.arange(-0.5, times_s[-1] + 0.5, 1.0 / _GRID_HZ)
    tracks = {side: track_foot(feet[side], plants[side], grid) for side in feet}
    upper, pelvis, amounts = _trunk(score, body, path, tracks, grid, style)
    height = _pelvis_height(body, pelvis, upper[:, 0], amounts, tracks)
    pelvis[:, 1] = height
    at = {side: track_foot(feet[side], plants[side], times_s) for side in feet}
    root = np.stack([np.interp(times_s, grid, column) for column in pelvis.T], axis=1)
    now, _, now_amounts = _trunk(score, body, path, tracks, times_s, style, grid)
    heading = path.at(times_s)[:, 2]
    for side in feet:
        _pose_leg(now, root, body, side, at[side], heading)
    contact = np.stack([at["left"].heel_down, at["left"].toe_down, at["right"].heel_down, at["right"].toe_down], axis=1)
    return Performance(now, root, _fingers(body, now_amounts[:, 5:7]), contact)


def _stride(path: Path, tracks: dict[str, FootTrack], grid_s: Array, times_s: Array) -> _Stride:
    """Read the feet on the grid, smooth, and sample at given times."""
    yaw = path.at(grid_s)[:, 2]
    forward = np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=1)
    ahead = np.sum((tracks["left"].ankle_m - tracks["right"].ankle_m) * forward, axis=1)
    support = tracks["left"].grounded - tracks["right"].grounded
    speed = np.linalg.norm(np.gradient(path.at(grid_s)[:, :2], grid_s, axis=0), axis=1)
    smooth = [gaussian_filter1d(values, sigma * _GRID_HZ) for values, sigma in ((support, 0.08), (ahead, 0.05), (speed, 0.1))]
    return _Stride(*(np.interp(times_s, grid_s, values) for values in smooth))


def _trunk(
    score: Score, body: Body, path: Path, tracks: dict[str, FootTrack], times_s: Array, style: Style, grid_s: Array | None = None
) -> tuple[Array, Array, Array]:
    """Everything but the legs: local rotations (F,22,4), where the hips want to be (F,3, height not set), amounts (F,7)."""
    stride = _stride(path, tracks, times_s if grid_s is None else grid_s, times_s)
    quats, amounts = score.sample(times_s)
    size = _leg_length(body) / _LEG_M
    idle = _idle(times_s, style.seed)
    _overlay(quats, "spine_2", y=0.30 * stride.ahead_m / size, z=-0.055 * stride.support, x=0.03 * stride.speed + idle[2], before=True)
    _overlay(quats, "head", y=-0.12 * stride.ahead_m / size + idle[3], x=-0.02 * stride.speed + idle[4])
    _swing_arms(quats, stride, amounts, style, idle)
    place = path.at(times_s)
    hips = _about(1, place[:, 2] - 0.13 * stride.ahead_m / size)
    quats[:, 0] = quat_multiply(hips, quat_multiply(_about(2, 0.05 * stride.support), quats[:, 0]))
    local = amounts[:, :3] * size + np.stack([style.sway_m * stride.support + idle[0], np.zeros_like(times_s), _AHEAD_M + idle[1]], axis=1)
    pelvis = np.stack([place[:, 0], np.zeros_like(times_s), place[:, 1]], axis=1) + quat_apply(_about(1, place[:, 2]), local * [1, 0, 1])
    return quats, pelvis, np.concatenate([amounts[:, :1], amounts[:, 1:3] * size, amounts[:, 3:]], axis=1)


def _overlay(quats: Array, joint: str, x: Array, y: Array, z: Array | float = 0.0, before: bool = False) -> None:
    """Turn a joint further by small angles (F,), in its parent's axes (``before``) or its own."""
    x, y, z = np.broadcast_arrays(x, y, z)
    turn, index = rotvec_to_quat(np.stack([x, y, z], axis=-1)), body_joint(joint)
    quats[:, index] = quat_multiply(turn, quats[:, index]) if before else quat_multiply(quats[:, index], turn)


def _swing_arms(quats: Array, stride: _Stride, amounts: Array, style: Style, idle: Array) -> None:
    for side, sign, swing in (("left", 1.0, amounts[:, 3]), ("right", -1.0, amounts[:, 4])):
        forward = -sign * style.arm_swing * swing * stride.ahead_m
        _overlay(quats, f"{side}_shoulder", x=-forward + idle[5] * swing, y=np.zeros_like(forward), before=True)
        bend = 0.7 * np.maximum(forward + 0.12, 0.0) * swing * np.clip(stride.speed, 0.0, 1.0)
        _overlay(quats, f"{side}_elbow", x=np.zeros_like(bend), y=-sign * bend, before=True)


def _idle(times_s: Array, seed: int) -> Array:
    """Small slow movements (6,F) of somebody alive: hips left and forward in metres; trunk, head left, head down, arms in radians."""
    rng = np.random.default_rng(seed)
    size = np.array([0.006, 0.005, 0.010, 0.05, 0.025, 0.02])[:, None, None]
    rate = rng.uniform(0.12, 0.5, (6, 3, 1))
    phase = rng.uniform(0.0, 2.0 * np.pi, (6, 3, 1))
    waves = np.sin(2.0 * np.pi * rate * times_s + phase) / 1.7
    idle = np.asarray((size * waves).sum(axis=1))
    idle[2] += 0.006 * np.sin(2.0 * np.pi * 0.27 * times_s + phase[2, 0])  # breath
    return idle


def _leg_length(body: Body) -> float:
    return float(np.linalg.norm(body.offset_m[body_joint("left_knee")]) + np.linalg.norm(body.offset_m[body_joint("left_ankle")]))


def _pelvis_height(body: Body, pelvis: Array, pelvis_quat: Array, amounts: Array, tracks: dict[str, FootTrack]) -> Array:
    """The height (F,) of the pelvis on the grid: standing less the crouch, but never higher than both legs can reach."""
    leg = _leg_length(body)
    hip_y = body.offset_m[body_joint("left_hip")][1]
    ankle_y = -body.sole_points[1][0][1]
    height = ankle_y + _STANDING * leg - hip_y + amounts[:, 1]
    for side, track in tracks.items():
        hip = quat_apply(pelvis_quat, body.offset_m[body_joint(f"{side}_hip")])
        away = np.linalg.norm((pelvis + hip - track.ankle_m)[:, [0, 2]], axis=1)
        height = np.minimum(height, track.ankle_m[:, 1] + np.sqrt(np.maximum((_REACH * leg) ** 2 - away**2, 0.01)) - hip[:, 1])
    # The lowest of a window, then a smooth mean over no more than it: never above what the legs reach.
    window = int(0.10 * _GRID_HZ)
    return np.asarray(gaussian_filter1d(minimum_filter1d(height, 2 * window + 1), window / 2.5, radius=window))


def _pose_leg(quats: Array, root_m: Array, body: Body, side: str, track: FootTrack, heading: Array) -> None:
    """Set the local rotations of one leg in place so that its foot follows its track."""
    hip_joint, knee_joint, ankle_joint, toe_joint = (body_joint(f"{side}_{name}") for name in ("hip", "knee", "ankle", "foot"))
    pelvis = quats[:, 0]
    hip = root_m + quat_apply(pelvis, body.offset_m[hip_joint])
    toes_to = quat_apply(track.quat_xyzw, np.array([0.0, 0.0, 1.0]))
    straight = np.stack([np.sin(heading), np.zeros_like(heading), np.cos(heading)], axis=1)
    forward = straight + toes_to * np.array([1.0, 0.0, 1.0])
    lengths = (float(np.linalg.norm(body.offset_m[joint])) for joint in (knee_joint, ankle_joint))
    thigh, shank = solve_leg(hip, track.ankle_m, forward, *lengths)
    quats[:, hip_joint] = quat_multiply(quat_inverse(pelvis), thigh)
    quats[:, knee_joint] = quat_multiply(quat_inverse(thigh), shank)
    quats[:, ankle_joint] = quat_multiply(quat_inverse(shank), track.quat_xyzw)
    quats[:, toe_joint] = track.toe_quat_xyzw


def _fingers(body: Body, curl: Array) -> Array:
    """Local turns (F,30,4) of the fingers for how far each hand (F,2) is closed."""
    angle = np.concatenate([curl[:, :1] * _CURL_RAD, curl[:, 1:] * _CURL_RAD], axis=1)
    return rotvec_to_quat(angle[..., None] * body.finger_axis)


def _about(axis: int, angle: Array) -> Array:
    return rotvec_to_quat(np.asarray(angle)[:, None] * np.eye(3)[axis])
