"""One person's motion carried onto another rig: same directions and twists in the world, feet and hands where they belong.

Every part of the body has a frame at rest that means the same on both rigs (`limb_frames`). Turned as the source turned,
it is what the target's part must show: ``R_target = R_source · R_source_restᵀ · C_source · C_targetᵀ · R_target_rest``.
The hips follow the source's path, scaled by the length of the legs; then each leg is bent so that the sole stands where
the source's stood, scaled alike, and each arm so that the hand is as far from the shoulder as the arm's length tells.
Bones keep the target's lengths. Where nothing is clamped (no leg is too short, no knee bent backward) the way back undoes
the way there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..motion.rig import Rig
from ..motion.rotations import quat_apply, quat_inverse, quat_multiply, quat_slerp, quat_to_rotvec
from .performance import Performance
from .retargeting.figure import Figure
from .retargeting.limb_frames import SIDES
from .retargeting.limb_goals import Turns, solve_arms, solve_legs
from .retargeting.limb_solve import hinged
from .retargeting.poser import Poser
from .retargeting.turn_spread import share_bends, share_twists

Array = NDArray[np.float64]

_SPINE = ("spine_1", "spine_2", "spine_3")
_LIMBS = tuple((f"{side}_{near}", f"{side}_{far}") for side in SIDES for near, far in (("shoulder", "elbow"), ("hip", "knee")))
NEEDED = ("pelvis", *(f"{side}_{name}" for side in SIDES for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")))
# Helper joints of two rigs that share their names share their axes too where they rest as nearly alike as this.
_ALIKE_RAD = np.radians(5)


@dataclass(frozen=True)
class RetargetOptions:
    """How motion is carried onto another skeleton."""

    feet: float = 1.0
    """How firmly feet stand where the source's stood, scaled by leg length: 1 exactly, 0 keeps the legs' directions as they are."""
    hands: float = 1.0
    """How firmly hands stay where the source's were, scaled: 1 exactly, 0 keeps the arms' directions as they are."""
    hands_from: Literal["shoulder", "hips"] = "shoulder"
    """Where hands are measured from: the shoulder, scaled by arm length, or the hips, scaled by leg length as the feet are."""
    limits: bool = True
    """Knees and elbows never bend backward."""
    twist: float = 1.0
    """How much of the limbs' twist is spread over the joints that a rig has for it, from 0 to 1."""

    def __post_init__(self) -> None:
        for name in ("feet", "hands", "twist"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingsError(f"{name}: found {getattr(self, name)}, expected 0 to 1")
        if self.hands_from not in ("shoulder", "hips"):
            raise SettingsError(f"hands-from: found {self.hands_from!r}, expected shoulder or hips")


def retarget(performance: Performance, rig: Rig, options: RetargetOptions | None = None) -> Performance:
    """Return the person of ``performance`` on another ``rig``, over the same frames.

    Joints without a partner rest on the joint above them and count as not known; so does the ``root`` above the pelvis,
    which stays where it rests. Raises `SettingsError` where a skeleton does not name the joints that a body needs.
    """
    options = options or RetargetOptions()
    shared = _shared_names(performance.rig, rig)
    source = Figure(performance.rig, _posed(performance), shared, moving=True)
    target = Figure(rig, Poser(rig.skeleton), shared, moving=False)
    leaders = _copy_like_named(performance, source, target)
    turns = _turns(source, target)
    if options.limits:
        turns |= {far: hinged(turns[near], turns[far]) for near, far in _LIMBS}
    legs, hips = solve_legs(source, target, turns, options.feet, performance.times_s)
    turns |= legs
    for name, turn in turns.items():
        target.turn_part(name, turn)
    _place_pelvis(target, hips)
    helpers = _bend_trunk(target)
    turns |= solve_arms(source, target, turns, options.hands, hips if options.hands_from == "hips" else None)
    for near, far in _LIMBS:
        target.turn_part(near, turns[near])
        target.turn_part(far, turns[far])
    helpers |= _turn_toes(target) | share_twists(target.poser, rig.joint_names, rig.skeleton.semantic, options.twist)
    return _performance(performance, target, _known(performance, target, list(turns), leaders, helpers))


def _shared_names(source: Rig, target: Rig) -> set[str]:
    """What joints mean that both rigs name. Raises `SettingsError` where either lacks what a body needs."""
    for rig in (source, target):
        missing = [name for name in NEEDED if name not in rig.skeleton.semantic]
        if not any(name in rig.skeleton.semantic for name in _SPINE):
            missing.append("spine_1")
        if missing:
            raise SettingsError(f"rig {rig.name}: found no joint for {', '.join(missing)}, expected one for each; "
                                "write a map of its joints with rigdrop map init, and fill it in")
    return (set(source.skeleton.semantic) & set(target.skeleton.semantic)) - {"root"}


def _posed(performance: Performance) -> Poser:
    return Poser.of_motion(performance.rig.skeleton, performance.quat_xyzw, performance.translation_m, performance.scale)


def _turns(source: Figure, target: Figure) -> Turns:
    """World turns (F,4) of the frames of all parts that the target has and the source tells of."""
    turns = {name: source.part_turn(name) for name in source.parts}
    spine, wanted = ([name for name in _SPINE if name in figure.rig.skeleton.semantic] for figure in (source, target))
    if spine != wanted:
        turns |= _spread_spine([turns[name] for name in ("pelvis", *spine)], wanted)
    if "neck" not in turns and "head" in turns:
        turns["neck"] = quat_slerp(turns[(wanted if spine != wanted else spine)[-1]], turns["head"], np.asarray(0.5))
    return {name: turn for name, turn in turns.items() if name in target.parts}


def _spread_spine(knots: list[Array], wanted: list[str]) -> Turns:
    """Turns of a spine's joints from those of another with more or fewer, the pelvis' first: the uppermost turns as it did."""
    spread = {}
    for number, name in enumerate(wanted, start=1):
        at = number / len(wanted) * (len(knots) - 1)
        below = min(int(at + 1e-9), len(knots) - 2)
        spread[name] = quat_slerp(knots[below], knots[below + 1], np.asarray(at - below))
    return spread


def _copy_like_named(performance: Performance, source: Figure, target: Figure) -> dict[int, int]:
    """Pose joints without a meaning that both rigs have by name as the source's turn from rest; return theirs and the source's.

    Their parents bear the same names too, and they rest alike on them.
    """
    index = {name: joint for joint, name in enumerate(source.rig.joint_names)}
    driven = {target.joint(name) for name in target.parts}
    joint = target.joint("pelvis")
    # What carries the pelvis stays, and so does what carries the hips, on which the feet's goals count.
    held = {between for side in SIDES for between in target.poser.between(joint, target.joint(f"{side}_hip"))}
    while joint >= 0:
        held.add(joint)
        joint = target.poser.parents[joint]
    copied = {}
    for joint, name in enumerate(target.rig.joint_names):
        like = index.get(name, -1)
        if joint in driven | held or like < 0 or _parent_name(source, like) != _parent_name(target, joint):
            continue
        theirs, ours = source.poser.rest_xyzw[like], target.poser.rest_xyzw[joint]
        if np.linalg.norm(quat_to_rotvec(quat_multiply(quat_inverse(theirs), ours))) < _ALIKE_RAD:
            away = quat_multiply(quat_inverse(theirs), performance.quat_xyzw[:, like])
            target.poser.local_xyzw[joint] = quat_multiply(ours, away)
            copied[joint] = like
    return copied


def _parent_name(figure: Figure, joint: int) -> str:
    parent = figure.poser.parents[joint]
    return "" if parent < 0 else figure.rig.joint_names[parent]


def _place_pelvis(target: Figure, hips_m: Array) -> None:
    """Put the pelvis where the hips' middle (F,3) wants it; what is above it rests."""
    poser, pelvis = target.poser, target.joint("pelvis")
    place = hips_m + quat_apply(poser.turned(pelvis), target.rest("pelvis") - target.hips_rest_m())
    poser.local_m[pelvis] = poser.in_parent(pelvis, place)


def _bend_trunk(target: Figure) -> dict[int, int]:
    semantic, helpers = target.rig.skeleton.semantic, dict[int, int]()
    for chain in (_SPINE, ("neck", "head")):
        joints = [semantic[name] for name in chain if name in target.parts]
        for above, below in pairwise(joints):
            helpers |= share_bends(target.poser, above, below)
    return helpers


def _turn_toes(target: Figure) -> dict[int, int]:
    """Turn toes that hang beside the one that is named the ball of the foot as it turns."""
    poser, followers = target.poser, dict[int, int]()
    known = set(target.rig.skeleton.semantic.values())
    for ball in (target.joint(f"{side}_foot") for side in SIDES if f"{side}_foot" in target.parts):
        for joint, parent in enumerate(poser.parents):
            if parent == poser.parents[ball] and joint not in known and joint not in poser.local_xyzw:
                poser.turn_to(joint, quat_multiply(poser.turned(ball), poser.turn_rest_xyzw[joint]))
                followers[joint] = ball
    return followers


def _known(
    performance: Performance, target: Figure, parts: list[str], copied: dict[int, int], helpers: dict[int, int]
) -> NDArray[np.bool_]:
    """Which joints' turns (F,J) go back to something that was measured."""
    known = np.zeros((performance.frame_count, len(target.rig.joint_names)), dtype=bool)
    theirs = performance.rig.skeleton.semantic
    for name in parts:
        known[:, target.joint(name)] = performance.known[:, theirs.get(name, theirs["pelvis"])]
    for joint, like in copied.items():
        known[:, joint] = performance.known[:, like]
    for joint, leader in helpers.items():
        known[:, joint] = known[:, leader]
    return known


def _performance(performance: Performance, target: Figure, known: NDArray[np.bool_]) -> Performance:
    frames, poser, pelvis = performance.frame_count, target.poser, target.joint("pelvis")
    translation = np.tile(poser.rest_m, (frames, 1, 1))
    translation[:, pelvis] = poser.local_m[pelvis]
    unscaled = bool(np.allclose(poser.rest_scale, 1.0, atol=1e-9))
    scale = None if unscaled else np.tile(poser.rest_scale, (frames, 1))
    return Performance(target.rig, performance.times_s, poser.locals(frames), translation, performance.visible, performance.confidence,
                       known, scale)
