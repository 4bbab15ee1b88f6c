"""Hands that a hand net found, given to bodies and put onto them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...errors import ReadError
from ...motion.rotations import quat_continuous, quat_inverse, quat_multiply, quat_slerp, quat_to_rotvec
from ...motion.smpl_joints import JOINT_NAMES, SIDES, fingers
from ..recording import SmplMotion
from .options import HandMergeOptions

Floats = NDArray[np.float64]

FINGERS = 15  # joints of a hand, in MANO's order
_FAR = 1e9


@dataclass(frozen=True, eq=False)
class HandDetections:
    """The N hands that a net found in the pictures of a clip; turns are those of a hand of its own side, mirrored already."""

    frame_count: int
    frame: NDArray[np.intp]  # (N,)
    side: NDArray[np.intp]  # (N,), 0 left, 1 right
    finger_quat_xyzw: Floats  # (N,15,4), local
    wrist_quat_xyzw: Floats  # (N,4), in OpenCV's camera axes; NaN where the file doesn't say
    wrist_px: Floats  # (N,2), NaN where the file doesn't say
    size_px: Floats  # (N,), the longer side of the hand's box; NaN where the file doesn't say


@dataclass(frozen=True, eq=False)
class HandTrack:
    """One body's hands over F frames, left and right; a hand that was not found is NaN."""

    finger_quat_xyzw: Floats  # (F,2,15,4), local
    wrist_quat_xyzw: Floats  # (F,2,4), in OpenCV's camera axes


def assign_hands(hands: HandDetections, wrists_px: Floats, options: HandMergeOptions | None = None) -> list[HandTrack]:
    """Give hands to P bodies, one to one in each frame, by the distance of wrists in the picture; never by size.

    ``wrists_px`` (F,P,2,2) are the bodies' wrists in pixels, left first, NaN where unknown. Where either wrist's place is
    unknown, a hand goes to the only body there is, if it is the only one of its side in that frame. Hands that are
    nobody's are left out.
    """
    options = options or HandMergeOptions()
    frames, people = wrists_px.shape[:2]
    owner = np.full(len(hands.frame), -1)
    for frame in np.unique(hands.frame[hands.frame < frames]):
        for side in range(2):
            found = np.flatnonzero((hands.frame == frame) & (hands.side == side))
            owner[found] = _owners(hands, found, wrists_px[frame, :, side], options.reach)
    return [_track(hands, owner == person, frames) for person in range(people)]


def _owners(hands: HandDetections, found: NDArray[np.intp], wrists_px: Floats, reach: float) -> NDArray[np.intp]:
    """Return for each of a frame's hands of one side (n,) the body (P) that it is given to, or -1."""
    owner = np.full(len(found), -1)
    if len(found) == 1 and len(wrists_px) == 1 and not np.isfinite(hands.wrist_px[found[0]] + wrists_px[0]).all():
        return np.zeros(1, dtype=np.intp)
    apart = np.linalg.norm(hands.wrist_px[found][:, None] - wrists_px[None], axis=-1)
    size = np.where(np.isfinite(hands.size_px[found]), hands.size_px[found], np.inf)[:, None]
    near = np.isfinite(apart) & (apart <= reach * size)
    rows, columns = linear_sum_assignment(np.where(near, apart, _FAR))
    given = near[rows, columns]
    owner[rows[given]] = columns[given]
    return owner


def _track(hands: HandDetections, mine: NDArray[np.bool_], frames: int) -> HandTrack:
    finger, wrist = np.full((frames, 2, FINGERS, 4), np.nan), np.full((frames, 2, 4), np.nan)
    frame, side = hands.frame[mine], hands.side[mine]
    finger[frame, side], wrist[frame, side] = hands.finger_quat_xyzw[mine], hands.wrist_quat_xyzw[mine]
    return HandTrack(finger, wrist)


