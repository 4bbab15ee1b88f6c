"""Feet that stand where they stand: contacts are found, then hips, knees, ankles and the pelvis' height hold the feet there.

A standing foot is put flat on the ground, tips about its heel or about the ball while only that stands, and in between
moves as it did, plus a correction that fades. The pelvis comes down as far as the legs need to reach, and no knee pops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # ndimage is loaded when it is first used: it takes a fifth of a second
from numpy.typing import NDArray

from ..motion.metrics import foot_slide_mm_f
from ..motion.rotations import quat_apply, quat_between, quat_inverse, quat_multiply, quat_to_rotvec, rotvec_to_quat
from .performance import Performance
from .retargeting.poser import Poser
from .stance.bridge import bridge
from .stance.contacts import FeetOptions, contacts_of, foot_contacts, ground_of
from .stance.plants import Plants, plant
from .stance.soles import SIDES, FootMotion, Sole, poser_of, sole_places, soles_of
from .stance.two_bone import SOFT_SHARE, two_bone

__all__ = ["FeetOptions", "foot_contacts", "hold_feet", "pin_feet"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_UP = np.array([0.0, 1.0, 0.0])
# Over how long the pelvis follows what both feet have in common, and comes down for a leg that is too short.
_PELVIS_SIGMA_S, _SINK_S = 0.3, 0.15
# How often frames in which a foot would sink in are added to those that are held.
_ROUNDS = 6
# What a swinging foot counts against a standing one.
_SWING_WEIGHT = 0.02
# A foot may sink in by this without being lifted.
_SLACK_M = 2e-4


@dataclass(frozen=True, eq=False)
class _Held:
    """What becomes of a foot: world turns of ankle and toes (F,4), and places of the ankle (F,3)."""

    sole: Sole
    ankle_xyzw: Array
    carrier_xyzw: Array
    ankle_m: Array
    standing: Mask  # (F,)


def hold_feet(performance: Performance, options: FeetOptions | None = None) -> tuple[Performance, dict[str, Any]]:
    """Return what `pin_feet` returns and, for the report, how far standing feet slid and sank before it and after.

    The figures are ``slide_mm_per_frame``, the mean way of soles over the ground while they stand (nothing where none does),
    and ``sunk_most_mm``, the deepest that any sole is under the ground.
    """
    options = options or FeetOptions()
    before_m = sole_places(performance)
    ground = ground_of(before_m, performance.times_s, options)
    contacts = contacts_of(before_m, performance.times_s, ground, options)
    held = pin_feet(performance, options, contacts, ground)
    figures = {when: _figures(places, contacts, ground) for when, places in (("before", before_m), ("after", sole_places(held)))}
    return held, {"name": "feet", **figures}


def _figures(soles_m: Array, contacts: Mask, ground_m: float) -> dict[str, Any]:
    slide = foot_slide_mm_f(soles_m, contacts[1:] & contacts[:-1])
    sunk_mm = 1000 * max(0.0, ground_m - float(soles_m[..., 1].min()))
    return {"slide_mm_per_frame": None if slide is None else round(slide, 3), "sunk_most_mm": round(sunk_mm, 2)}


def pin_feet(
    performance: Performance, options: FeetOptions | None = None, contacts: Mask | None = None, ground_m: float | None = None
) -> Performance:
    """Return the same person with feet that neither slide nor sink in while they stand.

    ``contacts`` (F,4) tell when left heel, left toe, right heel and right toe stand; nothing finds them. Only hips, knees,
    ankles, toes and the pelvis' height change. Raises `SettingsError` where the rig does not name both legs.
    """
    options = options or FeetOptions()
    soles = soles_of(performance.rig)
    poser = poser_of(performance)
    feet = [FootMotion.of(performance, sole, poser) for sole in soles]
    points = [foot.points() for foot in feet]
    soles_m = np.concatenate([places[:, [0, 2]] for places in points], axis=1)
    ground = ground_of(soles_m, performance.times_s, options) if ground_m is None else ground_m
    if contacts is None:
        contacts = contacts_of(soles_m, performance.times_s, ground, options)
    held = []
    for number, (foot, places) in enumerate(zip(feet, points, strict=True)):
        plants = plant(contacts[:, 2 * number], contacts[:, 2 * number + 1], places[:, 0], places[:, 1],
                       _length(foot), performance.times_s, options.contact_drift, options.foot_blend_s)
        held.append(_hold(foot, plants, ground, performance.times_s, options.foot_blend_s))
    return _posed(performance, poser, feet, held)


def _step_s(times_s: Array) -> float:
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0


def _length(foot: FootMotion) -> float:
    return foot.sole.ball_ahead_m * float(np.median(foot.ankle_scale))


def _hold(foot: FootMotion, plants: Plants, ground_m: float, times_s: Array, fade_s: float) -> _Held:
    sole = foot.sole
    heading = rotvec_to_quat(plants.yaw[:, None] * _UP)
    ankle = _turned(foot.ankle_xyzw, quat_multiply(heading, sole.ankle_flat_xyzw), plants.flat, times_s, fade_s)
    ankle = _not_through(foot, plants, ankle, times_s, fade_s)
    if sole.carrier == sole.ankle:
        carrier = ankle
    else:
        carrier = _turned(foot.carrier_xyzw, quat_multiply(heading, sole.carrier_flat_xyzw), plants.toe, times_s, fade_s)
        carrier = _toes_not_through(foot, plants, ankle, carrier, times_s, fade_s)
    still = FootMotion(sole, ankle, np.zeros_like(foot.ankle_m), carrier, foot.ankle_scale, foot.carrier_scale).points()
    place = _places(foot, plants, still, ground_m)
    correction = np.where(plants.held[:, None], place - foot.ankle_m, 0.0)
    bridged = _lifted(correction, plants.held, foot.ankle_m[:, 1] + still[..., 1].min(axis=1) - ground_m, times_s, fade_s)
    return _Held(sole, ankle, carrier, foot.ankle_m + bridged, plants.held)


def _turned(before: Array, wanted: Array, fixed: Mask, times_s: Array, fade_s: float) -> Array:
    """World turns (F,4): the wanted where ``fixed``, and elsewhere what they were and a part of the correction."""
    correction = quat_to_rotvec(quat_multiply(wanted, quat_inverse(before)))
    return quat_multiply(rotvec_to_quat(bridge(np.where(fixed[:, None], correction, 0.0), fixed, times_s, fade_s)), before)


def _not_through(foot: FootMotion, plants: Plants, ankle_xyzw: Array, times_s: Array, fade_s: float) -> Array:
    """Level the foot where it stands on its heel with the ball below the ground, or on its toes with the heel below."""
    sole = foot.sole
    scale = float(np.median(foot.ankle_scale))
    rest = quat_apply(sole.ankle_flat_xyzw, sole.ball_m - sole.heel_m) * scale
    along = quat_apply(ankle_xyzw, sole.ball_m - sole.heel_m) * scale
    too_low = (plants.heel & (along[:, 1] < rest[1] - 1e-9)) | (plants.toe & (along[:, 1] > rest[1] + 1e-9))
    if not (too_low & ~plants.flat).any():
        return ankle_xyzw
    level = along * [1, 0, 1]
    flat = level / np.maximum(np.linalg.norm(level, axis=1, keepdims=True), 1e-9) * np.hypot(rest[0], rest[2]) + _UP * rest[1]
    wanted = quat_multiply(quat_between(along, flat), ankle_xyzw)
    keep = plants.flat | too_low
    return _turned(foot.ankle_xyzw, np.where(plants.flat[:, None], ankle_xyzw, wanted), keep, times_s, fade_s)


def _toes_not_through(foot: FootMotion, plants: Plants, ankle_xyzw: Array, carrier_xyzw: Array, times_s: Array, fade_s: float) -> Array:
    """Lift the toes where the foot stands on its heel alone and they would sink in."""
    sole = foot.sole
    height = quat_apply(ankle_xyzw, (sole.ball_m - sole.heel_m) * foot.ankle_scale)[:, 1]
    points = [quat_apply(carrier_xyzw, point * foot.carrier_scale) for point in (sole.tip_m, sole.toe_m)]
    sunk = plants.heel & ~plants.toe & (height + np.minimum(points[0][:, 1], points[1][:, 1]) < 0)
    if not sunk.any():
        return carrier_xyzw
    # The toes' own sole is level where it lies as in a flat foot of the same heading.
    front = quat_apply(carrier_xyzw, quat_apply(quat_inverse(sole.carrier_flat_xyzw), np.array([0.0, 0.0, 1.0])))
    yaw = np.arctan2(front[:, 0], front[:, 2])
    level = quat_multiply(rotvec_to_quat(yaw[:, None] * _UP), sole.carrier_flat_xyzw)
    return _turned(foot.carrier_xyzw, np.where(plants.toe[:, None], carrier_xyzw, level), plants.toe | sunk, times_s, fade_s)


def _places(foot: FootMotion, plants: Plants, still: Array, ground_m: float) -> Array:
    """Where the ankle must be (F,3) for heel or ball to be held; ``still`` (F,4,3) are the points about an ankle at the origin."""
    hung = foot.sole.ball_over_ground_m * float(np.median(foot.ankle_scale))
    ball = np.stack([plants.ball_xz[:, 0], np.full(len(still), ground_m + hung), plants.ball_xz[:, 1]], axis=1) - still[:, 1]
    heel = np.stack([plants.heel_xz[:, 0], np.full(len(still), ground_m), plants.heel_xz[:, 1]], axis=1) - still[:, 0]
    return np.where(plants.toe[:, None], ball, heel)


def _lifted(correction: Array, held: Mask, height: Array, times_s: Array, fade_s: float) -> Array:
    """Bridge the ankle's correction (F,3), higher where the sole, at ``height`` (F,) without it, would sink in."""
    bridged = bridge(correction, held, times_s, fade_s)
    fixed, lift = held.copy(), correction[:, 1:2].copy()
    for _ in range(_ROUNDS):
        sunk = ~fixed & (height + bridged[:, 1] < -_SLACK_M)
        if not sunk.any():
            break
        lift[sunk, 0] = -height[sunk]
        fixed |= sunk
        bridged[:, 1:2] = bridge(lift, fixed, times_s, fade_s)
    return bridged


