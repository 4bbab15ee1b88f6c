"""The ground that people stand on, and which way is up, from how they stand and walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body import Body, body_joint

Array = NDArray[np.float64]

# Deviations of standing soles from a common height and of upright people from the vertical, and how many independent looks
# a whole clip of either gives at most: somebody who leans does so for seconds, and networks see people lean for whole clips.
_SOLE_SIGMA_M, _SOLE_LOOKS = 0.04, 30
_LEAN_SIGMA_RAD, _LEAN_LOOKS = np.radians(6), 4
# Cameras are mostly level.
_CAMERA_SIGMA_RAD = np.radians(20)
# What counts at most of a sole or a lean, in squared deviations: feet step on kerbs, people bow.
_MOST = 9.0


@dataclass(frozen=True, eq=False)
class Stance:
    """What a person's motion says of the ground, in glTF camera axes."""

    soles_m: Array  # (N,3), places of soles that stand
    upright: Array  # (M,3), unit, from ankles to neck of somebody who stands or walks


@dataclass(frozen=True)
class Ground:
    """The plane that people stand on, seen from the camera."""

    pitch_rad: float  # how far the camera looks down
    height_m: float  # of the camera above the ground
    spread_m: float  # how far standing soles are from the plane, at the median
    standing: int  # how many standing soles it was found from

    @property
    def up_in_camera(self) -> Array:
        """(3,) the world's +Y in glTF camera axes."""
        return _up(self.pitch_rad)


def stance_of(body: Body, quat_xyzw: Array, root_m: Array, planted: Array, seen: NDArray[np.bool_]) -> Stance:
    """Collect standing soles and upright frames of a motion (F,22,4) and (F,3); ``planted`` (F,4) and ``seen`` (F,) choose them."""
    soles = body.sole_places(quat_xyzw, root_m)
    places = body.positions(quat_xyzw, root_m)
    return Stance(soles[(planted > 0.8) & seen[:, None]], _upright(body, places)[seen & _stands(body, places)])


def joined(stances: list[Stance]) -> Stance:
    """Put the stances of several people together."""
    empty = np.zeros((0, 3))
    soles_m = np.concatenate([empty, *(stance.soles_m for stance in stances)])
    return Stance(soles_m, np.concatenate([empty, *(stance.upright for stance in stances)]))


def find_ground(stance: Stance, level: bool = True) -> Ground:
    """Find pitch and height of the ground; with ``level`` off the camera is held to be level.

    Each pitch on a fine grid is judged: standing soles share a height, people who stand or walk are upright, and cameras
    are mostly level.
    """
    pitch = 0.0
    if level and len(stance.soles_m) + len(stance.upright):
        pitches = np.radians(np.arange(-60.0, 60.01, 0.25))
        pitch = float(pitches[int(np.argmin([_pitch_cost(candidate, stance) for candidate in pitches]))])
    if not len(stance.soles_m):
        return Ground(pitch, 0.0, np.inf, 0)
    heights = stance.soles_m @ _up(pitch)
    return Ground(pitch, -float(np.quantile(heights, 0.2)), float(np.median(np.abs(heights - np.median(heights)))), len(heights))


def _up(pitch_rad: float) -> Array:
    return np.array([0.0, np.cos(pitch_rad), np.sin(pitch_rad)])


def _pitch_cost(pitch: float, stance: Stance) -> float:
    cost = (pitch / _CAMERA_SIGMA_RAD) ** 2
    if len(stance.upright):
        lean = np.arctan2(stance.upright[:, 2], stance.upright[:, 1]) - pitch
        cost += _over_looks(lean / _LEAN_SIGMA_RAD, _LEAN_LOOKS)
    if len(stance.soles_m):
        heights = stance.soles_m @ _up(pitch)
        cost += _over_looks((heights - np.median(heights)) / _SOLE_SIGMA_M, _SOLE_LOOKS)
    return float(cost)


def _over_looks(deviations: Array, looks: int) -> float:
    """Sum of squared deviations (N,), robust, as if no more than ``looks`` of them were independent."""
    return min(len(deviations), looks) * float(np.minimum(deviations**2, _MOST).mean())


def _upright(body: Body, places: Array) -> Array:
    return _unit(places[:, body_joint("neck")] - _ankles(places))


def _stands(body: Body, places: Array) -> NDArray[np.bool_]:
    """Frames (F,) in which the trunk is in line with the legs and the legs are straight: standing or walking."""
    hips = places[:, 0]
    trunk, legs = _unit(places[:, body_joint("neck")] - hips), _unit(hips - _ankles(places))
    length = np.linalg.norm(body.offset_m[[body_joint("left_knee"), body_joint("left_ankle")]], axis=-1).sum()
    straight = np.linalg.norm(hips - _ankles(places), axis=-1) > 0.85 * length
    return np.asarray((np.sum(trunk * legs, axis=-1) > np.cos(np.radians(25))) & straight)


def _ankles(places: Array) -> Array:
    return np.asarray((places[:, body_joint("left_ankle")] + places[:, body_joint("right_ankle")]) / 2)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))
