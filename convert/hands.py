"""Hands from hand landmarks: the palm turns the wrist, each finger bends as its bones were seen to.

Closed form a frame, then smoothed over time. Where a hand was not seen for long, the fingers rest and the wrist follows
the body's own fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ingest.tracks import Track
from ..motion.frames import opencv_to_gltf
from ..motion.rotations import matrix_to_quat, quat_apply, quat_inverse, quat_multiply, quat_slerp, quat_to_rotvec, rotvec_to_quat
from .body import FINGER_JOINTS, Body, body_joint
from .smooth import SmoothOptions, smooth_turns

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Landmarks of the 21-point hand that begin and end each finger bone, in the order of FINGER_JOINTS.
_BONES = [(first + step, first + step + 1) for first in (1, 5, 9, 13, 17) for step in range(3)]
_WRIST, _INDEX, _MIDDLE, _PINKY = 0, 5, 9, 17

# Ranges of human joints, radians from the rig's resting hand; beyond them the landmarks are wrong.
_FLEXION_RANGE = {"cmc": (-0.6, 0.6), "mcp": (-0.4, 1.6), "pip": (-0.2, 1.8), "dip": (-0.2, 1.3), "ip": (-0.3, 1.3)}
_SPREAD_RANGE = {"cmc": 0.6, "mcp": 0.35}
# A straight arm turns about itself at the shoulder and the forearm alike, more than half a circle in all: no limit there.
_WRIST_BEND_MOST = np.radians(100)
# A palm that is turned this far from most of what was seen around it was misread.
_ODD_TURN, _AROUND_S = np.radians(45), 0.12
# Hand landmarks jump in bursts; nothing that a finger does in less than this is told from them.
_LEAST_WINDOW_S = 0.07
_GLIMPSE_S = 0.15
# A single forearm bone: the wrist keeps part of the forearm's turn, so that neither end wrings the skin.
_TWIST_TO_FOREARM = 0.6


@dataclass(frozen=True)
class HandOptions:
    """How hands are driven."""

    hands: bool = True
    """Drive fingers and wrists from hand landmarks where hands were seen; --no-hands leaves them at rest."""
    min_hand_score: float = 0.5
    """Hands seen with less confidence than this are left at rest, 0 to 1."""
    min_hand_px: float = 18.0
    """Hands whose palm is shorter than this many pixels are left at rest: their fingers can't be told."""
    hand_gap_s: float = 0.5
    """Gaps up to this many seconds are bridged; in longer ones the hand eases into its rest."""


def drive_hands(
    body: Body, quat_xyzw: Array, track: Track, times_s: Array, options: HandOptions, smooth: SmoothOptions
) -> tuple[Array, Array]:
    """Return body turns (L,22,4) with the seen wrists, and finger turns (L,30,4) from rest; camera axes in, canonical out."""
    fingers = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (len(quat_xyzw), len(FINGER_JOINTS), 1))
    turns = quat_xyzw.copy()
    if not options.hands:
        return turns, fingers
    for side in (0, 1):
        seen = _usable(track, side, options, _glimpse_frames(times_s))
        if not seen.any():
            continue
        points = opencv_to_gltf(np.where(seen[:, None, None], track.hands_m[:, side], 0.0))
        palm = _palm(points, side)
        wrist, possible = _wrist_turn(body, turns, palm, side)
        seen = seen & possible
        seen = _without_glimpses(seen & _steady(palm, seen, times_s), _glimpse_frames(times_s))
        if not seen.any():
            continue
        own = slice(15 * side, 15 * side + 15)
        fingers[:, own] = _bridged(_finger_turns(body, points, palm, side), fingers[:, own], seen, times_s, options, smooth)
        _set_wrist(body, turns, wrist, seen, times_s, side, options, smooth)
    return turns, fingers