def _posed(performance: Performance, poser: Poser, feet: list[FootMotion], held: list[_Held]) -> Performance:
    semantic, times_s = performance.rig.skeleton.semantic, performance.times_s
    legs = [[poser.place(semantic[f"{side}_{name}"]) for name in ("hip", "knee", "ankle")] for side in SIDES]
    lift = _pelvis_shift(legs, held, times_s)
    quat = performance.quat_xyzw.copy()
    for side, (hip, knee, ankle), foot, now in zip(SIDES, legs, feet, held, strict=True):
        toward = quat_apply(now.ankle_xyzw, quat_apply(quat_inverse(now.sole.ankle_flat_xyzw), np.array([0.0, 0.0, 1.0])))
        thigh, shank = two_bone(hip + lift, knee + lift, ankle + lift, now.ankle_m, toward)
        turned = {semantic[f"{side}_hip"]: thigh, semantic[f"{side}_knee"]: shank,
                  now.sole.ankle: quat_multiply(now.ankle_xyzw, quat_inverse(foot.ankle_xyzw))}
        if now.sole.carrier != now.sole.ankle:
            turned[now.sole.carrier] = quat_multiply(now.carrier_xyzw, quat_inverse(foot.carrier_xyzw))
        for joint, turn in turned.items():
            quat[:, joint] = _local(poser, joint, turn, turned)
    return performance.with_turns(quat, _raised(performance, poser, lift))


