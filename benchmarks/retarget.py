"""Carries motion from every rig to every other and measures what was kept: hands, feet, joint angles, contacts, bones, the way back.

    python -m benchmarks.retarget [--mhr DIR]

The motions are the demo's own: a walk, a turn on the spot, sitting down to the heels and coming up, reaching for a shelf,
and hands that turn and close. Each is performed by the source rig's own body. "child" is Unreal's rig on a child's body.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigdrop.convert.body import BODY_JOINTS, BODY_PARENTS, Body
from rigdrop.convert.performance import Performance
from rigdrop.convert.retarget import RetargetOptions, retarget
from rigdrop.convert.rigs.body_options import BodyOptions
from rigdrop.convert.rigs.registry import load_rig
from rigdrop.motion.metrics import bone_drift
from rigdrop.motion.rig import Rig
from rigdrop.motion.rotations import matrix_to_quat, quat_inverse, quat_multiply, quat_to_rotvec
from rigdrop.render.key_pose import Arm, Pose
from rigdrop.render.moves import MOVES
from rigdrop.render.performance import Style, perform
from rigdrop.render.score import Score

from .kept import tell
from .table import Figure, limits_table, shown, table

Array = NDArray[np.float64]

RIGS = ("unreal", "child", "ue5", "mixamo", "vrm", "anny", "smplx", "smplh", "mhr")
MOTIONS = ("walk", "turn", "sit", "reach", "hands")
_FPS = 30.0
_LONG = 10_000
# A sole's point that truly stands moves less than 10 mm a frame at 30 frames a second; it is on the ground within 2 cm.
_STILL_M, _LOW_M = 0.010, 0.02
_AS_IS = RetargetOptions(feet=0.0, hands=0.0)


@dataclass(frozen=True)
class Kept:
    """What one retargeting kept, of one motion from one rig to another."""

    wrist: float  # mean distance of wrists from where they belong, seen from the shoulder, as a share of the arm
    ankle: float  # of ankles, in the world, as a share of the leg
    angle: float  # mean error of the bend of elbows, knees and knuckles, degrees
    turn: float  # mean error of the turns of the body's joints, each against the one above it, away from a T-pose, degrees
    right: int  # contacts of the source that the target keeps
    found: int  # contacts of the target
    true: int  # contacts of the source
    drift: float  # greatest change of a bone's length, as a share of it
    back: float  # greatest turn between source and source → target → source over all shared joints, degrees
    back_mean: float
    back_as_is: float  # the same without the solve


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mhr", type=Path, default=None, help="MHR's asset folder")
    mhr = parser.parse_args().mhr
    rigs = {name: load_rig(name, mhr_folder=mhr) for name in RIGS if name != "child"}
    rigs["child"] = replace(load_rig("unreal", BodyOptions(age=0.33)), name="child")
    kept = {(source, target, motion): _measure(rigs[source], rigs[target], motion)
            for source in RIGS for target in RIGS for motion in MOTIONS}
    seconds = _time(rigs)
    print("\n\n".join([_limits(list(kept.values()), seconds), _by_motion(kept), _by_pair(kept)]))


def _score(motion: str) -> Score:
    score, rng = Score(), np.random.default_rng(3)
    if motion != "hands":
        MOVES[{"walk": "walk", "turn": "turn", "sit": "squat", "reach": "shelf"}[motion]](score, rng)
        return score
    for curl, twist in ((0.0, 0.8), (1.0, -0.8), (0.2, 0.0)):
        arm = Arm(upper=(0.4, -0.5, 0.6), fold=(-0.3, 1.0, 0.4), flexion=1.2, twist=twist, wrist=0.3 * twist, curl=curl, swing=0.0)
        score.to(Pose(left=arm, right=replace(arm, curl=1.0 - curl)), 0.7)
    return score


@cache
def _performed(rig: Rig, motion: str) -> Performance:
    """A motion by a rig's own body."""
    score, body = _score(motion), Body.of(rig)
    times_s = np.arange(0.0, score.now_s, 1.0 / _FPS)
    played = perform(score, body, 0.4, Style(), times_s)
    moved = body.to_motion(played.quat_xyzw, played.root_m, np.ones(len(times_s), bool), np.ones(len(times_s)), played.fingers_xyzw)
    return Performance.of_motion(rig, times_s, moved)


def _measure(source: Rig, target: Rig, motion: str) -> Kept:
    tell(f"{source.name} to {target.name}: {motion}")
    was = _performed(source, motion)
    now = retarget(was, target)
    back, as_is = retarget(now, source), retarget(retarget(was, target, _AS_IS), source, _AS_IS)
    there, again, free = (_turns(performance, source, target) for performance in (was, back, as_is))
    true, found = _stands(was), _stands(now)
    apart = _degrees(there, again)
    return Kept(
        wrist=_wrists_off(was, now), ankle=_ankles_off(was, now), angle=_angle_error(was, now),
        turn=float(_degrees(_from_t_pose(was), _from_t_pose(now)).mean()), right=int((true & found).sum()), found=int(found.sum()),
        true=int(true.sum()), drift=_drift(now), back=float(apart.max()), back_mean=float(apart.mean()),
        back_as_is=float(_degrees(there, free).max()),
    )


