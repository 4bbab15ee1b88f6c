"""What each joint means in a body, and the names that common skeletons give to these joints.

Meanings are the values of ``body_models.Joint``, and beside them ``spine_1`` to ``spine_3`` from the pelvis up, both
clavicles, and, where a skeleton has one, the ``root`` above the pelvis that carries root motion. The shoulder is the joint
about which the upper arm turns (on Anny ``upperarm01``; ``shoulder01`` is the clavicle's far end).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from . import smpl_joints

SIDES = ("left", "right")
LIMBS = ("clavicle", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")
KNUCKLES = {
    "thumb": ("cmc", "mcp", "ip"),
    "index": ("mcp", "pip", "dip"),
    "middle": ("mcp", "pip", "dip"),
    "ring": ("mcp", "pip", "dip"),
    "pinky": ("mcp", "pip", "dip"),
}
SPINE = ("spine_1", "spine_2", "spine_3")
DIGITS = tuple(KNUCKLES)

MEANINGS = (
    "root", "pelvis", *SPINE, "neck", "head", *(f"{side}_{limb}" for side in SIDES for limb in LIMBS),
    *(f"{side}_{digit}_{knuckle}" for side in SIDES for digit, knuckles in KNUCKLES.items() for knuckle in knuckles),
)
"""All that a joint may mean."""

CORE = ("pelvis", *(f"{side}_{limb}" for side in SIDES for limb in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")))
"""What a body's motion can't be carried over without."""

Names = Mapping[str, str]


def _middle(pelvis: str, spine: str, neck: str, head: str, root: str = "") -> dict[str, str]:
    """``spine`` is the names of the spine's joints from the pelvis up, with spaces between them."""
    table = {"pelvis": pelvis, **dict(zip(SPINE, spine.split(), strict=False)), "neck": neck, "head": head}
    return {"root": root, **table} if root else table


def _table(
    middle: Names, limbs: Callable[[str], Sequence[str]], finger: Callable[[str, str, int], str] | None = None,
) -> dict[str, str]:
    """``limbs(side)`` names a side's joints in the order of LIMBS; ``finger(side, digit, 1 to 3)`` one of its knuckles."""
    table = dict(middle)
    for side in SIDES:
        table.update({f"{side}_{limb}": name for limb, name in zip(LIMBS, limbs(side), strict=True)})
        for digit, knuckles in KNUCKLES.items():
            if finger is not None:
                table.update({f"{side}_{digit}_{knuckle}": finger(side, digit, number) for number, knuckle in enumerate(knuckles, start=1)})
    return table


def _bones(pattern: str, bones: str) -> Callable[[str], Sequence[str]]:
    """Name a side's bones by a pattern of ``{side}``, ``{Side}``, ``{s}``, ``{S}`` and ``{bone}``."""
    return lambda side: [pattern.format(side=side, Side=side.title(), s=side[0], S=side[0].upper(), bone=bone) for bone in bones.split()]


def _fingers(pattern: str, /, **digits: str) -> Callable[[str, str, int | str], str]:
    """Name knuckles likewise, by ``{digit}``, ``{Digit}`` and ``{number}``; ``digits`` says what a digit is called there."""

    def name(side: str, digit: str, number: int | str) -> str:
        digit = digits.get(digit, digit)
        return pattern.format(side=side, Side=side.title(), s=side[0], S=side[0].upper(), digit=digit, Digit=digit.title(), number=number)

    return name


def _phalanges(pattern: str, thumb: str, fingers: str, /, **digits: str) -> Callable[[str, str, int], str]:
    """Name knuckles by words in the place of numbers, those of the thumb apart."""
    name = _fingers(pattern, **digits)
    return lambda side, digit, number: name(side, digit, (thumb if digit == "thumb" else fingers).split()[number - 1])


def _mixamo() -> dict[str, str]:
    return {key: f"mixamorig:{name}" for key, name in _autodesk("Hips", "Spine Spine1 Spine2").items()}


def _autodesk(pelvis: str, spine: str, root: str = "") -> dict[str, str]:
    """Return MotionBuilder's names (HumanIK), which Mixamo and most BVH files share."""
    return _table(
        _middle(pelvis, spine, "Neck", "Head", root), _bones("{Side}{bone}", "Shoulder Arm ForeArm Hand UpLeg Leg Foot ToeBase"),
        _fingers("{Side}Hand{Digit}{number}"),
    )