def _local(poser: Poser, joint: int, turn: Array, turned: dict[int, Array]) -> Array:
    """The local turns (F,4) of a joint that turns in the world by ``turn``, while the joints above it turn by theirs."""
    world = quat_multiply(turn, poser.turn(joint))
    parent = poser.parents[joint]
    if parent < 0:
        return world
    above, moved = parent, poser.turn(parent)
    while above >= 0 and above not in turned:
        above = poser.parents[above]
    return quat_multiply(quat_inverse(quat_multiply(turned[above], moved) if above >= 0 else moved), world)


def _pelvis_shift(legs: list[list[Array]], held: list[_Held], times_s: Array) -> Array:
    """How far the pelvis moves (F,3): slowly with what standing feet have in common, and down where a leg would be too short.

    Somebody who slides as a whole is so held as a whole, and the legs need not do it alone.
    """
    step_s = _step_s(times_s)
    sigma = _PELVIS_SIGMA_S / step_s
    weight = np.stack([now.standing for now in held])[..., None] + _SWING_WEIGHT
    moved = np.stack([now.ankle_m - leg[2] for leg, now in zip(legs, held, strict=True)])
    common = scipy.ndimage.gaussian_filter1d((moved * weight).sum(axis=0), sigma, axis=0, mode="nearest")
    shift = common / scipy.ndimage.gaussian_filter1d(weight.sum(axis=0), sigma, axis=0, mode="nearest")
    down = np.zeros(len(times_s))
    for (hip, knee, ankle), now in zip(legs, held, strict=True):
        full = np.linalg.norm(knee - hip, axis=1) + np.linalg.norm(ankle - knee, axis=1)
        reach = np.maximum(SOFT_SHARE * full, np.linalg.norm(ankle - hip, axis=1))
        away = now.ankle_m - hip - shift
        over = -away[:, 1] - np.sqrt(np.maximum(reach**2 - away[:, 0] ** 2 - away[:, 2] ** 2, 0.0))
        down = np.maximum(down, over)
    window = max(1, round(_SINK_S / step_s))
    # The most of a window, then a smooth mean over no more than it: never less than what the legs need.
    sunk = scipy.ndimage.gaussian_filter1d(scipy.ndimage.maximum_filter1d(down, 2 * window + 1), window / 2.5, radius=window)
    return np.asarray(shift - sunk[:, None] * _UP)


def _raised(performance: Performance, poser: Poser, lift_m: Array) -> Array:
    """Local places (F,J,3) with the pelvis, or the root where no pelvis is named, moved by (F,3) in the world."""
    pelvis = performance.rig.skeleton.semantic.get("pelvis", int(np.flatnonzero(performance.rig.joint_parents < 0)[0]))
    translation = performance.translation_m.copy()
    translation[:, pelvis] = poser.in_parent(pelvis, poser.place(pelvis) + lift_m)
    return translation