def _place(performance: Performance, name: str) -> Array:
    return np.asarray(performance.joints_m[:, performance.rig.skeleton.semantic[name]])


def _limb(performance: Performance, side: str, names: tuple[str, str, str]) -> float:
    places = [_place(performance, f"{side}_{name}")[0] for name in names]
    return float(np.linalg.norm(places[1] - places[0]) + np.linalg.norm(places[2] - places[1]))


def _wrists_off(was: Performance, now: Performance) -> float:
    def reach(performance: Performance, side: str) -> Array:
        way = _place(performance, f"{side}_wrist") - _place(performance, f"{side}_shoulder")
        return way / _limb(performance, side, ("shoulder", "elbow", "wrist"))

    return float(np.mean([np.linalg.norm(reach(now, side) - reach(was, side), axis=-1) for side in ("left", "right")]))


def _ankles_off(was: Performance, now: Performance) -> float:
    """How far ankles are from where they belong in the world, heights from where they are on a flat sole, over the leg's length."""

    def way(performance: Performance, side: str) -> Array:
        sole = performance.rig.bind_world[performance.rig.skeleton.semantic[f"{side}_ankle"], 1, 3]
        legs = np.mean([_limb(performance, each, ("hip", "knee", "ankle")) for each in ("left", "right")])
        return (_place(performance, f"{side}_ankle") - [0.0, sole, 0.0]) / legs

    return float(np.mean([np.linalg.norm(way(now, side) - way(was, side), axis=-1) for side in ("left", "right")]))


def _bends(performance: Performance) -> Array:
    """Angles (F,8) between the bones at elbows, knees and two knuckles of each hand, degrees."""
    chains = [("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"), ("index_mcp", "index_pip", "index_dip"),
              ("ring_mcp", "ring_pip", "ring_dip")]
    angles = []
    for side in ("left", "right"):
        for chain in chains:
            first, middle, last = (_place(performance, f"{side}_{name}") for name in chain)
            near, far = middle - first, last - middle
            angles.append(np.degrees(np.arctan2(np.linalg.norm(np.cross(near, far), axis=-1), np.sum(near * far, axis=-1))))
    return np.stack(angles, axis=-1)


def _angle_error(was: Performance, now: Performance) -> float:
    return float(np.abs(_bends(now) - _bends(was)).mean())


def _from_t_pose(performance: Performance) -> Array:
    """Turns (F,22,4) of the joints that every body has, away from a T-pose: as `Body` tells them, which no retargeting looks at."""
    body = Body.of(performance.rig)
    T_pose = body.R_canonical_rest @ body.T_world_rest[body.joint_index][:, :3, :3]
    world = matrix_to_quat(_rotations(performance)[:, body.joint_index] @ np.swapaxes(T_pose, -1, -2))
    below = np.flatnonzero(BODY_PARENTS >= 0)
    turns = world.copy()
    turns[:, below] = quat_multiply(quat_inverse(world[:, BODY_PARENTS[below]]), world[:, below])
    return turns


def _rotations(performance: Performance) -> Array:
    """World rotations (F,J,3,3) of joints, freed from scale."""
    rotations = performance.T_world_joint[..., :3, :3]
    return np.asarray(rotations / np.cbrt(np.linalg.det(rotations))[..., None, None])


def _turns(performance: Performance, source: Rig, target: Rig) -> Array:
    """Turns (F,N,4) of the joints that both rigs name, each against the one above it in the body."""
    semantic = performance.rig.skeleton.semantic
    shared = [name for name in source.skeleton.semantic if name in target.skeleton.semantic and name != "root"]
    world = matrix_to_quat(_rotations(performance))
    above = [_above(performance.rig, name) for name in shared]
    own = world[:, [semantic[name] for name in shared]]
    return quat_multiply(quat_inverse(np.where(np.array(above)[:, None] >= 0, world[:, above], [0.0, 0.0, 0.0, 1.0])), own)


def _above(rig: Rig, name: str) -> int:
    if name in BODY_JOINTS:
        parent = BODY_PARENTS[BODY_JOINTS.index(name)]
        return rig.skeleton.semantic[BODY_JOINTS[parent]] if parent >= 0 else -1
    return int(rig.joint_parents[rig.skeleton.semantic[name]])


def _degrees(first: Array, second: Array) -> Array:
    return np.asarray(np.degrees(np.linalg.norm(quat_to_rotvec(quat_multiply(quat_inverse(first), second)), axis=-1)))


