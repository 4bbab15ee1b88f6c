"""Unreal Engine 5's mannequin on Anny's body: its names and hierarchy, its twist and IK bones, bound in its A-pose.

Axes follow the mannequin's habit: +X runs along the bone on the left arm, the spine and the right leg, against it on the
right arm and the left leg, and +Z is the hinge about which a positive turn folds elbows, knees and fingers. The engine is
left-handed and importers mirror Y, so that X and Z are what can be kept. An IK Rig asks for names and hierarchy alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from ...motion.joint_names import PRESETS
from ...motion.rig import Rig
from ..body import FINGER_JOINTS, Body
from ..retargeting.ik_bones import IK_TARGETS
from .groupings import parts_of
from .regrouped import Grouping, Part, Stations

Floats = NDArray[np.float64]

# The mannequin's twist bones lie a third and two thirds along the limb; 01 is the one further from the elbow or the knee.
_THIRDS = (1 / 3, 2 / 3)
_LEFT, _UP, _FRONT = np.eye(3)
_TRUNK = (
    # All five spine bones are Anny's, so that the pelvis sits below the lowest: between the hips, as the mannequin's does.
    Part("root", None, None),
    Part("pelvis", "root", "root", ("upperleg01.L", "upperleg01.R", 0.5)),
    Part("spine_01", "pelvis", "spine05"),
    Part("spine_02", "spine_01", "spine04"),
    Part("spine_03", "spine_02", "spine03"),
    Part("spine_04", "spine_03", "spine02"),
    Part("spine_05", "spine_04", "spine01"),
    Part("neck_01", "spine_05", "neck01"),
    Part("neck_02", "neck_01", "neck02"),
    Part("head", "neck_02", "head"),
)
_IK = (
    Part("ik_foot_root", "root", None),
    Part("ik_foot_l", "ik_foot_root", None, "foot.L"),
    Part("ik_foot_r", "ik_foot_root", None, "foot.R"),
    Part("ik_hand_root", "root", None),
    Part("ik_hand_gun", "ik_hand_root", None, "wrist.R"),
    Part("ik_hand_l", "ik_hand_gun", None, "wrist.L"),
    Part("ik_hand_r", "ik_hand_gun", None, "wrist.R"),
)
# Bone, its end, the twist bones from its start on, and Anny's joints at start and end. Above the elbow the bone itself turns
# fully at its far end; below, its twist bones lead up to the hand's turn.
_LIMBS = (
    ("upperarm", "lowerarm", ("upperarm_twist_01", "upperarm_twist_02", "upperarm"), "upperarm01", "lowerarm01"),
    ("lowerarm", "hand", ("lowerarm", "lowerarm_twist_02", "lowerarm_twist_01"), "lowerarm01", "wrist"),
    ("thigh", "calf", ("thigh_twist_01", "thigh_twist_02", "thigh"), "upperleg01", "lowerleg01"),
    ("calf", "foot", ("calf", "calf_twist_02", "calf_twist_01"), "lowerleg01", "foot"),
)
_FINGER_NAMES = tuple(PRESETS["unreal5"][meaning] for meaning in FINGER_JOINTS)
_PALM = ("index", "middle", "ring", "pinky")


def _grouping() -> Grouping:
    parts = [*_TRUNK, *_limbs_and_hands(), *_twist_bones(), *_IK]
    return Grouping("ue5", tuple(parts), PRESETS["unreal5"], "A", axes, tuple(_stations()))


def _limbs_and_hands() -> Iterator[Part]:
    trunk = {part.name for part in _TRUNK}
    for name, part in parts_of(PRESETS["unreal5"]).items():
        finger, _, side = name.rpartition("_01_")
        if finger in _PALM:
            metacarpal = f"{finger}_metacarpal_{side}"
            yield Part(metacarpal, f"hand_{side}", f"metacarpal{_PALM.index(finger) + 1}.{side.upper()}")
            yield replace(part, parent=metacarpal)
        elif name not in trunk:
            yield part


def _stops(bone: str, along: tuple[str, ...]) -> tuple[float, ...]:
    return (*_THIRDS, 1.0) if along[-1] == bone else (0.0, *_THIRDS)


def _twist_bones() -> Iterator[Part]:
    for side, (bone, _, along, start, far) in product("lr", _LIMBS):
        for twist, stop in zip(along, _stops(bone, along), strict=True):
            if twist != bone:
                yield Part(f"{twist}_{side}", f"{bone}_{side}", None, (f"{start}.{side.upper()}", f"{far}.{side.upper()}", stop))


def _stations() -> Iterator[Stations]:
    for side, (bone, end, along, _, _) in product("lr", _LIMBS):
        stops = _stops(bone, along)
        yield Stations(f"{bone}_{side}", f"{end}_{side}", tuple((f"{name}_{side}", stop) for name, stop in zip(along, stops, strict=True)))


def axes(rig: Rig) -> Floats:
    """Return the mannequin's world axes (J,3,3) for the joints of ``rig``, which stands in a T-pose."""
    frames = np.tile(np.eye(3), (len(rig.joint_names), 1, 1))
    index = {name: number for number, name in enumerate(rig.joint_names)}
    for chain, sign, hinge in _chains(Body.of(rig)):
        places = [rig.bind_world[index[name], :3, 3] for name in chain]
        ways = [end - start for start, end in pairwise(places)]
        for name, way, z in zip(chain, [*ways, ways[-1]], hinge, strict=True):
            frames[index[name]] = _frame(sign * way, z)
    # So near is the lowest spine bone that it says nothing of where the pelvis points: up.
    frames[index["pelvis"]] = _frame(_UP, -_LEFT)
    for side in "lr":
        # A foot's X keeps to the shank's line: straight up or down.
        frames[index[f"foot_{side}"]] = _frame(np.array([0.0, 1.0 if side == "l" else -1.0, 0.0]), _LEFT)
        for bone, _, along, _, _ in _LIMBS:
            frames[[index[f"{twist}_{side}"] for twist in along]] = frames[index[f"{bone}_{side}"]]
    for name, target in IK_TARGETS.items():
        frames[index[name]] = frames[index[target]]
    return frames


