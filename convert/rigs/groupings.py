"""The skeletons of SMPL-X (55 joints), SMPL-H (52) and VRM 1.0 (55 bones) as groups of Anny's joints, T-posed, axes the world's.

Because every joint has the world's axes at rest, SMPL-X's and VRM's turns apply as they are. The body is Anny's, not
SMPL's. Bones and parents of VRM are those of its specification, VRMC_vrm-1.0, humanoid.md; it faces +Z, as ours do.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...motion import smpl_joints
from ...motion.joint_names import KNUCKLES, PRESETS, SIDES
from ..body import BODY_JOINTS, BODY_PARENTS
from .regrouped import Grouping, Part

# Anny's own root sits behind the body; the pelvis turns about the point between the hips, where her lowest spine bone begins.
PELVIS = ("root", "spine05")
# Anny's spine bends in five places; these three lie nearest to where SMPL-X's does, as shares of the way up to the neck.
_SPINE = {"spine_1": "spine04", "spine_2": "spine02", "spine_3": "spine01"}
_FACE = {"jaw": "jaw", "left_eye_smplhf": "eye.L", "right_eye_smplhf": "eye.R"}
_VRM_FACE = {"leftEye": "eye.L", "rightEye": "eye.R", "jaw": "jaw"}


def _parent_meanings() -> dict[str, str | None]:
    """From each meaning to that of its parent, parents first."""
    parents = {name: BODY_JOINTS[parent] if parent >= 0 else None for name, parent in zip(BODY_JOINTS, BODY_PARENTS, strict=True)}
    for side in SIDES:
        for digit, knuckles in KNUCKLES.items():
            above = f"{side}_wrist"
            for knuckle in knuckles:
                parents[f"{side}_{digit}_{knuckle}"] = above
                above = f"{side}_{digit}_{knuckle}"
    return parents


def parts_of(names: Mapping[str, str]) -> dict[str, Part]:
    """Return a part for each meaning (a body's 22 and the fingers) by its name in ``names``, on the joint of Anny's that means the same."""
    parts = {}
    for meaning, parent in _parent_meanings().items():
        source, at = PELVIS if meaning == "pelvis" else (_SPINE.get(meaning, PRESETS["anny"][meaning]), None)
        parts[names[meaning]] = Part(names[meaning], names[parent] if parent else None, source, at)
    return parts


def _smpl(model: str) -> Grouping:
    parts = parts_of(PRESETS["smplx"]) | {name: Part(name, "head", source) for name, source in _FACE.items()}
    return Grouping(model, tuple(parts[name] for name in smpl_joints.JOINT_NAMES[model]), PRESETS["smplx"])


def _vrm() -> Grouping:
    face = tuple(Part(name, "head", source) for name, source in _VRM_FACE.items())
    return Grouping("vrm", (*parts_of(PRESETS["vrm"]).values(), *face), PRESETS["vrm"])


SMPLX = _smpl("smplx")
SMPLH = _smpl("smplh")
VRM = _vrm()