def _unreal(spine: str, root: str = "Root") -> dict[str, str]:
    return _table(
        _middle("pelvis", spine, "neck_01", "head", root), _bones("{bone}_{s}", "clavicle upperarm lowerarm hand thigh calf foot ball"),
        _fingers("{digit}_{number:02d}_{s}"),
    )


def _anny() -> dict[str, str]:
    # Of the five spine bones (05 the lowest) the ends and the middle: 05 bends at the waist, 01 carries neck and clavicles.
    number_of = {digit: f"finger{number}" for number, digit in enumerate(DIGITS, start=1)}
    return _table(
        _middle("root", "spine05 spine03 spine01", "neck01", "head"),
        _bones("{bone}.{S}", "clavicle upperarm01 lowerarm01 wrist upperleg01 lowerleg01 foot toe2-1"),
        _fingers("{digit}-{number}.{S}", **number_of),
    )


def _mhr() -> dict[str, str]:
    # c_spine0 sits 2 cm above the root: it stays with the pelvis, and the three above it bend.
    return _table(
        _middle("root", "c_spine1 c_spine2 c_spine3", "c_neck", "c_head"),
        _bones("{s}_{bone}", "clavicle uparm lowarm wrist upleg lowleg foot ball"), _fingers("{s}_{digit}{number}"),
    )


def _rigify(prefix: str) -> dict[str, str]:
    def finger(side: str, digit: str, number: int) -> str:
        return f"{prefix}{'' if digit == 'thumb' else 'f_'}{digit}.{number:02d}.{side[0].upper()}"

    middle = _middle("spine", "spine.001 spine.002 spine.003", "spine.004", "spine.006")
    bones = _bones(f"{prefix}{{bone}}.{{S}}", "shoulder upper_arm forearm hand thigh shin foot toe")
    return _table({key: f"{prefix}{name}" for key, name in middle.items()}, bones, finger)


def _smpl(model: str) -> dict[str, str]:
    named = {smpl_joints.meaning(name): name for name in smpl_joints.JOINT_NAMES[model]}
    return {key: name for key, name in named.items() if key}


def _biped() -> dict[str, str]:
    # Finger0 is the thumb; its joints are Finger0, Finger01, Finger02.
    def finger(side: str, digit: str, number: int) -> str:
        return f"Bip01 {side[0].upper()} Finger{DIGITS.index(digit)}{'' if number == 1 else number - 1}"

    middle = _middle("Bip01 Pelvis", "", "Bip01 Neck", "Bip01 Head", "Bip01")
    spine = dict(zip(SPINE, ("Bip01 Spine", "Bip01 Spine1", "Bip01 Spine2"), strict=True))
    return _table(middle | spine, _bones("Bip01 {S} {bone}", "Clavicle UpperArm Forearm Hand Thigh Calf Foot Toe0"), finger)


_XSENS_DIGITS = dict(zip(DIGITS, ("First", "Second", "Third", "Fourth", "Fifth"), strict=True))
_ROKOKO_DIGITS = {digit: f"Finger{number}" for number, digit in enumerate(DIGITS, start=1)}
_MID = {"middle": "mid"}

