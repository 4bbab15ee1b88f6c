"""Where BlazePose's landmarks lie on a body: near its joints, not on them.

Offsets are from a canonical joint, in its T-pose axes (x left, y up, z forward), for a body 1.84 m tall, left side; the
right side is their mirror image. Measured on rendered bodies whose truth is known (benchmarks/landmark_offsets.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body import BODY_JOINTS, body_joint

Array = NDArray[np.float64]

REFERENCE_HEIGHT_M = 1.84

# landmark: (joint that carries it, joint from which the offset is told, offset in mm)
_Row = tuple[str, str, tuple[float, float, float]]
_MIDDLE: dict[int, _Row] = {0: ("head", "head", (0, 13, 120))}
_LEFT: dict[int, _Row] = {
    2: ("head", "head", (27, 45, 90)),
    7: ("head", "head", (54, 31, 32)),
    11: ("left_clavicle", "left_shoulder", (-9, 23, -4)),
    13: ("left_elbow", "left_elbow", (-9, -1, 17)),
    15: ("left_wrist", "left_wrist", (9, -2, 2)),
    17: ("left_wrist", "left_wrist", (86, -12, -17)),
    19: ("left_wrist", "left_wrist", (88, -21, 15)),
    21: ("left_wrist", "left_wrist", (63, -26, 26)),
    23: ("pelvis", "left_hip", (-12, 0, 36)),
    25: ("left_knee", "left_knee", (-2, 3, -6)),
    27: ("left_ankle", "left_ankle", (5, 27, 6)),
    29: ("left_ankle", "left_ankle", (-3, -38, -43)),
    31: ("left_foot", "left_foot", (-23, 16, 43)),
}
_RIGHT_OF = {2: 5, 7: 8, 11: 12, 13: 14, 15: 16, 17: 18, 19: 20, 21: 22, 23: 24, 25: 26, 27: 28, 29: 30, 31: 32}

# Pairs, left and right.
ELBOWS, WRISTS_AND_HANDS = (13, 14), ((15, 16), (17, 18), (19, 20), (21, 22))
# What the turn of a limb's joint moves first, left side; trunk and head are nearly always seen.
_TOLD_BY = {"shoulder": (13,), "elbow": (15,), "wrist": (17, 19, 21), "hip": (25,), "knee": (27,), "ankle": (29, 31), "foot": (31,)}
FACE, HANDS, TORSO = (0, 2, 5, 7, 8), (17, 18, 19, 20, 21, 22), (11, 12, 23, 24)


@dataclass(frozen=True, eq=False)
class LandmarkTable:
    """The landmarks that the fit uses, tied to the canonical body."""

    landmark: NDArray[np.intp]  # (N,), BlazePose's index
    carrier: NDArray[np.intp]  # (N,), canonical joint whose turn moves the landmark
    origin: NDArray[np.intp]  # (N,), canonical joint from which the offset is told
    offset_m: Array  # (N,3), T-pose axes, body of REFERENCE_HEIGHT_M
    weight: Array  # (N,), trust in the landmark where it is visible

    @property
    def torso(self) -> NDArray[np.intp]:
        """Rows of the four torso points, on which 3D landmarks are centred."""
        return np.flatnonzero(np.isin(self.landmark, TORSO))


def evidence_of_joints(weight: Array) -> Array:
    """How well each joint's turn is seen (F,22; 0…1): as well as the best of the landmarks at the end of its bones.

    ``weight`` (F,33) is the trust in BlazePose's landmarks.
    """
    seen = np.ones((len(weight), len(BODY_JOINTS)))
    for name, landmarks in _TOLD_BY.items():
        for side, twin in (("left", landmarks), ("right", tuple(_RIGHT_OF[landmark] for landmark in landmarks))):
            seen[:, body_joint(f"{side}_{name}")] = np.minimum(weight[:, twin].max(axis=1), 1.0)
    return seen


def landmark_table() -> LandmarkTable:
    """Return the table for both sides, ordered by landmark."""
    rows = [(index, *row) for index, row in {**_MIDDLE, **_LEFT}.items()]
    rows += [(_RIGHT_OF[index], *_mirrored(row)) for index, row in _LEFT.items()]
    rows.sort(key=lambda row: row[0])
    landmark = np.array([row[0] for row in rows])
    weight = np.where(np.isin(landmark, FACE), 0.6, np.where(np.isin(landmark, HANDS), 0.5, 1.0))
    return LandmarkTable(
        landmark, np.array([body_joint(row[1]) for row in rows]), np.array([body_joint(row[2]) for row in rows]),
        np.array([row[3] for row in rows], dtype=np.float64) / 1000.0, weight,
    )


def _mirrored(row: _Row) -> _Row:
    carrier, origin, (x, y, z) = row
    return carrier.replace("left", "right"), origin.replace("left", "right"), (-x, y, z)
