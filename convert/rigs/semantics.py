"""What each joint means in a body: tables from the values of ``body_models.Joint`` to a rig's own joint names.

Beside those values the tables name ``spine_1`` to ``spine_3`` from the pelvis up, both clavicles, and, where a rig has
one, the ``root`` above the pelvis that carries root motion. The shoulder is the joint about which the upper arm turns (on
Anny ``upperarm01``; ``shoulder01`` is the clavicle's far end).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...errors import RigdropError

SIDES = ("left", "right")
_LIMBS = ("clavicle", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")
_KNUCKLES = {
    "thumb": ("cmc", "mcp", "ip"),
    "index": ("mcp", "pip", "dip"),
    "middle": ("mcp", "pip", "dip"),
    "ring": ("mcp", "pip", "dip"),
    "pinky": ("mcp", "pip", "dip"),
}


def _table(middle: Mapping[str, str], limbs: Callable[[str], Sequence[str]], finger: Callable[[str, str, int], str]) -> dict[str, str]:
    table = dict(middle)
    for side in SIDES:
        table.update({f"{side}_{limb}": name for limb, name in zip(_LIMBS, limbs(side), strict=True)})
        for digit, knuckles in _KNUCKLES.items():
            table.update({f"{side}_{digit}_{knuckle}": finger(side, digit, number) for number, knuckle in enumerate(knuckles, start=1)})
    return table


def _unreal() -> dict[str, str]:
    spine = {f"spine_{number}": f"spine_{number:02d}" for number in (1, 2, 3)}
    middle = {"root": "Root", "pelvis": "pelvis", **spine, "neck": "neck_01", "head": "head"}
    bones = ("clavicle", "upperarm", "lowerarm", "hand", "thigh", "calf", "foot", "ball")
    return _table(
        middle, lambda side: [f"{bone}_{side[0]}" for bone in bones],
        lambda side, digit, number: f"{digit}_{number:02d}_{side[0]}",
    )


def _mixamo() -> dict[str, str]:
    middle = {"pelvis": "Hips", "spine_1": "Spine", "spine_2": "Spine1", "spine_3": "Spine2", "neck": "Neck", "head": "Head"}
    bones = ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")
    table = _table(
        middle, lambda side: [f"{side.title()}{bone}" for bone in bones],
        lambda side, digit, number: f"{side.title()}Hand{digit.title()}{number}",
    )
    return {key: f"mixamorig:{name}" for key, name in table.items()}


def _anny() -> dict[str, str]:
    # Of the five spine bones (05 the lowest) the ends and the middle: 05 bends at the waist, 01 carries neck and clavicles.
    middle = {"pelvis": "root", "spine_1": "spine05", "spine_2": "spine03", "spine_3": "spine01", "neck": "neck01", "head": "head"}
    bones = ("clavicle", "upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot", "toe2-1")
    digits = list(_KNUCKLES)
    return _table(
        middle, lambda side: [f"{bone}.{side[0].upper()}" for bone in bones],
        lambda side, digit, number: f"finger{digits.index(digit) + 1}-{number}.{side[0].upper()}",
    )


def _mhr() -> dict[str, str]:
    # c_spine0 sits 2 cm above the root: it stays with the pelvis, and the three above it bend.
    middle = {"pelvis": "root", "spine_1": "c_spine1", "spine_2": "c_spine2", "spine_3": "c_spine3", "neck": "c_neck", "head": "c_head"}
    bones = ("clavicle", "uparm", "lowarm", "wrist", "upleg", "lowleg", "foot", "ball")
    return _table(
        middle, lambda side: [f"{side[0]}_{bone}" for bone in bones],
        lambda side, digit, number: f"{side[0]}_{digit}{number}",
    )


JOINT_NAMES: dict[str, dict[str, str]] = {"unreal": _unreal(), "mixamo": _mixamo(), "anny": _anny(), "mhr": _mhr()}
"""For each rig, from what a joint means to its name there."""


def semantic_indices(rig: str, joint_names: Sequence[str]) -> dict[str, int]:
    """Return from what a joint means to its index among ``joint_names``. Raises `RigdropError` for a joint that is not there."""
    index = {name: number for number, name in enumerate(joint_names)}
    missing = sorted(name for name in JOINT_NAMES[rig].values() if name not in index)
    if missing:
        raise RigdropError(f"rig {rig}: found no joint {missing[0]!r} among {len(joint_names)}, expected it for its semantic names")
    return {key: index[name] for key, name in JOINT_NAMES[rig].items()}