def _usable(track: Track, side: int, options: HandOptions, glimpse: int) -> Mask:
    """Frames (L,) in which a hand was seen well enough to drive fingers."""
    points_px = track.hands_px[:, side]
    palm_px = np.linalg.norm(points_px[:, _MIDDLE] - points_px[:, _WRIST], axis=-1)
    sure = (track.hand_score[:, side] >= options.min_hand_score) & np.isfinite(track.hands_m[:, side]).all((1, 2))
    # One size decides for the whole track, so that a hand near the limit does not flicker.
    if not sure.any() or np.median(palm_px[sure]) < options.min_hand_px:
        return np.zeros_like(sure)
    return _without_glimpses(sure, glimpse)


def _glimpse_frames(times_s: Array) -> int:
    return int(np.ceil(_GLIMPSE_S / np.median(np.diff(times_s)))) if len(times_s) > 1 else 1


def _steady(palm_xyzw: Array, seen: Mask, times_s: Array) -> Mask:
    """Frames (L,) whose palm is turned as most of the palms seen around them are."""
    steady = seen.copy()
    frames, reach_s = np.flatnonzero(seen), _AROUND_S + 1e-6
    first = np.searchsorted(times_s[frames], times_s[frames] - reach_s)
    last = np.searchsorted(times_s[frames], times_s[frames] + reach_s)
    for frame, start, stop in zip(frames, first, last, strict=True):
        around = frames[start:stop]
        near = around[np.abs(times_s[around] - times_s[frame]) <= _AROUND_S]
        apart = quat_to_rotvec(quat_multiply(quat_inverse(palm_xyzw[near]), palm_xyzw[frame]))
        steady[frame] = np.median(np.linalg.norm(apart, axis=-1)) < _ODD_TURN
    return steady


def _without_glimpses(seen: Mask, frames: int) -> Mask:
    """Drop runs shorter than ``frames``: a hand that shows for a moment is mostly something else."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(int)))
    kept = np.zeros_like(seen)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        kept[start:stop] = stop - start >= min(frames, len(seen))
    return kept


def _palm(points_m: Array, side: int) -> Array:
    """World turn (L,4) of the palm from its T-pose: fingers along ±X, thumb's side toward +Z."""
    sign = 1.0 if side == 0 else -1.0
    along = points_m[:, _MIDDLE] - points_m[:, _WRIST]
    across = points_m[:, _INDEX] - points_m[:, _PINKY]
    x = sign * along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    z = across - x * np.sum(across * x, axis=-1, keepdims=True)
    z = z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-9)
    matrix = np.stack([x, np.cross(z, x), z], axis=-1)
    degenerate = np.abs(np.linalg.det(matrix) - 1) > 1e-3
    return matrix_to_quat(np.where(degenerate[:, None, None], np.eye(3), matrix))


def _wrist_turn(body: Body, quat_xyzw: Array, palm_xyzw: Array, side: int) -> tuple[Array, Mask]:
    """The wrist's turn (L,4) from the forearm to the seen palm, and whether a wrist can turn so (L,)."""
    name = ("left", "right")[side]
    forearm = body.world_rotations(quat_xyzw)[:, body_joint(f"{name}_elbow")]
    local = quat_multiply(quat_inverse(forearm), palm_xyzw)
    _, bend = _twist_and_bend(local)
    return local, bend < _WRIST_BEND_MOST


def _twist_and_bend(local_xyzw: Array) -> tuple[Array, Array]:
    """Turn about the forearm (X), −π to π, and the angle (0 to π) by which the hand leaves the forearm's line."""
    twist = 2 * np.arctan2(local_xyzw[:, 0], local_xyzw[:, 3])
    twist = (twist + np.pi) % (2 * np.pi) - np.pi
    along = quat_apply(local_xyzw, np.broadcast_to(np.array([1.0, 0, 0]), (len(local_xyzw), 3)))
    return twist, np.arccos(np.clip(along[:, 0], -1, 1))


