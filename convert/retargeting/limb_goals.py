"""Where hips, feet and hands of another body belong, and limbs that are bent to get there.

With ρ the ratio of the leg lengths: the hips' middle follows ρ times the source's, raised by what the soles differ and settled
for the whole clip so that standing legs are as straight as the source's at the median; nearly straight ones move them, see
`leg_slack`. A foot keeps its direction. Lying flat, its ankle is over ρ times the source's; tipped, it turns about its ball as
the source's does about its own, and the lower of heel and ball is as high as ρ times theirs: a sole that stands, rolls or
hovers does so on both.
"""

from __future__ import annotations

import numpy as np
import scipy  # ndimage is loaded when it is first used: it takes a fifth of a second
from numpy.typing import NDArray

from ...motion.rotations import quat_apply
from .figure import ARM, LEG, Figure
from .leg_slack import hips_give
from .limb_frames import SIDES
from .limb_solve import reach_for

Array = NDArray[np.float64]
Turns = dict[str, Array]

_ALONG, _UP = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
# Heel and ball share a sole's height where they are nearer to level than this share of the leg: no kink as the foot rolls.
_ROLL_SHARE = 0.01
# A leg stands whose ankle is this much of its length below its hip.
_STANDING = 0.8
# Legs as raised as to the first of these, again as a share, have no say in how high the hips are; from the second on they have.
_RAISED, _UPRIGHT = 0.5, 0.7
# A leg may be straighter than this only where it lacks no less than a share of what the source's lacks: knees that are all
# but straight jump for the least step. Else the hips sink, by no more than a share of the legs, over a time to either side.
_STRAIGHT, _STRAIGHTER, _MOST_SINK, _SINK_S = 0.98, 0.05, 0.05, 0.2


def leg_ratio(source: Figure, target: Figure) -> float:
    """Length of the target's legs over the source's."""
    return target.limb_m(LEG) / source.limb_m(LEG)


def ankle_goals(source: Figure, target: Figure, turns: Turns, side: str) -> Array:
    """Where the target's ankle belongs (F,3) so that its sole stands as the source's does."""
    ratio, foot, ankle = leg_ratio(source, target), turns[f"{side}_ankle"], source.place(f"{side}_ankle")
    ours, theirs = (quat_apply(foot[:, None], figure.sole_m(side)) for figure in (target, source))
    longer = target.sole_m(side)[1, 0] - ratio * source.sole_m(side)[1, 0]
    goal = ratio * (ankle + theirs[:, 1]) - ours[:, 1] + longer * _heading(foot)
    roll_m = _ROLL_SHARE * target.limb_m(LEG)
    goal[:, 1] = ratio * ankle[:, 1] + _lower(ratio * theirs[..., 1], roll_m) - _lower(ours[..., 1], roll_m)
    return np.asarray(goal)


def _heading(foot_xyzw: Array) -> Array:
    """Where feet point over the ground (F,3), unit; their instep helps where they point down."""
    front = quat_apply(foot_xyzw, _ALONG + 0.5 * _UP) * (1.0 - _UP)
    return np.asarray(front / np.maximum(np.linalg.norm(front, axis=-1, keepdims=True), 1e-9))


def _lower(heights_m: Array, roll_m: float) -> Array:
    """The lower of two heights (F,2), smoothly."""
    return np.asarray((heights_m.sum(-1) - np.hypot(heights_m[:, 0] - heights_m[:, 1], roll_m)) / 2)


def hips_goals(source: Figure, target: Figure) -> Array:
    """Where the middle of the target's hips belongs (F,3)."""
    ratio = leg_ratio(source, target)
    sole = np.mean([ratio * source.sole_m(side)[0, 1] - target.sole_m(side)[0, 1] for side in SIDES])
    return np.asarray(ratio * source.hips_m() + [0.0, sole, 0.0])


def solve_legs(source: Figure, target: Figure, turns: Turns, weight: float, times_s: Array) -> tuple[Turns, Array]:
    """Bend the target's legs to its feet's goals; return their turns, and the hips' middle (F,3), sunk where legs are too short."""
    hips, goals = hips_goals(source, target), dict[str, Array]()
    for side in SIDES:
        hip = hips + target.from_pelvis(target.rest(f"{side}_hip") - target.hips_rest_m(), turns["pelvis"])
        goals[side] = _blend(target, turns, side, LEG, ankle_goals(source, target, turns, side) - hip, weight)
    sink = weight * _sink(source, target, goals, times_s)
    hips[:, 1] -= sink
    solved: Turns = {}
    for side in SIDES:
        solved |= _solved(target, turns, side, LEG, goals[side] + sink[:, None] * _UP)
    return solved, hips


