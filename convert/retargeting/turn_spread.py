"""Joints between those with a meaning: they share a bend along the spine and neck, and a twist along arms and legs.

A limb's twist runs as MHR's own parameters have it: a joint at the share t of a forearm or shank follows t of the hand's
or foot's twist about the bone; one of an upper arm or thigh gives back 1 - t of the bone's own, so that the skin is
not wrung at shoulder and hip. What counts as a twist joint hangs on the limb's joint and says twist or roll in its name,
or lies on the way to the next joint; there upper arms and thighs have none to share, for what hangs below must follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_inverse, quat_multiply, quat_slerp, rotvec_to_quat
from .limb_frames import SIDES
from .poser import Poser

Array = NDArray[np.float64]

# From a limb's joint to the next; above the joint, the part against which an upper bone twists.
_UPPER = (("shoulder", "elbow", ("clavicle", "spine_3", "spine_2", "spine_1")), ("hip", "knee", ("pelvis",)))
_LOWER = (("elbow", "wrist"), ("knee", "ankle"))
# Shoulders, forearms and feet twist by less.
_MOST_TWIST_RAD = 2.4
_TWIST = re.compile(r"twist|roll", re.IGNORECASE)


def share_bends(poser: Poser, above: int, below: int) -> dict[int, int]:
    """Let the joints between two share the turn from one to the other evenly.

    Joints that are posed already are left alone. Returns those that were turned, each with the one whose turn it shares.
    """
    path = [joint for joint in poser.between(above, below) if joint not in poser.local_xyzw]
    for number, joint in enumerate(path, start=1):
        away = quat_slerp(poser.turned(above), poser.turned(below), np.asarray(number / (len(path) + 1)))
        poser.turn_to(joint, quat_multiply(away, poser.turn_rest_xyzw[joint]))
    return dict.fromkeys(path, below)


def share_twists(poser: Poser, names: Sequence[str], semantic: Mapping[str, int], amount: float) -> dict[int, int]:
    """Turn the twist joints of both arms and legs by ``amount`` (0 … 1) of their share.

    Joints that are posed already are left alone. Returns those that were turned, each with the one whose twist it shares.
    """
    known, turned = set(semantic.values()), dict[int, int]()
    for side in SIDES:
        for start, end in _LOWER:
            joint, below = semantic[f"{side}_{start}"], semantic[f"{side}_{end}"]
            between = (helper for helper in poser.between(joint, below) if helper not in poser.local_xyzw)
            helpers = [*_beside(poser, names, joint, known), *between]
            _turn_helpers(poser, helpers, joint, below, amount * _twist(poser, joint, below, _bone(poser, joint, below)), 0.0)
            turned |= dict.fromkeys(helpers, below)
        for start, end, above in _UPPER:
            joint, below = semantic[f"{side}_{start}"], semantic[f"{side}_{end}"]
            parts = (semantic.get(f"{side}_{part}", semantic.get(part)) for part in above)
            trunk = next(part for part in parts if part is not None)
            helpers = _beside(poser, names, joint, known)
            _turn_helpers(poser, helpers, joint, below, amount * _twist(poser, trunk, joint, _bone(poser, joint, below)), 1.0)
            turned |= dict.fromkeys(helpers, joint)
    return turned


def _bone(poser: Poser, joint: int, below: int) -> Array:
    return np.asarray(poser.place_rest_m[below] - poser.place_rest_m[joint])


def _beside(poser: Poser, names: Sequence[str], joint: int, known: set[int]) -> list[int]:
    """Children of a joint that say by their name that they twist, and bear nothing that has a meaning."""
    bearing = {above for end in known for above in _ancestors(poser, end)}
    return [child for child, parent in enumerate(poser.parents)
            if parent == joint and child not in known | bearing | set(poser.local_xyzw) and _TWIST.search(names[child])]


def _ancestors(poser: Poser, joint: int) -> list[int]:
    path = [joint]
    while poser.parents[path[-1]] >= 0:
        path.append(poser.parents[path[-1]])
    return path


def _twist(poser: Poser, above: int, below: int, axis: Array) -> Array:
    """How far (F,) the joint below is turned against the one above about an axis of the rest pose, radians, continuous.

    The swing-twist split of the turn between them: half the twist's tangent is the axis' part over the scalar part. A
    twist beyond what joints do fades out toward half a turn, where its sign would jump.
    """
    between = quat_multiply(quat_inverse(poser.turned(above)), poser.turned(below))
    angle = 2.0 * np.arctan2(between[..., :3] @ (axis / np.linalg.norm(axis)), between[..., 3])
    angle = np.atleast_1d((angle + np.pi) % (2.0 * np.pi) - np.pi)
    fading = np.sign(angle) * _MOST_TWIST_RAD * (np.pi - np.abs(angle)) / (np.pi - _MOST_TWIST_RAD)
    return np.where(np.abs(angle) > _MOST_TWIST_RAD, fading, angle)


def _turn_helpers(poser: Poser, helpers: Sequence[int], joint: int, below: int, twist: Array, back: float) -> None:
    """Turn helpers against the limb's ``joint`` about the bone by ``along - back`` of the twist (F,), along it 0 … 1."""
    start, bone = poser.place_rest_m[joint], _bone(poser, joint, below)
    for helper in helpers:
        along = float(np.clip((poser.place_rest_m[helper] - start) @ bone / (bone @ bone), 0.0, 1.0))
        # About the line to the limb's end, which stays where it is; a helper at the end has the bone's.
        axis = _bone(poser, helper, below)
        axis = bone if np.linalg.norm(axis) < 0.05 * np.linalg.norm(bone) else axis
        turn = rotvec_to_quat((along - back) * twist[:, None] * (axis / np.linalg.norm(axis)))
        away = quat_multiply(poser.turned(joint), turn)
        poser.turn_to(helper, quat_multiply(away, poser.turn_rest_xyzw[helper]))
