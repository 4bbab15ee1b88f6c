"""The soles of a rig's feet, found on its mesh: where heel, ball and toes touch the ground, and how a foot stands flat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import SettingsError
from ...motion.rig import Rig
from ...motion.rotations import matrix_to_quat, quat_apply, quat_inverse, quat_multiply, rotvec_to_quat
from ..performance import Performance
from ..retargeting.poser import Poser

Array = NDArray[np.float64]

SIDES = ("left", "right")
# Skin within this of the lowest is sole; behind and in front of these shares of its length are heel and toes.
_SOLE_M, _HEEL_SHARE, _TOE_SHARE = 0.02, 0.2, 0.3
# A rest pose whose feet slope by more than this does not stand on them: a flat foot is level then, not as it rests.
_SLOPE_RAD = np.radians(15)


@dataclass(frozen=True, eq=False)
class Sole:
    """One foot: points in the axes of the joints that carry them, metres before scale, and how these joints stand flat.

    Standing flat means: heel and toes level on the ground, the line from heel to ball toward +Z.
    """

    ankle: int
    carrier: int  # the joint that carries the toes; the ankle where the rig has no other
    heel_m: Array  # (3,), on the sole, in the ankle's axes
    ball_m: Array  # (3,), where the toes bend, in the ankle's axes
    toe_m: Array  # (3,), on the sole, in the carrier's axes
    tip_m: Array  # (3,), the foremost of the sole, in the carrier's axes
    ball_over_ground_m: float  # while the foot is flat
    ball_ahead_m: float  # of the heel, over the ground, while the foot is flat
    ankle_flat_xyzw: Array  # (4,), world
    carrier_flat_xyzw: Array  # (4,)


def soles_of(rig: Rig) -> tuple[Sole, Sole]:
    """Return the left and the right sole. Raises `SettingsError` where the rig does not name what a leg has."""
    semantic = rig.skeleton.semantic
    missing = [name for side in SIDES for joint in ("hip", "knee", "ankle") if (name := f"{side}_{joint}") not in semantic]
    if missing:
        raise SettingsError(f"feet: rig {rig.name}: found no joint for {', '.join(missing)}, expected both legs; "
                            "write a map of its joints with rigdrop map init, or switch feet off")
    return _sole(rig, "left"), _sole(rig, "right")


def _sole(rig: Rig, side: str) -> Sole:
    ankle = rig.skeleton.semantic[f"{side}_ankle"]
    carrier = rig.skeleton.semantic.get(f"{side}_foot", ankle)
    place = rig.bind_world[:, :3, 3]
    skin = _skin(rig, ankle)
    front = _front(skin, place[ankle], place[carrier])
    heel, toe, tip = _touching(skin, front)
    ball = place[carrier] if carrier != ankle else toe
    level = _level(heel, toe, _over_ground(ball - heel, front))
    heel, ball, toe, tip = (quat_apply(level, point - place[ankle]) for point in (heel, ball, toe, tip))
    # From here on about the ankle, in the world's axes, facing +Z; a slope that rests is as flat as its lowest skin.
    ground = min(heel[1], toe[1])
    heel[1] = toe[1] = tip[1] = ground
    turn = quat_multiply(level, _turn_of(rig, ankle))
    toes = quat_multiply(level, _turn_of(rig, carrier))
    carried = ball if carrier != ankle else np.zeros(3)
    grown, toes_grown = _scale_of(rig, ankle), _scale_of(rig, carrier)
    return Sole(
        ankle, carrier, quat_apply(quat_inverse(turn), heel) / grown, quat_apply(quat_inverse(turn), ball) / grown,
        quat_apply(quat_inverse(toes), toe - carried) / toes_grown, quat_apply(quat_inverse(toes), tip - carried) / toes_grown,
        float(ball[1] - ground), float(ball[2] - heel[2]), turn, toes,
    )


def _skin(rig: Rig, ankle: int) -> Array:
    """The foot's vertices (N,3) in the bind pose; the places of its joints where it has no skin."""
    family = np.zeros(len(rig.joint_names), dtype=bool)
    for joint, parent in enumerate(rig.joint_parents):
        family[joint] = joint == ankle or (parent >= 0 and family[parent])
    skin = rig.vertices_m[family[rig.skin_joints[:, 0]]].astype(np.float64)
    if len(skin) >= 3:
        return skin
    joints = np.asarray(rig.bind_world[family, :3, 3])
    return np.concatenate([joints, joints[:1] * [1, 0, 1] + [0, joints[:, 1].min(), 0]])


