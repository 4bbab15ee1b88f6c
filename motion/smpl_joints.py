"""The joints of the SMPL family: names and order as the public `smplx` package lists them, and what each means in a body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BODY = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle", "spine3", "left_foot",
    "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
)
FACE = ("jaw", "left_eye_smplhf", "right_eye_smplhf")
PALMS = ("left_hand", "right_hand")  # what SMPL has in the place of fingers
SIDES = ("left", "right")
_DIGITS = ("index", "middle", "pinky", "ring", "thumb")  # MANO's order

_BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_KNUCKLES = {digit: ("cmc", "mcp", "ip") if digit == "thumb" else ("mcp", "pip", "dip") for digit in _DIGITS}


def fingers(side: str) -> tuple[str, ...]:
    """Return the names of the fifteen finger joints of ``left`` or ``right``, in MANO's order."""
    return tuple(f"{side}_{digit}{number}" for digit in _DIGITS for number in (1, 2, 3))


JOINT_NAMES: dict[str, tuple[str, ...]] = {
    "smpl": (*BODY, *PALMS),
    "smplh": (*BODY, *fingers("left"), *fingers("right")),
    "smplx": (*BODY, *FACE, *fingers("left"), *fingers("right")),
}

# Where the pelvis of the mean body rests from the model's own origin, which lies near the breast: mean joints of the models,
# metres, rounded to millimetres; they turn up in many programs that pose SMPL without its mesh. Betas move it by a few cm.
PELVIS_REST_M: dict[str, tuple[float, float, float]] = {
    "smpl": (-0.002, -0.223, 0.028), "smplh": (-0.002, -0.241, 0.029), "smplx": (0.003, -0.351, 0.012),
}


def _parent_name(name: str) -> str | None:
    if name in BODY:
        parent = _BODY_PARENTS[BODY.index(name)]
        return BODY[parent] if parent >= 0 else None
    if name in FACE:
        return "head"
    side = name.split("_")[0]
    return f"{name[:-1]}{int(name[-1]) - 1}" if name[-1] in "23" else f"{side}_wrist"


def joint_parents(model: str) -> NDArray[np.int32]:
    """Return the parents (J,) of a model's joints, the pelvis's -1."""
    names = JOINT_NAMES[model]
    parents = (_parent_name(name) for name in names)
    return np.array([-1 if parent is None else names.index(parent) for parent in parents], dtype=np.int32)


def meaning(name: str) -> str | None:
    """Return what a joint means, in the words of `Skeleton.semantic`; nothing for jaw, eyes and SMPL's palms, which have none."""
    if name in (*FACE, *PALMS):
        return None
    if name in BODY:
        return name.replace("spine", "spine_").replace("collar", "clavicle")
    digit = name.split("_")[1][:-1]
    return f"{name[:-1]}_{_KNUCKLES[digit][int(name[-1]) - 1]}"
