"""Boxes about people, found and followed by the embedded nets.

The nets tell 33 points inside a body; a box about those alone lacks the crown, the fingertips and the flesh. Each point is
therefore a disc whose radius was measured on rendered bodies (`benchmarks/person_boxes.py`), drawn at the body's own scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pose.blazepose.estimator import BlazePose
from ..pose.body_pose import ANKLES, ELBOWS, HEELS, HIPS, INDICES, KNEES, PINKIES, SHOULDERS, TOES, WRISTS
from ..pose.options import PoseOptions
from ..tracks import Observations, Progress, Track
from ..video import Clip
from .box_overlap import with_occlusion
from .box_paths import STEADY_S, bridged, steadied
from .boxes import PersonBoxes, Sighted
from .options import PeopleOptions

_MOUTH, _EYES, _EARS, _THUMBS = (9, 10), (2, 5), (7, 8), (21, 22)  # left, right


@dataclass(frozen=True)
class BoxRule:
    """How far a body goes beyond its landmarks, metres; measured on bodies without hair and in tight clothes."""

    head: float = 0.09
    crown: float = 0.035
    """From between the ears up to the middle of the head."""
    shoulder: float = 0.07
    elbow: float = 0.04
    wrist: float = 0.03
    finger: float = 0.02
    hip: float = 0.11
    knee: float = 0.055
    ankle: float = 0.05
    heel: float = 0.02
    toe: float = 0.04
    fingertip: float = 1.7
    """How many times as far from the wrist a finger ends as the knuckle that is told."""
    toe_tip: float = 0.92
    """The same of the toes, from the heel."""
    clothes: float = 0.01
    """What hair and clothes add all around."""


_LEAST_PX = 8.0  # somebody of whom less is in the picture is not in it


def sight_people(clip: Clip, people: PeopleOptions, on_progress: Progress | None = None) -> Sighted:
    """Return everybody in a clip, found and followed at draft quality; ids are those of the tracks.

    Frames in which somebody was not seen have no box, but for gaps of up to a fifth of a second. Raises what
    `BlazePose.estimate` raises.
    """
    seen = BlazePose(PoseOptions(quality="draft"), people).estimate(clip, on_progress)
    # What the estimator adds to the clip's warnings speaks of options that are not ours.
    return replace(sighted(seen), warnings=tuple(clip.warnings))


def sighted(seen: Observations) -> Sighted:
    """Return the boxes of people whose landmarks were read."""
    paths = [path for track in seen.tracks if (path := _path(track, seen)) is not None]
    told: dict[str, Any] = {name: seen.details[name] for name in ("runtime", "assets") if name in seen.details}
    return Sighted(seen.times_s, with_occlusion(paths), details={"by": "blazepose, draft", **told})


def _path(track: Track, seen: Observations) -> PersonBoxes | None:
    boxes = body_boxes(track.landmarks_px[track.seen], track.landmarks_m[track.seen])
    boxes = np.clip(boxes, 0.0, [seen.width, seen.height] * 2)
    inside = ((boxes[:, 2:] - boxes[:, :2]) >= _LEAST_PX).all(axis=1)
    if not inside.any():
        return None
    rows = np.flatnonzero(track.seen)[inside]
    path = PersonBoxes(track.id, rows + track.first_frame, boxes[inside].astype(np.float32), track.score[rows], np.zeros(len(rows), bool))
    return steadied(bridged(path, seen.times_s), seen.times_s, STEADY_S)


def body_boxes(landmarks_px: NDArray[Any], landmarks_m: NDArray[Any], rule: BoxRule = BoxRule()) -> NDArray[np.float64]:
    """Return the boxes (N,4) about whole bodies, of their landmarks (N,33,2) in pixels and (N,33,3) in metres, camera axes."""
    px, px_per_m = landmarks_px.astype(np.float64), scale_px(landmarks_px, landmarks_m)[:, None, None]
    limbs = [
        (SHOULDERS, rule.shoulder), (ELBOWS, rule.elbow), (WRISTS, rule.wrist), (HIPS, rule.hip), (KNEES, rule.knee),
        (ANKLES, rule.ankle), (HEELS, rule.heel),
    ]
    tips = [(fingers, WRISTS, rule.fingertip, rule.finger) for fingers in (PINKIES, INDICES, _THUMBS)]
    discs = [(_head(px, landmarks_m, px_per_m, rule.crown), rule.head)]
    discs += [(px[:, list(points)], radius) for points, radius in limbs]
    discs += [(_tips(px, points, root, share), radius) for points, root, share, radius in (*tips, (TOES, HEELS, rule.toe_tip, rule.toe))]
    low = [(centre - (radius + rule.clothes) * px_per_m).min(axis=1) for centre, radius in discs]
    high = [(centre + (radius + rule.clothes) * px_per_m).max(axis=1) for centre, radius in discs]
    return np.concatenate([np.min(low, axis=0), np.max(high, axis=0)], axis=1)


def scale_px(landmarks_px: NDArray[Any], landmarks_m: NDArray[Any]) -> NDArray[np.float64]:
    """Return how many pixels a metre is (N,): the spread of the points in the picture over theirs in the camera's plane."""
    spreads = [
        np.sqrt(((points - points.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2)))
        for points in (landmarks_px.astype(np.float64), landmarks_m[..., :2].astype(np.float64))
    ]
    return np.asarray(spreads[0] / np.maximum(spreads[1], 1e-6))


def _head(px: NDArray[np.float64], landmarks_m: NDArray[Any], px_per_m: NDArray[np.float64], crown_m: float) -> NDArray[np.float64]:
    """The middle (N,1,2) of the head, pixels: from between the ears the way that leads from the mouth to the eyes."""
    up = landmarks_m[:, list(_EYES)].mean(axis=1) - landmarks_m[:, list(_MOUTH)].mean(axis=1)
    up = up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-6)
    return np.asarray(px[:, list(_EARS)].mean(axis=1, keepdims=True) + px_per_m * crown_m * up[:, None, :2])


def _tips(px: NDArray[np.float64], points: Sequence[int], root: Sequence[int], share: float) -> NDArray[np.float64]:
    """Where limbs end (N,2,2): as far as points, times ``share``, from the points at their root."""
    return px[:, list(root)] + share * (px[:, list(points)] - px[:, list(root)])