def solve_arms(source: Figure, target: Figure, turns: Turns, weight: float, from_hips_m: Array | None) -> Turns:
    """Bend the target's arms to its hands' goals, measured from the shoulder, or from the target's hips (F,3) where given."""
    solved: Turns = {}
    for side in SIDES:
        wrist, shoulder = source.place(f"{side}_wrist"), source.place(f"{side}_shoulder")
        goal = target.limb_m(ARM) / source.limb_m(ARM) * (wrist - shoulder)
        if from_hips_m is not None:
            goal = from_hips_m + leg_ratio(source, target) * (wrist - source.hips_m()) - target.place(f"{side}_shoulder")
        solved |= _solved(target, turns, side, ARM, _blend(target, turns, side, ARM, goal, weight))
    return solved


def _blend(target: Figure, turns: Turns, side: str, limb: tuple[str, str, str], goal_m: Array, weight: float) -> Array:
    """A goal (F,3) from the limb's start, drawn back toward where the limb ends as it is."""
    ends = [quat_apply(turns[f"{side}_{name}"], _ALONG) * length for name, length in zip(limb, target.bones_m(side, limb))]
    return np.asarray(weight * goal_m + (1.0 - weight) * sum(ends))


def _solved(target: Figure, turns: Turns, side: str, limb: tuple[str, str, str], goal_m: Array) -> Turns:
    near, far = (f"{side}_{name}" for name in limb[:2])
    return dict(zip((near, far), reach_for(turns[near], turns[far], target.bones_m(side, limb), goal_m)))


def _sink(source: Figure, target: Figure, goals: dict[str, Array], times_s: Array) -> Array:
    """How far the hips sink (F,) below their goal for the legs' sake.

    By what legs differ over the clip, by what nearly straight ones lack, and where two that ask otherwise leave one too short.
    """
    straight = np.stack([_straightness(source, side) for side in SIDES], axis=-1)
    lengths = np.array([sum(target.bones_m(side, LEG)) for side in SIDES])
    down = np.stack([goals[side] for side in SIDES], axis=1)  # (F,2,3)
    alike = _lowering(down, lengths * straight)
    upright = -down[..., 1] / lengths
    settled = float(np.median(alike[upright > _STANDING])) if (upright > _STANDING).any() else 0.0
    slack = settled - _lowering(down, lengths)
    lacking = _ramp((upright - _RAISED) / (_UPRIGHT - _RAISED)) * (alike - settled)
    level = settled + hips_give(slack + lacking, slack, times_s)
    most = 1.0 - _STRAIGHTER * (1.0 - straight)
    short = _lowering(down + (level[:, None] * _UP)[:, None], lengths * np.maximum(most, _STRAIGHT)).max(axis=-1)
    return level + _eased(np.clip(short, 0.0, _MOST_SINK * lengths.mean()), times_s)


def _ramp(share: Array) -> Array:
    """0 to 0, 1 from 1 on, smoothly between."""
    inside = np.clip(share, 0.0, 1.0)
    return np.asarray(inside * inside * (3.0 - 2.0 * inside))


def _straightness(source: Figure, side: str) -> Array:
    """How much of a leg's length (F,) lies between its hip and its ankle, 0 … 1."""
    hip, knee, ankle = (source.place(f"{side}_{name}") for name in LEG)
    length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    return np.asarray(np.linalg.norm(ankle - hip, axis=-1) / np.maximum(length, 1e-9))


def _lowering(ankles_m: Array, reach_m: Array) -> Array:
    """How far hips must come down (F,2) for ankles (F,2,3), seen from them, to be ``reach_m`` (F,2) away; 0 for raised legs."""
    square = reach_m**2 - np.sum(ankles_m[..., [0, 2]] ** 2, axis=-1)
    return np.where((square > 0) & (ankles_m[..., 1] < 0), -ankles_m[..., 1] - np.sqrt(np.maximum(square, 0.0)), 0.0)


def _eased(sink_m: Array, times_s: Array) -> Array:
    """Smooth over time, and never less than it was."""
    if len(times_s) < 3 or not (sink_m > 1e-9).any():
        return sink_m
    window = max(1, round(_SINK_S / float(np.median(np.diff(times_s)))))
    return np.asarray(scipy.ndimage.gaussian_filter1d(scipy.ndimage.maximum_filter1d(sink_m, 2 * window + 1), window / 2.5, radius=window))