def _stands(performance: Performance) -> NDArray[np.bool_]:
    """Which of the soles' points (F-1,4) stand still on the ground from one frame to the next."""
    body = Body.of(performance.rig)
    joints, offsets = body.sole_points
    points = []
    for joint, offset in zip(joints, offsets, strict=True):
        T_world_joint = performance.T_world_joint[:, body.joint_index[joint]]
        at_rest = body.T_world_rest[body.joint_index[joint], :3, :3].T @ body.R_canonical_rest[joint].T @ offset
        points.append(T_world_joint[:, :3, 3] + T_world_joint[:, :3, :3] @ at_rest)
    places = np.stack(points, axis=1)
    still = np.linalg.norm(np.diff(places, axis=0), axis=-1) < _STILL_M
    return np.asarray(still & (np.abs(places[1:, :, 1]) < _LOW_M))


def _drift(performance: Performance) -> float:
    pelvis = performance.rig.skeleton.semantic["pelvis"]
    parents = np.where(np.arange(len(performance.rig.joint_parents)) == pelvis, -1, performance.rig.joint_parents)
    return bone_drift(performance.joints_m, parents)


def _time(rigs: dict[str, Rig]) -> float:
    """Seconds to carry 10,000 frames from SMPL-X to Unreal, the best of three."""
    was = _performed(rigs["smplx"], "walk")
    rows = np.arange(_LONG) % was.frame_count
    long = replace(was, times_s=np.arange(_LONG) / _FPS, quat_xyzw=was.quat_xyzw[rows], translation_m=was.translation_m[rows],
                   visible=was.visible[rows], confidence=was.confidence[rows], known=was.known[rows],
                   scale=None if was.scale is None else was.scale[rows])

    def once() -> float:
        start = time.perf_counter()
        retarget(long, rigs["unreal"])
        return time.perf_counter() - start

    return min(once() for _ in range(3))


def _over(kept: list[Kept], value: Callable[[Kept], float], how: Callable[[list[float]], float] = max) -> float:
    return how([value(one) for one in kept])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _precision(kept: list[Kept]) -> float:
    return sum(one.right for one in kept) / max(sum(one.found for one in kept), 1)


def _recall(kept: list[Kept]) -> float:
    return sum(one.right for one in kept) / max(sum(one.true for one in kept), 1)


def _limits(kept: list[Kept], seconds: float) -> str:
    return limits_table([
        Figure("bone drift, most, share of the bone", _over(kept, lambda one: one.drift), 1e-6, "", 7),
        Figure("there and back, directions only, worst joint and frame", _over(kept, lambda one: one.back_as_is), 1.0, "°", 2),
        Figure("there and back, solved, mean", _over(kept, lambda one: one.back_mean, _mean), 1.0, "°", 3),
        Figure("there and back, solved, pairs and motions within 1° at every joint and frame",
               100 * _over(kept, lambda one: one.back <= 1.0, _mean), 100.0, "%", 1, at_least=True),
        Figure("there and back, solved, worst joint and frame", _over(kept, lambda one: one.back), 1.0, "°", 2),
        Figure(f"{_LONG:,} frames, SMPL-X to Unreal, one core", seconds, 1.5, "s", 2),
    ])


_COLUMNS = ("wrist, % of the arm", "ankle, % of the leg", "bends, °", "turns, °", "contact precision", "recall", "bone drift",
            "back, °, mean", "most", "unsolved")


def _cells(kept: list[Kept]) -> list[str]:
    figures = (
        (100 * _over(kept, lambda one: one.wrist, _mean), 2), (100 * _over(kept, lambda one: one.ankle, _mean), 2),
        (_over(kept, lambda one: one.angle, _mean), 2), (_over(kept, lambda one: one.turn, _mean), 2), (_precision(kept), 3),
        (_recall(kept), 3), (_over(kept, lambda one: one.drift), 7), (_over(kept, lambda one: one.back_mean, _mean), 3),
        (_over(kept, lambda one: one.back), 2), (_over(kept, lambda one: one.back_as_is), 2),
    )
    return [shown(value, digits) for value, digits in figures]


def _by_motion(kept: dict[tuple[str, str, str], Kept]) -> str:
    rows = [(motion, *_cells([one for (_, _, each), one in kept.items() if each == motion])) for motion in MOTIONS]
    return table(("motion, all pairs", *_COLUMNS), rows)


def _by_pair(kept: dict[tuple[str, str, str], Kept]) -> str:
    rows = [(f"{source} → {target}", *_cells([one for (first, second, _), one in kept.items() if (first, second) == (source, target)]))
            for source in RIGS for target in RIGS if source != target]
    return table(("rigs, all motions", *_COLUMNS), rows)


if __name__ == "__main__":
    main()
