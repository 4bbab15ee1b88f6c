"""Feet that walk: where they are planted, and how they roll from heel to toe; a planted foot does not move at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ..convert.body import Body, body_joint
from ..motion.rotations import quat_apply, quat_multiply, rotvec_to_quat
from .score import Path, Score, minimum_jerk

Array = NDArray[np.float64]

# Shares of a step's time, from textbooks of gait (Perry): 40 % of the cycle in the air, heel up for the last quarter.
_SWING_SHARE = 0.8
_HEEL_UP_STEPS = 0.5
_FLAT_SHARE = 0.16
_PUSH_OFF_RAD = 0.80
_HEEL_STRIKE_RAD = 0.25
_CLEARANCE_M = 0.055
_FULL_STRIDE_M = 1.1


@dataclass(frozen=True)
class Plant:
    """A foot on the ground from landing to lifting: the place of the ball of the foot, and where its toes point."""

    land_s: float
    lift_s: float
    x_m: float
    z_m: float
    yaw: float


@dataclass(frozen=True)
class Foot:
    """Measures of one foot, T-pose axes, metres; the ball is the joint at which the toes bend."""

    side: str
    ball_from_ankle_m: Array  # (3,)
    heel_from_ankle_m: Array  # (3,), on the sole
    toe_from_ball_m: Array  # (3,), on the sole
    ball_height_m: float  # above the ground while the foot is flat
    ball_from_root_m: Array  # (2,), x and z while standing

    @classmethod
    def of(cls, body: Body, side: str) -> Foot:
        """Measure a body's foot."""
        _, offsets = body.sole_points
        heel, toe = (0, 1) if side == "left" else (2, 3)
        ball = body.offset_m[body_joint(f"{side}_foot")]
        chain = sum(body.offset_m[body_joint(f"{side}_{name}")] for name in ("hip", "knee", "ankle")) + ball
        return cls(side, ball, offsets[heel], offsets[toe], float(ball[1] - offsets[heel][1]), np.array([chain[0], chain[2]]))


@dataclass(frozen=True, eq=False)
class FootTrack:
    """A foot over F frames."""

    ankle_m: Array  # (F,3), world
    quat_xyzw: Array  # (F,4), world turn of the ankle joint
    toe_quat_xyzw: Array  # (F,4), turn of the toes relative to the foot
    grounded: Array  # (F,), 1 on the ground, 0 in the air, with soft steps between
    heel_down: NDArray[np.bool_]  # (F,), the heel stands still on the ground
    toe_down: NDArray[np.bool_]  # (F,)


def plan_steps(score: Score, path: Path, feet: dict[str, Foot], spread: float, toe_out: float) -> dict[str, list[Plant]]:
    """Plant the feet (by side) along a path: the drives' steps, left and right in turn, each under where the root will be."""
    plants = {side: [_plant(path, foot, 0.0, -np.inf, spread, toe_out)] for side, foot in feet.items()}
    for drive in score.drives:
        step_s = (drive.end_s - drive.start_s) / (drive.steps - 1 + _SWING_SHARE)
        first = "left" if drive.turn_rad >= 0 else "right"
        order = (first, "right" if first == "left" else "left")
        for step in range(drive.steps):
            side = order[step % 2]
            lift = drive.start_s + step * step_s
            land = lift + _SWING_SHARE * step_s
            under = min(land + 0.5 * (2.0 - _SWING_SHARE) * step_s, drive.end_s)
            last = plants[side][-1]
            plants[side][-1] = Plant(last.land_s, lift, last.x_m, last.z_m, last.yaw)
            plants[side].append(_plant(path, feet[side], under, land, spread, toe_out))
    return plants


def _plant(path: Path, foot: Foot, under_s: float, land_s: float, spread: float, toe_out: float) -> Plant:
    x, z, yaw = path.at(under_s)
    outward = 1.0 if foot.side == "left" else -1.0
    across, ahead = foot.ball_from_root_m * np.array([spread, 1.0])
    right, front = x + across * np.cos(yaw) + ahead * np.sin(yaw), z - across * np.sin(yaw) + ahead * np.cos(yaw)
    return Plant(land_s, np.inf, float(right), float(front), float(yaw) + outward * toe_out)


def track_foot(foot: Foot, plants: list[Plant], times_s: Array) -> FootTrack:
    """Move a foot (F frames) from plant to plant: flat, heel up about the ball, through the air, down onto the heel, flat."""
    pitch_at = _pitch_curve(plants)
    pitch = pitch_at(times_s)
    yaw, air, share = _heading(plants, times_s)
    turn = quat_multiply(_about(1, yaw), _about(0, -pitch))
    toes = np.where(pitch < 0, -pitch, 0.0) * np.where(air, 1.0 - minimum_jerk(np.clip(share / 0.45, 0.0, 1.0)), 1.0)
    toe_turn = _about(0, -toes)
    ball = _ball_places(foot, plants, pitch_at, times_s)
    ball[:, 1] += _lift_above_ground(foot, ball, turn, toe_turn) * air
    ankle = ball - quat_apply(turn, foot.ball_from_ankle_m)
    soft = np.where(air, np.clip(np.abs(share - 0.5) / 0.5, 0.0, 1.0) ** 4 * 0.5, 1.0)
    return FootTrack(ankle, turn, toe_turn, soft, ~air & (pitch >= -1e-9), ~air & (pitch <= 1e-9))