def merge_hands(
    motion: SmplMotion, hands: HandTrack, times_s: Floats, elbow_quat_xyzw: Floats | None = None, options: HandMergeOptions | None = None,
) -> SmplMotion:
    """Return the body's motion with the fingers of a hand net, and its wrists where they agree with the body's.

    ``elbow_quat_xyzw`` (F,2,4) are the elbows' turns in OpenCV's camera axes, in which the net's wrists are; without them
    the body's wrists stay. Short gaps are filled the short way on SO(3), long ones are flat; ``hands_seen`` is False in
    both. Raises `ReadError` for a body without fingers, and where the hands have another count of frames.
    """
    options = options or HandMergeOptions()
    names, frames = JOINT_NAMES[motion.model], motion.frame_count
    if motion.model == "smpl":
        raise ReadError("hands: found a body of 24 joints without fingers, expected SMPL-H or SMPL-X")
    if len(hands.finger_quat_xyzw) != frames:
        raise ReadError(f"hands: found {len(hands.finger_quat_xyzw)} frames, expected {frames}, as the body has")
    there = np.asarray(np.isfinite(motion.quat_xyzw).all(axis=(1, 2)))
    seen = np.isfinite(hands.finger_quat_xyzw).all(axis=(2, 3)) & there[:, None]
    quat = motion.quat_xyzw.copy()
    for side, label in enumerate(SIDES):
        columns = [names.index(name) for name in fingers(label)]
        quat[:, columns] = filled_fingers(hands.finger_quat_xyzw[:, side], seen[:, side], times_s, options.gap_s)
        if elbow_quat_xyzw is not None:
            wrist = names.index(f"{label}_wrist")
            told = _wrist(quat[:, wrist], hands.wrist_quat_xyzw[:, side], elbow_quat_xyzw[:, side], options.wrist_limit_deg)
            quat[:, wrist] = np.where(seen[:, side, None], told, quat[:, wrist])
    quat[~there] = np.nan
    return replace(motion, quat_xyzw=quat, hands_seen=seen)


def filled_fingers(quat_xyzw: Floats, seen: NDArray[np.bool_], times_s: Floats, gap_s: float) -> Floats:
    """Return finger turns (F,15,4) finite everywhere: gaps of up to ``gap_s`` filled between their neighbours, longer ones flat.

    A gap at an end of the clip has one neighbour, and keeps its pose if it is short.
    """
    flat = np.tile((0.0, 0.0, 0.0, 1.0), (*quat_xyzw.shape[:2], 1))
    known = np.flatnonzero(seen)
    if not len(known):
        return flat
    later = np.searchsorted(known, np.arange(len(seen)))
    before, after = known[np.maximum(later - ~seen, 0)], known[np.minimum(later, len(known) - 1)]
    apart_s = times_s[after] - times_s[before]
    share = (times_s - times_s[before]) / np.where(apart_s > 0, apart_s, 1.0) * (apart_s > 0)
    between = quat_slerp(quat_xyzw[before], quat_xyzw[after], np.broadcast_to(share[:, None], quat_xyzw.shape[:2]))
    short = _gap_lengths(before, after, seen, times_s) <= gap_s
    return quat_continuous(np.where((seen | short)[:, None, None], between, flat))


def _gap_lengths(before: NDArray[np.intp], after: NDArray[np.intp], seen: NDArray[np.bool_], times_s: Floats) -> Floats:
    """Return how long the gap is that each frame (F,) lies in: as many steps as it has frames; 0 for frames that were seen."""
    if len(times_s) < 2:
        return np.zeros(len(times_s))
    step_s = float(np.median(np.diff(times_s)))
    inside = times_s[after] - times_s[before] - step_s
    at_end = np.where(np.arange(len(seen)) < before, times_s[before] - times_s[0], times_s[-1] - times_s[before])
    # A millionth of a step: frames at even times are not even to the last bit.
    return np.where(seen, 0.0, np.where(before == after, at_end, inside) - 1e-6 * step_s)


def _wrist(body_xyzw: Floats, hand_in_camera_xyzw: Floats, elbow_in_camera_xyzw: Floats, limit_deg: float) -> Floats:
    """Return local wrist turns (F,4): the hand net's, seen from the elbow, where near enough to the body's, else the body's."""
    hand = quat_multiply(quat_inverse(elbow_in_camera_xyzw), hand_in_camera_xyzw)
    apart = np.linalg.norm(quat_to_rotvec(quat_multiply(quat_inverse(body_xyzw), hand)), axis=-1)
    return np.where((apart <= np.radians(limit_deg))[:, None], hand, body_xyzw)