def _set_wrist(
    body: Body, turns: Array, wrist: Array, seen: Mask, times_s: Array, side: int, options: HandOptions, smooth: SmoothOptions
) -> None:
    """Put the seen wrist into ``turns``; most of its turn about the forearm is the forearm's."""
    name = ("left", "right")[side]
    elbow_row, wrist_row = body_joint(f"{name}_elbow"), body_joint(f"{name}_wrist")
    turn = _bridged(wrist[:, None], turns[:, wrist_row:wrist_row + 1], seen, times_s, options, smooth)[:, 0]
    twist = np.unwrap(_twist_and_bend(turn)[0])
    twist -= 2 * np.pi * np.round(np.median(twist) / (2 * np.pi))
    half = rotvec_to_quat(np.stack([_TWIST_TO_FOREARM * twist, np.zeros_like(twist), np.zeros_like(twist)], axis=-1))
    turns[:, elbow_row] = quat_multiply(turns[:, elbow_row], half)
    turns[:, wrist_row] = quat_multiply(quat_inverse(half), turn)


def _finger_turns(body: Body, points_m: Array, palm_xyzw: Array, side: int) -> Array:
    """Turns (L,15,4) of one hand's finger joints from rest, told in T-pose axes, each within its human range."""
    turns = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (len(points_m), len(_BONES), 1))
    into_palm = quat_inverse(palm_xyzw)
    above = identity = turns[:, 0].copy()
    for row, (start, end) in enumerate(_BONES):
        joint = FINGER_JOINTS[15 * side + row].rsplit("_", 1)[1]
        rest, axis = body.finger_direction[15 * side + row], body.finger_axis[15 * side + row]
        if not axis.any():
            continue
        above = identity if row % 3 == 0 else above
        seen = quat_apply(quat_inverse(above), quat_apply(into_palm, points_m[:, end] - points_m[:, start]))
        turns[:, row] = _bone_turn(seen, rest, axis, _FLEXION_RANGE[joint], _SPREAD_RANGE.get(joint, 0.0))
        above = quat_multiply(above, turns[:, row])
    return turns


def _bone_turn(seen: Array, rest: Array, axis: Array, flexion_range: tuple[float, float], spread_most: float) -> Array:
    """The turn (L,4) that bends a bone from ``rest`` toward where it was ``seen``: flexion about ``axis``, then spread."""
    closing = np.cross(axis, rest)
    along, toward, aside = seen @ rest, seen @ closing, seen @ axis
    flexion = np.clip(np.arctan2(toward, along), *flexion_range)
    spread = np.clip(np.arctan2(aside, np.hypot(along, toward)), -spread_most, spread_most)
    return quat_multiply(rotvec_to_quat(flexion[:, None] * axis), rotvec_to_quat(-spread[:, None] * closing))


def _bridged(turns: Array, resting: Array, seen: Mask, times_s: Array, options: HandOptions, smooth: SmoothOptions) -> Array:
    """Smooth seen turns (L,J,4), bridge short gaps, and ease into ``resting`` in long ones."""
    bridged = smooth_turns(turns, times_s, seen, smooth, least_s=_LEAST_WINDOW_S)
    share = np.clip((_seconds_away(times_s, times_s[seen]) - options.hand_gap_s / 2) / max(options.hand_gap_s / 2, 1e-6), 0.0, 1.0)
    share = share * share * (3 - 2 * share)
    for joint in range(bridged.shape[1]):
        bridged[:, joint] = quat_slerp(bridged[:, joint], resting[:, joint], share)
    return bridged


def _seconds_away(times_s: Array, seen_s: Array) -> Array:
    """How far each time (L,) is from the nearest of some (N,), both rising."""
    after = np.searchsorted(seen_s, times_s)
    neighbours = seen_s[np.stack([np.maximum(after - 1, 0), np.minimum(after, len(seen_s) - 1)])]
    return np.asarray(np.abs(times_s - neighbours).min(axis=0))