def _about(axis: int, angle: Array) -> Array:
    return rotvec_to_quat(np.asarray(angle)[:, None] * np.eye(3)[axis])


def _gain(start: Plant, end: Plant) -> float:
    """How much of a full stride a step is, 0…1."""
    stride = float(np.hypot(end.x_m - start.x_m, end.z_m - start.z_m))
    return float(np.clip(stride / _FULL_STRIDE_M, 0.12, 1.0) ** 0.7)


def _pitch_curve(plants: list[Plant]) -> Callable[[Array], Array]:
    """Toes above (+) or below (-) the heel, radians, as a function of time."""
    keys = {-1.0: 0.0}
    for start, end in pairwise(plants):
        swing = end.land_s - start.lift_s
        gain, step_s = _gain(start, end), swing / _SWING_SHARE
        flat_from = start.land_s + _FLAT_SHARE * step_s if np.isfinite(start.land_s) else -np.inf
        keys[max(start.lift_s - _HEEL_UP_STEPS * step_s, flat_from + 0.01)] = 0.0
        keys[start.lift_s] = -_PUSH_OFF_RAD * gain
        keys[start.lift_s + 0.14 * swing] = -1.06 * _PUSH_OFF_RAD * gain
        keys[start.lift_s + 0.62 * swing] = 0.1 * gain
        keys[end.land_s - 0.04 * swing] = _HEEL_STRIKE_RAD * gain
        keys[end.land_s + _FLAT_SHARE * step_s] = 0.0
    at = np.array([*sorted(keys), max(keys) + 1.0])
    curve = PchipInterpolator(at, np.array([keys.get(time, 0.0) for time in at]))

    def pitch(times_s: Array) -> Array:
        angle = curve(np.clip(times_s, at[0], at[-1]))
        return np.asarray(np.where(np.abs(angle) < 1e-6, 0.0, angle))

    return pitch


def _heading(plants: list[Plant], times_s: Array) -> tuple[Array, NDArray[np.bool_], Array]:
    """Where the foot points (F,), whether it is in the air (F,), and how much of that swing is over (F,)."""
    yaw = np.full(len(times_s), plants[0].yaw)
    air, share = np.zeros(len(times_s), dtype=bool), np.zeros(len(times_s))
    for start, end in pairwise(plants):
        now = (times_s > start.lift_s) & (times_s < end.land_s)
        passed = np.clip((times_s - start.lift_s) / (end.land_s - start.lift_s), 0.0, 1.0)
        yaw += (end.yaw - start.yaw) * minimum_jerk(passed)
        air |= now
        share[now] = passed[now]
    return yaw, air, share


def _ball_places(foot: Foot, plants: list[Plant], pitch_at: Callable[[Array], Array], times_s: Array) -> Array:
    """The ball of the foot (F,3): still while its plant lasts, except that it comes down about the heel after landing."""
    place = np.tile([plants[0].x_m, foot.ball_height_m, plants[0].z_m], (len(times_s), 1))
    for start, end in pairwise(plants):
        rest = np.array([end.x_m, foot.ball_height_m, end.z_m])
        swing, step_s = end.land_s - start.lift_s, (end.land_s - start.lift_s) / _SWING_SHARE
        down = times_s >= end.land_s
        landing = down & (times_s < end.land_s + _FLAT_SHARE * step_s)
        place[down] = rest
        place[landing] = rest + _about_heel(foot, pitch_at(times_s[landing]), end.yaw)
        air = (times_s > start.lift_s) & ~down
        touch = rest + _about_heel(foot, pitch_at(np.array([end.land_s])), end.yaw)[0]
        passed = ((times_s[air] - start.lift_s) / swing)[:, None]
        ease = 0.5 * minimum_jerk(passed) + 0.5 * passed**2 * (3.0 - 2.0 * passed)
        leave = np.array([start.x_m, foot.ball_height_m, start.z_m])
        hump = np.array([0.0, _CLEARANCE_M * (0.35 + 0.65 * _gain(start, end)), 0.0])
        place[air] = leave + (touch - leave) * ease + hump * 16.0 * (passed * (1.0 - passed)) ** 2
    return place


def _about_heel(foot: Foot, pitch: Array, yaw: float) -> Array:
    """How far the ball is from where it will rest (N,3) while the foot tips about its heel by a pitch (N,)."""
    ball_from_heel = foot.ball_from_ankle_m - foot.heel_from_ankle_m
    heading = _about(1, np.full(len(pitch), yaw))
    tipped = quat_multiply(heading, _about(0, -pitch))
    return np.asarray(quat_apply(tipped, ball_from_heel) - quat_apply(heading, ball_from_heel))


def _lift_above_ground(foot: Foot, ball: Array, turn: Array, toe_turn: Array) -> Array:
    """How far a swinging foot must rise (F,) so that neither toe nor heel dips into the ground."""
    toe = ball + quat_apply(quat_multiply(turn, toe_turn), foot.toe_from_ball_m * np.array([1.0, 1.0, 1.5]))
    heel = ball + quat_apply(turn, foot.heel_from_ankle_m - foot.ball_from_ankle_m)
    return np.asarray(np.maximum(0.0, -np.minimum(toe[:, 1], heel[:, 1])))
