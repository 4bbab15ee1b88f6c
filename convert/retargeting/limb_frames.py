"""A frame for every part of a resting body that means the same on any skeleton, whatever pose that skeleton rests in.

Two skeletons pose a part alike when these frames, turned as the parts have turned, agree in the world: the same direction
of the limb and the same twist about it. Frames are rotations (3,3) whose first column points along the limb, the second
to where it folds, the third along its hinge:

- upper arms and thighs, forearms and shanks: along the bone; the hinge is square to both bones where the rest pose bends
  them, else what a T-pose has (elbows fold to the front, knees to the back), brought the short way to where the bone rests;
- hands: from the wrist to the middle of the knuckles, across them toward the thumb's side;
- feet and toes: level from the ankle to the ball, then up, so that a flat sole is flat on every skeleton;
- fingers: along the bone, across the hand; thumbs: along the bone, square to the hand;
- pelvis, spine, neck, head and clavicles: the trunk's left, up and front. How their joints lie to each other says more of
  where a skeleton puts them than of how the body bends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_apply, quat_between

Array = NDArray[np.float64]

SIDES = ("left", "right")
FINGERS = {"thumb": ("cmc", "mcp", "ip"), **dict.fromkeys(("index", "middle", "ring", "pinky"), ("mcp", "pip", "dip"))}
TRUNK = ("pelvis", "spine_1", "spine_2", "spine_3", "neck", "head", "left_clavicle", "right_clavicle")
# A trunk that rests nearer to upright than this is upright: skeletons differ by so much in where they put its joints.
_UPRIGHT_RAD = np.radians(20)
# Between these bends of an elbow or knee at rest its hinge comes to be believed.
_STRAIGHT_RAD, _BENT_RAD = np.radians(8), np.radians(20)
# A foot that points down more steeply than this at rest stands on nothing.
_STEEPEST_RAD = np.radians(65)


def rest_frames(place_m: Mapping[str, Array], shared: Collection[str]) -> dict[str, Array]:
    """Return each part's frame (3,3) in the world at rest from the places (3,) of a skeleton's joints by meaning.

    But for the trunk's, only joints named in ``shared`` have one and are looked at, so that two skeletons whose joints differ
    give frames that agree. Both sides' shoulders, elbows, wrists, hips, knees and ankles must be among them.
    """
    place = {name: np.asarray(place_m[name], dtype=np.float64) for name in shared if name in place_m}
    trunk = _trunk(place)
    frames = {name: trunk for name in TRUNK if name in place_m}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm, leg = (f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"), (f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        upper, fore = _limb([place[name] for name in arm], trunk @ [sign, 0.0, 0.0], trunk @ [0.0, 0.0, 1.0])
        thigh, shank = _limb([place[name] for name in leg], trunk @ [0.0, -1.0, 0.0], trunk @ [0.0, 0.0, -1.0])
        hand, foot = _hand(place, side, fore), _foot(place, side, trunk)
        frames |= {arm[0]: upper, arm[1]: fore, arm[2]: hand, leg[0]: thigh, leg[1]: shank, leg[2]: foot}
        frames |= {name: foot for name in (f"{side}_foot",) if name in place}
        frames |= _fingers(place, side, hand)
    return frames


def _unit(vector: Array) -> Array:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _frame(along: Array, fold: Array) -> Array:
    """Columns: ``along``, what of ``fold`` is square to it, and their cross product."""
    first = _unit(along)
    second = _unit(fold - first * (first @ fold))
    return np.stack([first, second, np.cross(first, second)], axis=1)


def _trunk(place: Mapping[str, Array]) -> Array:
    """The body's left, up and front; the world's own where the body is nearly upright and faces +Z."""
    hips, shoulders = ([place[f"{side}_{name}"] for side in SIDES] for name in ("hip", "shoulder"))
    left = hips[0] - hips[1] + shoulders[0] - shoulders[1]
    up = shoulders[0] + shoulders[1] - hips[0] - hips[1]
    trunk = _frame(up, left)[:, [1, 0, 2]] * [1.0, 1.0, -1.0]
    angle = np.arccos(np.clip((np.trace(trunk) - 1) / 2, -1, 1))
    return np.eye(3) if angle < _UPRIGHT_RAD else trunk


def _limb(joints: list[Array], along: Array, fold: Array) -> tuple[Array, Array]:
    """Frames of a limb's two bones from its three joints; ``along`` and ``fold`` are what a T-pose has."""
    near, far = _unit(joints[1] - joints[0]), _unit(joints[2] - joints[1])
    straight = quat_apply(quat_between(along, near), fold)
    bend = np.arctan2(np.linalg.norm(np.cross(near, far)), near @ far)
    share = np.clip((bend - _STRAIGHT_RAD) / (_BENT_RAD - _STRAIGHT_RAD), 0.0, 1.0)
    to = straight * (1 - share) + _unit(far - near * (near @ far)) * share
    first = _frame(near, to)
    return first, _frame(far, np.cross(first[:, 2], far))


def _hand(place: Mapping[str, Array], side: str, fore: Array) -> Array:
    """The hand's frame; where fewer than two fingers are known, the forearm's."""
    knuckles = [place[f"{side}_{finger}_mcp"] for finger in list(FINGERS)[1:] if f"{side}_{finger}_mcp" in place]
    if len(knuckles) < 2:
        return fore
    return _frame(np.mean(knuckles, axis=0) - place[f"{side}_wrist"], knuckles[0] - knuckles[-1])


def _foot(place: Mapping[str, Array], side: str, trunk: Array) -> Array:
    """The foot's frame: front, up, right, whatever the trunk does; the front is the trunk's where no ball is known."""
    up = np.array([0.0, 1.0, 0.0])
    front = np.cross(trunk[:, 0], up)
    if f"{side}_foot" in place:
        toward = _unit(place[f"{side}_foot"] - place[f"{side}_ankle"])
        if -toward @ up > np.sin(_STEEPEST_RAD):
            return _frame(toward, front)
        front = toward - up * (up @ toward)
    return _frame(front, up)


def _fingers(place: Mapping[str, Array], side: str, hand: Array) -> dict[str, Array]:
    frames = dict[str, Array]()
    for finger, knuckles in FINGERS.items():
        chain = [name for knuckle in knuckles if (name := f"{side}_{finger}_{knuckle}") in place]
        # A bone without an end goes on as the one before it.
        bones = [place[end] - place[start] for start, end in pairwise(chain)] or [hand[:, 0]]
        across = hand[:, 2] if finger == "thumb" else hand[:, 1]
        frames |= {name: _frame(bones[min(row, len(bones) - 1)], across) for row, name in enumerate(chain)}
    return frames