PRESETS: dict[str, dict[str, str]] = {
    # The newer first: a skeleton with five spine bones has all the names of the older one too.
    "unreal5": _unreal("spine_01 spine_03 spine_05", "root"),
    "unreal": _unreal("spine_01 spine_02 spine_03"),
    "mixamo": _mixamo(),
    "motionbuilder": _autodesk("Hips", "Spine Spine1 Spine2", "Reference"),
    "anny": _anny(),
    "mhr": _mhr(),
    "smpl": _smpl("smpl"),
    "smplx": _smpl("smplx"),
    "smplx-maya": _table(
        _middle("Pelvis", "Spine1 Spine2 Spine3", "Neck", "Head"), _bones("{S}_{bone}", "Collar Shoulder Elbow Wrist Hip Knee Ankle Foot"),
        _fingers("{S}_{Digit}{number}"),
    ),
    "rigify": _rigify("DEF-"),
    "metarig": _rigify(""),
    "vrm": _table(
        _middle("hips", "spine chest upperChest", "neck", "head"),
        _bones("{side}{bone}", "Shoulder UpperArm LowerArm Hand UpperLeg LowerLeg Foot Toes"),
        _phalanges("{side}{Digit}{number}", "Metacarpal Proximal Distal", "Proximal Intermediate Distal", pinky="little"),
    ),
    "vroid": _table(
        _middle("J_Bip_C_Hips", "J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest", "J_Bip_C_Neck", "J_Bip_C_Head", "Root"),
        _bones("J_Bip_{S}_{bone}", "Shoulder UpperArm LowerArm Hand UpperLeg LowerLeg Foot ToeBase"),
        _fingers("J_Bip_{S}_{Digit}{number}", pinky="little"),
    ),
    "cmu": _autodesk("Hips", "LowerBack Spine Spine1"),
    "accad": _autodesk("Hips", "ToSpine Spine Spine1"),
    "acclaim": _table(
        _middle("root", "lowerback upperback thorax", "lowerneck", "head"),
        _bones("{s}{bone}", "clavicle humerus radius wrist femur tibia foot toes"),
    ),
    # Biovision's own, of Truebones and Xsens' BVH.
    "biovision": _table(
        _middle("Hips", "Chest Chest2 Chest4", "Neck", "Head"), _bones("{Side}{bone}", "Collar Shoulder Elbow Wrist Hip Knee Ankle Toe"),
    ),
    "xsens": _table(
        _middle("Pelvis", "L5 T12 T8", "Neck", "Head"), _bones("{Side}{bone}", "Shoulder UpperArm ForeArm Hand UpperLeg LowerLeg Foot Toe"),
        _phalanges("{Side}{digit}{number}", "MC PP DP", "PP MP DP", **_XSENS_DIGITS),
    ),
    "rokoko": _table(
        _middle("Hips", "Spine1 Spine3 Spine4", "Neck", "Head", "Root"),
        _bones("{Side}{bone}", "Shoulder Arm ForeArm Hand Thigh Shin Foot Toe"),
        _phalanges("{Side}{digit}{number}", "Metacarpal Proximal Distal", "Proximal Medial Distal", **_ROKOKO_DIGITS),
    ),
    "biped": _biped(),
    # Genesis 3 and 8; the hip carries the pelvis, and with it the legs, and the spine.
    "daz": _table(
        _middle("hip", "abdomenLower chestLower chestUpper", "neckLower", "head"),
        _bones("{s}{bone}", "Collar ShldrBend ForearmBend Hand ThighBend Shin Foot Toe"), _fingers("{s}{Digit}{number}", **_MID),
    ),
    "daz9": _table(
        _middle("hip", "spine1 spine3 spine4", "neck1", "head"),
        _bones("{s}_{bone}", "shoulder upperarm forearm hand thigh shin foot toes"), _fingers("{s}_{digit}{number}", **_MID),
    ),
    "character-creator": _table(
        _middle("CC_Base_Hip", "CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02", "CC_Base_NeckTwist01", "CC_Base_Head", "CC_Base_BoneRoot"),
        _bones("CC_Base_{S}_{bone}", "Clavicle Upperarm Forearm Hand Thigh Calf Foot ToeBase"),
        _fingers("CC_Base_{S}_{Digit}{number}", **_MID),
    ),
}
"""For each skeleton that many programs share, from what a joint means to its name there."""

# What programs put before every name: namespaces, and prefixes that a skeleton's second copy numbers.
_NAMESPACE = re.compile(r".*[:|]")
_PREFIX = re.compile(r"^((mixamorig\d*|character\d+_|valvebiped\.|bip\d+(?=.)|[mf]_avg_)[ _:]*)+", re.IGNORECASE)
# Sketchfab numbers all nodes of a file: Head_04, Neck_05.
_NUMBERED = re.compile(r"_\d+$")


def plain_names(names: Sequence[str]) -> list[str]:
    """Return names as they can be compared: lower-case letters and digits, without namespace, prefix or running number."""
    numbers = [match.group() for match in map(_NUMBERED.search, names) if match]
    numbered = len(numbers) > 0.9 * len(names) and len(set(numbers)) == len(numbers)
    bare = [_NUMBERED.sub("", name) for name in names] if numbered else names
    return [re.sub(r"[^a-z0-9]", "", _PREFIX.sub("", _NAMESPACE.sub("", name)).lower()) for name in bare]


def known_semantic(names: Sequence[str]) -> dict[str, int]:
    """Return from what a joint means to its index by the preset that fits most of ``names``; empty where none has all of CORE."""
    index: dict[str, int] = {}
    for number, name in enumerate(plain_names(names)):
        index.setdefault(name, number)
    best: dict[str, int] = {}
    for table in PRESETS.values():
        plain = zip(table, plain_names(list(table.values())), strict=True)
        found = {key: index[name] for key, name in plain if name in index}
        if len(found) > len(best) and all(key in found for key in CORE):
            best = found
    return best
