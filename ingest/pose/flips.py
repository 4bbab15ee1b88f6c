"""Left and right over time: frames in which a net called the person's left their right, found and put right.

A net that takes a front for a back, or one leg for the other, makes every limb jump to its twin's place and later back. So
each frame is either as read or swapped, and the cheapest path through the clip is taken (Viterbi): motion costs what the
limbs move, a swap costs a little per second, and hands that look like the other side's speak for one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..tracks import LEFT, RIGHT, Track
from .body_pose import LEGS, LIMBS, SWAPPED

Values = NDArray[np.float32]

_LEG_ORDER = np.where(np.isin(np.arange(33), LEGS), SWAPPED, np.arange(33))
_MAX_STEP_M = 0.5  # of one point; more is a jump, however far
_MAX_GAP_S = 0.5  # across longer gaps nothing is known of the motion
_CHANGE_COST_M = 0.3
_SWAPPED_COST_M_S = 1.5  # of each second that is called swapped: about five seconds can be outweighed by two jumps
_HAND_COST_M = 0.1  # of one hand that looks like the other side's, in one frame
_SURE_HANDS, _MAX_HANDEDNESS = 10, 0.3


@dataclass(frozen=True)
class _Points:
    """Which points are compared, and what swapping does to all of them."""

    compared: tuple[int, ...]
    order: NDArray[np.intp]


_BODY = _Points(LIMBS, SWAPPED)
_LEGS = _Points(LEGS, _LEG_ORDER)


def unflip(track: Track, times_s: NDArray[np.float64], sidedness: NDArray[np.floating]) -> tuple[Track, NDArray[np.bool_]]:
    """Return the track with its sides set right, and the frames (L,) in which anything was swapped.

    ``times_s`` (L,) belongs to the track's frames. ``sidedness`` (L,2) says how much the hand read at each wrist looks like
    one of that side, 0…1, NaN where none was seen.
    """
    seen = np.flatnonzero(track.seen)
    if len(seen) < 2:
        return track, np.zeros(len(track.seen), dtype=bool)
    whole = _swapped_frames(track.landmarks_m[seen], times_s[seen], _BODY, _hand_costs(sidedness[seen]))
    whole = _unless_all(whole, sidedness[seen])
    swapped = np.zeros(len(track.seen), dtype=bool)
    swapped[seen] = whole
    track = _swap(track, swapped, SWAPPED, hands=True)
    legs = np.zeros_like(swapped)
    legs[seen] = _swapped_frames(track.landmarks_m[seen], times_s[seen], _LEGS, np.zeros(len(seen)))
    return _swap(track, legs, _LEG_ORDER, hands=False), swapped | legs


def _hand_costs(sidedness: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what the hands (L,2) of each frame say against a swap, in metres of motion."""
    return np.asarray(_HAND_COST_M * np.nansum(2 * sidedness - 1, axis=1), dtype=np.float64)


def _unless_all(swapped: NDArray[np.bool_], sidedness: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Turn a verdict round that finds most of a track swapped, unless the hands are sure of it."""
    if swapped.mean() <= 0.5:
        return swapped
    hands = sidedness[np.isfinite(sidedness)]
    as_found = np.where(swapped[:, None], 1 - sidedness, sidedness)
    sure = len(hands) >= _SURE_HANDS and hands.mean() < _MAX_HANDEDNESS and np.nanmean(as_found) > 1 - _MAX_HANDEDNESS
    return swapped if sure else ~swapped


def _swapped_frames(
    points_m: NDArray[np.floating], times_s: NDArray[np.float64], points: _Points, evidence: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which of N frames are swapped on the cheapest path; ``evidence`` (N,) is added to the cost of each swap."""
    order = list(points.compared)
    gaps_s = np.diff(times_s)
    known = (gaps_s <= _MAX_GAP_S).astype(float)
    stay = _steps_m(points_m[:-1][:, order], points_m[1:][:, order]) * known
    change = _steps_m(points_m[:-1][:, order], points_m[1:][:, points.order][:, order]) * known + _CHANGE_COST_M
    frame_s = np.concatenate([[np.median(gaps_s)], np.minimum(gaps_s, np.median(gaps_s))])
    swapped_cost = _SWAPPED_COST_M_S * frame_s + evidence
    return _cheapest_path(stay, change, swapped_cost)


def _steps_m(before: NDArray[np.floating], after: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.minimum(np.linalg.norm(after - before, axis=-1), _MAX_STEP_M).sum(axis=-1, dtype=np.float64))


def _cheapest_path(stay: NDArray[np.float64], change: NDArray[np.float64], swapped_cost: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the states (N,) of least cost, given the costs (N-1,) of staying and changing and (N,) of being swapped."""
    count = len(swapped_cost)
    came_from = np.zeros((count, 2), dtype=np.int8)
    cost = np.array([0.0, swapped_cost[0]])
    for frame in range(1, count):
        # ways[i, j]: from state i before to state j now.
        ways = cost[:, None] + np.array([[stay[frame - 1], change[frame - 1]], [change[frame - 1], stay[frame - 1]]])
        came_from[frame] = ways.argmin(axis=0)
        cost = ways.min(axis=0) + (0.0, swapped_cost[frame])
    path = np.empty(count, dtype=np.int8)
    path[-1] = cost.argmin()
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path.astype(bool)


def _swap(track: Track, frames: NDArray[np.bool_], order: NDArray[np.intp], hands: bool) -> Track:
    """Reorder the body's points, and exchange the hands, in some frames (L,)."""
    if not frames.any():
        return track

    def body(values: Values) -> Values:
        return _reordered(values, frames, order)

    def both(values: Values) -> Values:
        return _reordered(values, frames, np.array([RIGHT, LEFT])) if hands else values

    return replace(
        track, landmarks_px=body(track.landmarks_px), landmarks_m=body(track.landmarks_m), visibility=body(track.visibility),
        hands_px=both(track.hands_px), hands_m=both(track.hands_m), hand_score=both(track.hand_score),
    )


def _reordered(values: Values, frames: NDArray[np.bool_], order: NDArray[np.intp]) -> Values:
    """Return values (L,N,…) with the points of some frames (L,) in another order."""
    reordered = values.copy()
    reordered[frames] = values[frames][:, order]
    return reordered