def _front(skin: Array, ankle: Array, carrier: Array) -> Array:
    """The unit direction (3,) over the ground in which a foot points."""
    furthest = skin[np.argmax(np.linalg.norm((skin - ankle) * [1, 0, 1], axis=1))]
    return _over_ground(carrier - ankle, _over_ground(furthest - ankle, np.array([0.0, 0.0, 1.0])))


def _over_ground(vector: Array, otherwise: Array) -> Array:
    """The unit direction (3,) of a vector over the ground, or another one where it has none."""
    length = float(np.hypot(vector[0], vector[2]))
    return np.asarray(vector * [1, 0, 1] / length) if length > 1e-3 else otherwise


def _touching(skin: Array, front: Array) -> tuple[Array, Array, Array]:
    """Heel, toe and tip (3,): the middles of the lowest skin at either end of the sole, and its foremost."""
    along = skin @ front
    back, length = along.min(), max(float(np.ptp(along)), 1e-6)
    points = []
    for part in (along < back + _HEEL_SHARE * length, along > back + (1 - _TOE_SHARE) * length):
        lowest = skin[part & (skin[:, 1] < skin[part, 1].min() + _SOLE_M)]
        points.append(np.append(np.median(lowest[:, [0, 2]], axis=0), lowest[:, 1].min())[[0, 2, 1]])
    heel, toe = points
    near = skin[(along > back + 0.5 * length) & (skin[:, 1] < toe[1] + _SOLE_M / 2)]
    tip = toe + front * max(0.0, float((near @ front).max() - toe @ front))
    return heel, toe, tip


def _level(heel: Array, toe: Array, front: Array) -> Array:
    """The turn (4,) that brings a resting foot to stand flat, toward +Z."""
    yaw = rotvec_to_quat(np.array([0.0, -np.arctan2(front[0], front[2]), 0.0]))
    slope = float(np.arctan2(toe[1] - heel[1], (toe - heel) @ front))
    return quat_multiply(rotvec_to_quat(np.array([slope if abs(slope) > _SLOPE_RAD else 0.0, 0.0, 0.0])), yaw)


def _turn_of(rig: Rig, joint: int) -> Array:
    return matrix_to_quat(rig.bind_world[joint, :3, :3] / _scale_of(rig, joint))


def _scale_of(rig: Rig, joint: int) -> float:
    return float(np.cbrt(np.linalg.det(rig.bind_world[joint, :3, :3])))


@dataclass(frozen=True, eq=False)
class FootMotion:
    """A foot over F frames: the world turns and places of ankle and toes, and how much they are scaled."""

    sole: Sole
    ankle_xyzw: Array  # (F,4)
    ankle_m: Array  # (F,3)
    carrier_xyzw: Array  # (F,4)
    ankle_scale: Array  # (F,1)
    carrier_scale: Array  # (F,1)

    @classmethod
    def of(cls, performance: Performance, sole: Sole, poser: Poser) -> FootMotion:
        """Read a foot of somebody who moves; ``poser`` poses the same."""
        ankle, carrier = sole.ankle, sole.carrier
        return cls(sole, poser.turn(ankle), poser.place(ankle), poser.turn(carrier), world_scale(performance, ankle),
                   world_scale(performance, carrier))

    def points(self) -> Array:
        """World places (F,4,3) of heel, ball, toe and tip."""
        sole = self.sole
        heel, ball = (self.ankle_m + quat_apply(self.ankle_xyzw, point * self.ankle_scale) for point in (sole.heel_m, sole.ball_m))
        hung = ball if sole.carrier != sole.ankle else self.ankle_m
        toe, tip = (hung + quat_apply(self.carrier_xyzw, point * self.carrier_scale) for point in (sole.toe_m, sole.tip_m))
        return np.stack([heel, ball, toe, tip], axis=1)


def world_scale(performance: Performance, joint: int) -> Array:
    """Return how much a joint is scaled in the world (F,1)."""
    scale, joints = np.ones((performance.frame_count, 1)), performance.scale
    while joint >= 0 and joints is not None:
        scale = scale * joints[:, joint, None]
        joint = int(performance.rig.joint_parents[joint])
    return scale


def sole_places(performance: Performance) -> Array:
    """Return the world places (F,4,3), metres, of left heel, left toe, right heel and right toe, on the sole."""
    poser = poser_of(performance)
    return np.concatenate([FootMotion.of(performance, sole, poser).points()[:, [0, 2]] for sole in soles_of(performance.rig)], axis=1)


def poser_of(performance: Performance) -> Poser:
    """Return the performance as a skeleton that reckons only what it is asked for."""
    return Poser.of_motion(performance.rig.skeleton, performance.quat_xyzw, performance.translation_m, performance.scale)
