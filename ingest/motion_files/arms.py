"""Where a body's wrists are and how its forearms lie, from its turns alone: enough to tell whose hand a hand is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_apply, quat_multiply
from ...motion.smpl_joints import SIDES

Floats = NDArray[np.float64]

# From each joint's parent at rest, arms out to the sides, for a left arm, of an adult, to the centimetre: bone lengths are
# not in motion files, and telling two people's wrists apart needs no better.
_CHAIN_M = {
    "spine1": (0.0, 0.11, -0.02), "spine2": (0.0, 0.13, 0.0), "spine3": (0.0, 0.06, 0.02), "collar": (0.07, 0.11, -0.02),
    "shoulder": (0.11, 0.03, -0.01), "elbow": (0.26, -0.01, -0.02), "wrist": (0.25, 0.01, 0.0),
}


def forearms(names: tuple[str, ...], quat_xyzw: Floats, pelvis_m: Floats) -> tuple[Floats, Floats]:
    """Return the elbows' turns (F,2,4) and the wrists' places (F,2,3), left first, in the axes in which the pelvis turns.

    ``quat_xyzw`` (F,J,4) are the local turns of the SMPL joints ``names``, ``pelvis_m`` (F,3) is where the pelvis is.
    """
    turns, places = zip(*(_arm(names, quat_xyzw, pelvis_m, side) for side in SIDES))
    return np.stack(turns, axis=1), np.stack(places, axis=1)


def _arm(names: tuple[str, ...], quat_xyzw: Floats, pelvis_m: Floats, side: str) -> tuple[Floats, Floats]:
    mirror = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])
    turn, place = quat_xyzw[:, names.index("pelvis")], np.asarray(pelvis_m, dtype=np.float64)
    for joint, offset_m in _CHAIN_M.items():
        place = place + quat_apply(turn, mirror * offset_m)
        if joint == "wrist":
            break
        turn = quat_multiply(turn, quat_xyzw[:, names.index(joint if joint.startswith("spine") else f"{side}_{joint}")])
    return turn, place
