"""Measures where BlazePose's landmarks lie on rendered bodies: the offsets of convert/fitting/landmarks.py, on the tuning seeds.

    python -m benchmarks.landmark_offsets [--quality high] [--folder DIR]

A landmark at offset o (T-pose axes) from joint x of a body turned by G lies at x + s·G·o, s the body's height over the
table's; its pixel must lie on that point's ray, which is linear in o. Both sides together, the right one mirrored.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigdrop.convert.body import Body, body_joint
from rigdrop.convert.fit import Lens, rig_height_m
from rigdrop.convert.fitting.landmarks import REFERENCE_HEIGHT_M, landmark_table
from rigdrop.ingest.tracks import Track
from rigdrop.motion.kinematics import world_transforms
from rigdrop.motion.take import Take

from .clips import cases, rendered
from .kept import QUALITIES, add_folder, clips_folder, observed
from .table import shown, table

Array = NDArray[np.float64]

# landmark: its twin on the right, its name, and the joints that might carry it, (carrier, origin)
_RIDES: dict[int, tuple[int | None, str, tuple[tuple[str, str], ...]]] = {
    0: (None, "nose", (("head", "head"),)),
    2: (5, "eye", (("head", "head"),)),
    7: (8, "ear", (("head", "head"),)),
    11: (12, "shoulder", (("left_clavicle", "left_shoulder"), ("spine_3", "left_shoulder"), ("left_shoulder", "left_shoulder"))),
    13: (14, "elbow", (("left_elbow", "left_elbow"), ("left_shoulder", "left_elbow"))),
    15: (16, "wrist", (("left_wrist", "left_wrist"), ("left_elbow", "left_wrist"))),
    17: (18, "pinky", (("left_wrist", "left_wrist"),)),
    19: (20, "index", (("left_wrist", "left_wrist"),)),
    21: (22, "thumb", (("left_wrist", "left_wrist"),)),
    23: (24, "hip", (("pelvis", "left_hip"), ("left_hip", "left_hip"))),
    25: (26, "knee", (("left_knee", "left_knee"), ("left_hip", "left_knee"))),
    27: (28, "ankle", (("left_ankle", "left_ankle"), ("left_knee", "left_ankle"))),
    29: (30, "heel", (("left_ankle", "left_ankle"),)),
    31: (32, "toe", (("left_foot", "left_foot"), ("left_ankle", "left_foot"))),
}
_SURE_VISIBILITY = 0.6
# A ray that misses by more is of a landmark that the net put elsewhere.
_HUBER_M = 0.02
_STEPS = 12


@dataclass(frozen=True, eq=False)
class Sight:
    """A body whose truth is known, and the rays of its landmarks; glTF camera axes."""

    place_m: Array  # (F,22,3), the joints
    turn: Array  # (F,22,3,3), canonical: the identity in the T-pose
    rays: Array  # (F,33,2), at depth 1
    weight: Array  # (F,33), 0 where not seen or not sure
    size: float  # the body's height over the table's


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", choices=QUALITIES, default="high", help="how landmarks are read")
    add_folder(parser)
    arguments = parser.parse_args()
    made, sights = clips_folder(arguments.folder), []
    for case in cases(tuning=True):
        clip, truth = rendered(case, made)
        tracks = observed(clip, arguments.quality, made).tracks
        sights.append(sight(truth, max(tracks, key=lambda track: int(track.seen.sum()))))
    print(_report(sights))


def sight(truth: Take, track: Track) -> Sight:
    """Put a clip's truth and its landmarks together, over the frames of the track."""
    person, intrinsics, frames = truth.people[0], truth.camera.intrinsics_px, track.frames
    motion, body = person.motion, Body.of(person.rig)
    T_world = world_transforms(person.rig, motion.local_quat_xyzw[frames], motion.local_translation_m[frames])[:, body.joint_index]
    T_camera = np.linalg.inv(truth.camera.world_from_camera) @ T_world
    rest = body.R_canonical_rest @ body.T_world_rest[body.joint_index, :3, :3]
    visibility = np.nan_to_num(track.visibility)
    weight = np.where(track.seen[:, None] & (visibility > _SURE_VISIBILITY), visibility, 0.0)
    rays = Lens(float(intrinsics[0, 0]), float(intrinsics[0, 2]), float(intrinsics[1, 2])).rays(np.nan_to_num(track.landmarks_px))
    size = rig_height_m(body) / REFERENCE_HEIGHT_M
    return Sight(T_camera[..., :3, 3], T_camera[..., :3, :3] @ np.swapaxes(rest, 1, 2), rays, weight, size)


def offset_of(sights: Sequence[Sight], landmark: int, right: int | None, carrier: str, origin: str) -> tuple[Array, float]:
    """The offset (3,) of a left landmark, metres, told from ``origin`` in the axes of ``carrier``, and how far rays miss it."""
    parts = [_rows(seen, landmark, carrier, origin, np.ones(3)) for seen in sights]
    if right is not None:
        twins = carrier.replace("left", "right"), origin.replace("left", "right")
        parts += [_rows(seen, right, *twins, np.array([-1.0, 1.0, 1.0])) for seen in sights]
    design, known, base = (np.concatenate(column) for column in zip(*parts, strict=True))
    gain, offset = base, np.zeros(3)
    for _ in range(_STEPS):
        weighted = design * gain[:, None]
        offset = np.linalg.solve(weighted.T @ design + 1e-9 * np.eye(3), weighted.T @ known)
        miss = np.abs(design @ offset - known)
        gain = base * np.minimum(1.0, _HUBER_M / np.maximum(miss, 1e-9))
    return offset, float(np.sqrt((np.minimum(miss, 2.5 * _HUBER_M) ** 2 * base).sum() / base.sum()))


def _rows(seen: Sight, landmark: int, carrier: str, origin: str, mirror: Array) -> tuple[Array, Array, Array]:
    """Linear equations (N,3), (N,) in the offset, and weights: with depth D = -z, x = u·D is x + u·z = 0, and so for y."""
    turn, place = seen.turn[:, body_joint(carrier)] * mirror * seen.size, seen.place_m[:, body_joint(origin)]
    rays = seen.rays[:, landmark]
    design = np.concatenate([turn[:, axis] + rays[:, axis, None] * turn[:, 2] for axis in (0, 1)])
    known = -np.concatenate([place[:, axis] + rays[:, axis] * place[:, 2] for axis in (0, 1)])
    return design, known, np.tile(seen.weight[:, landmark], 2)


def _report(sights: Sequence[Sight]) -> str:
    used = landmark_table()
    rows = []
    for landmark, (right, name, rides) in _RIDES.items():
        row = used.landmark.tolist().index(landmark)
        in_use = used.carrier[row], used.origin[row]
        for carrier, origin in rides:
            offset, miss = offset_of(sights, landmark, right, carrier, origin)
            ours = in_use == (body_joint(carrier), body_joint(origin))
            told = " ".join(shown(1000 * value, 0) for value in used.offset_m[row]) if ours else "–"
            rows.append([name, carrier, origin, " ".join(shown(1000 * value, 0) for value in offset), told, shown(1000 * miss)])
    return table(("landmark", "turns with", "told from", "measured mm", "in convert/fitting/landmarks.py", "rays miss by mm"), rows)


if __name__ == "__main__":
    main()