def _chains(body: Body) -> Iterator[tuple[tuple[str, ...], float, list[Floats]]]:
    """Yield joints that follow each other, whether X runs along (1) or against (-1) them, and the hinge that each one's Z is near."""
    trunk = tuple(part.name for part in _TRUNK[1:])
    yield trunk, 1.0, [-_LEFT] * len(trunk)
    for side, sign in (("l", 1.0), ("r", -1.0)):
        arm = tuple(f"{bone}_{side}" for bone in ("clavicle", "upperarm", "lowerarm", "hand", "middle_01"))
        yield arm, sign, [-sign * _UP] * 3 + [-sign * _FRONT] * 2
        yield tuple(f"{bone}_{side}" for bone in ("thigh", "calf", "foot", "ball")), -sign, [_LEFT] * 4
        for finger in _PALM:
            yield tuple(f"{finger}_{bone}_{side}" for bone in ("metacarpal", "01")), sign, [-sign * _FRONT] * 2
        for digit in ("thumb", *_PALM):
            phalanges = tuple(f"{digit}_0{number}_{side}" for number in (1, 2, 3))
            yield phalanges, sign, [body.finger_axis[_FINGER_NAMES.index(name)] for name in phalanges]


def _frame(x: Floats, z: Floats) -> Floats:
    """Axes (3,3), columns: X as given, Z as near as can be."""
    first = x / np.linalg.norm(x)
    third = z - first * (first @ z)
    third /= np.linalg.norm(third)
    return np.stack([first, np.cross(third, first), third], axis=1)


UE5 = _grouping()
