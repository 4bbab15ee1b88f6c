"""Gaps filled from what was seen around them; what was seen is never touched.

A short gap is crossed the short way between its two ends. Nobody knows what happened in a long one: it is crossed
between the mean poses before and after it, which a single odd frame at its edge can't spoil.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import IDENTITY_XYZW, quat_continuous, quat_normalize, quat_slerp

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Frames = NDArray[np.intp]
Blend = Callable[[Array, Array, Array], Array]

SHORT_GAP_S = 0.5
# SAM-Body4D takes the mean of so many visible frames, and holds on to a gap's edge by 0.82, 0.65 and 0.45 in the three
# frames beside it; the shares after these go on to nothing, so that the last of them is no step.
_NEAREST = 5
_EDGE_SHARES = (1.0, 0.82, 0.65, 0.45, 0.25, 0.1, 0.0)


def whole_turns(quat_xyzw: Array, times_s: Array, seen: Mask) -> tuple[Array, Mask]:
    """Return unit turns (F,J,4), continuous in sign and without gaps, and which of them (F,J) were seen.

    ``seen`` is (F,) or (F,J); what is not finite, or has no length, was not seen. Between seen neighbours the short way is
    taken, at even speed; the ends are held; a joint that was never seen gets the identity.
    """
    mask, quat = _full_mask(seen, quat_xyzw.shape[:2]), np.asarray(quat_xyzw, dtype=np.float64)
    mask &= np.isfinite(quat).all(-1)
    mask &= np.linalg.norm(np.where(mask[..., None], quat, 0.0), axis=-1) > 1e-6
    known = quat_normalize(np.where(mask[..., None], quat, IDENTITY_XYZW))
    return quat_continuous(_between(known, times_s, mask, quat_slerp)), mask


def whole_places(places_m: Array, times_s: Array, seen: Mask) -> tuple[Array, Mask]:
    """Return places (F,N,C) without gaps, and which of them (F,N) were seen: as `whole_turns`, along straight lines.

    A point that was never seen stays at 0.
    """
    mask, places = _full_mask(seen, places_m.shape[:2]), np.asarray(places_m, dtype=np.float64)
    mask &= np.isfinite(places).all(-1)
    return _between(np.where(mask[..., None], places, 0.0), times_s, mask, _straight), mask


def bridge_turns(quat_xyzw: Array, times_s: Array, seen: Mask, short_gap_s: float = SHORT_GAP_S) -> Array:
    """Fill the gaps of turns (F,J,4): the short way in gaps up to ``short_gap_s``, between mean poses in longer ones."""
    filled, mask = whole_turns(quat_xyzw, times_s, seen)
    return quat_continuous(_bridged(filled, times_s, mask, short_gap_s, quat_slerp, quat_normalize))


def bridge_places(places_m: Array, times_s: Array, seen: Mask, short_gap_s: float = SHORT_GAP_S) -> Array:
    """Fill the gaps of places (F,N,3), metres, as `bridge_turns` does those of turns."""
    filled, mask = whole_places(places_m, times_s, seen)
    return _bridged(filled, times_s, mask, short_gap_s, _straight, np.asarray)


def long_gaps(seen: Mask, times_s: Array, short_gap_s: float = SHORT_GAP_S) -> Mask:
    """Tell which values (F,J) lie in gaps whose seen ends, or the clip's, are further apart than ``short_gap_s``."""
    before, after = _neighbours(seen)
    frame = np.arange(len(seen))[:, None]
    start = np.where(before < frame, times_s[before], times_s[0])
    stop = np.where(after > frame, times_s[after], times_s[-1])
    return np.asarray(~seen & (stop - start > short_gap_s))


def _full_mask(seen: Mask, shape: tuple[int, ...]) -> Mask:
    mask = np.asarray(seen, dtype=bool)
    return np.broadcast_to(mask if mask.ndim == 2 else mask[:, None], shape).copy()


def _straight(start: Array, end: Array, share: Array) -> Array:
    return np.asarray(start + (end - start) * share[..., None])


def _neighbours(mask: Mask) -> tuple[Frames, Frames]:
    """For each value (F,J) the frames of the last seen one and of the next; at the ends both are the one that there is."""
    frames = np.arange(len(mask))[:, None]
    last = np.maximum.accumulate(np.where(mask, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(mask, frames, len(mask))[::-1], axis=0)[::-1]
    before = np.where(last < 0, np.minimum(after, len(mask) - 1), last)
    return before, np.where(after >= len(mask), before, after)


def _share(times_s: Array, frame: Frames, before: Frames, after: Frames) -> Array:
    """How far between its neighbours a frame lies in time, 0…1."""
    span = times_s[after] - times_s[before]
    return np.clip((times_s[frame] - times_s[before]) / np.where(span > 0, span, 1.0), 0.0, 1.0)


def _between(values: Array, times_s: Array, mask: Mask, blend: Blend) -> Array:
    """Fill the unseen among values (F,J,C) from their seen neighbours; a joint without any keeps what it has."""
    before, after = _neighbours(mask)
    frame, joint = np.nonzero(~mask & mask.any(0))
    first, last = before[frame, joint], after[frame, joint]
    filled = values.copy()
    filled[frame, joint] = blend(values[first, joint], values[last, joint], _share(times_s, frame, first, last))
    return filled


def _bridged(filled: Array, times_s: Array, mask: Mask, short_gap_s: float, blend: Blend, unit: Callable[[Array], Array]) -> Array:
    """Cross the long gaps of values (F,J,C) anew, between the means at both of their ends."""
    before, after = _neighbours(mask)
    frame, joint = np.nonzero(long_gaps(mask, times_s, short_gap_s) & mask.any(0))
    if not len(frame):
        return filled
    first, last = before[frame, joint], after[frame, joint]
    mean_before, mean_after = (unit(mean[frame, joint]) for mean in _means(filled, mask, before, after))
    # Before the first that was seen there is nothing to come from.
    share = np.where(first > frame, 1.0, _share(times_s, frame, first, last))
    crossing = blend(mean_before, mean_after, share * share * (3 - 2 * share))
    for edge in (first, last):
        away = np.abs(times_s[frame] - times_s[edge]) / np.median(np.diff(times_s))
        crossing = blend(crossing, filled[edge, joint], np.interp(away, np.arange(len(_EDGE_SHARES)), _EDGE_SHARES))
    bridged = filled.copy()
    bridged[frame, joint] = crossing
    return bridged


def _means(values: Array, mask: Mask, before: Frames, after: Frames) -> tuple[Array, Array]:
    """Sums over the nearest seen values (F,J,C), divided by their number: up to ``before``, and from ``after`` on."""
    joints = np.arange(mask.shape[1])
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(np.where(mask[..., None], values, 0.0), axis=0)])
    seen_first = np.argsort(~mask, axis=0, kind="stable")  # (F,J): the seen frames of each joint in order, then the others
    rank = np.cumsum(mask, axis=0) - 1
    start = seen_first[np.maximum(rank[before, joints] - _NEAREST + 1, 0), joints]
    most = np.maximum(mask.sum(0) - 1, 0)
    stop = seen_first[np.minimum(rank[after, joints] + _NEAREST - 1, most), joints]
    count_before = np.minimum(rank[before, joints] + 1, _NEAREST)
    count_after = np.minimum(most - rank[after, joints] + 1, _NEAREST)
    mean_before = (total[before + 1, joints] - total[start, joints]) / np.maximum(count_before, 1)[..., None]
    mean_after = (total[stop + 1, joints] - total[after, joints]) / np.maximum(count_after, 1)[..., None]
    return mean_before, mean_after
