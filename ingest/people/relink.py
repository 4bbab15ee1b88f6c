"""From strands to people: double readings left out, crossed strands exchanged, broken ones joined, brief ones dropped.

The same strands always give the same people in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..pose.body_pose import torsos_apart
from .appearance import colour_distance
from .options import PeopleOptions
from .sightings import Chain
from .strand import change_cost

_SAME_TORSOS = 0.35
_MIN_SHARED_FRAMES = 3
_MAX_JOIN_COST = 1.5
_MIN_MEAN_SCORE = 0.6
_BRIEF_S, _MIN_BRIEF_SCORE = 1.0, 0.9  # false alarms are brief and score 0.85 and less; people score 0.98
_END = 10  # sightings that say how somebody moves, and what they wear, at an end
# Somebody who is lost is misread for this long; what goes on from there may begin before the last of it.
_MAX_OVERLAP_S = 0.2
# A crossing: one is unseen while the other is this near to the way between, in torso lengths.
_CROSSING_TORSOS = 1.2
_OTHER_CLOTHES, _EXCHANGE_GAIN = 0.35, 0.2


def people_of(strands: Sequence[Chain], fps: Fraction, options: PeopleOptions) -> list[Chain]:
    """Return each person's sightings in order of time; people in order of their first sighting, then from left to right."""
    chains = _join(_without_doubles(strands), fps, options.relink_s)
    _uncross(chains)
    people = [chain for chain in chains if _counts(chain, fps, options.min_visible_s)]
    if options.max_people:
        people = sorted(people, key=_presence, reverse=True)[: options.max_people]
    return sorted(people, key=lambda chain: (chain.first_frame, float(chain.part(slice(1)).centre_px[0, 0])))


def _counts(chain: Chain, fps: Fraction, min_visible_s: float) -> bool:
    """Say whether somebody is seen for long enough, and well enough not to be a poster or a coat."""
    score = float(chain.score.mean(dtype=np.float64))
    brief = len(chain) < _BRIEF_S * fps
    return len(chain) >= min_visible_s * fps and score >= (_MIN_BRIEF_SCORE if brief else _MIN_MEAN_SCORE)


def _presence(chain: Chain) -> float:
    """Return how large and long somebody is in the picture: the sum of torso lengths over frames."""
    return float(chain.length_px.sum())


def _without_doubles(chains: Sequence[Chain]) -> list[Chain]:
    """Keep the longer of two chains that read one person for most of their shared time, with what only the other saw."""
    kept: list[Chain] = []
    ends = np.empty((len(chains), 2))
    for chain in sorted(chains, key=lambda one: (-len(one), one.first_frame, int(one.strand[0]))):
        meeting = _meeting(ends[: len(kept)], chain)
        twin = next((place for place in meeting if _are_one(kept[place], chain)), len(kept))
        if twin == len(kept):
            kept.append(chain)
        else:
            kept[twin] = kept[twin].with_others(chain.part(~np.isin(chain.frame, kept[twin].frame)))
        ends[twin] = kept[twin].first_frame, kept[twin].last_frame
    return kept


def _meeting(ends: NDArray[np.float64], chain: Chain) -> list[int]:
    """Return which of chains from first to last frame, ``ends`` (N,2), share time with another one."""
    return np.flatnonzero((ends[:, 0] <= chain.last_frame) & (ends[:, 1] >= chain.first_frame)).tolist()


def _are_one(one: Chain, other: Chain) -> bool:
    shared, in_one, in_other = np.intersect1d(one.frame, other.frame, assume_unique=True, return_indices=True)
    if len(shared) < _MIN_SHARED_FRAMES:
        return False
    apart = torsos_apart(one.torso_px[in_one].astype(np.float64), other.torso_px[in_other].astype(np.float64))
    return float(np.median(apart)) < _SAME_TORSOS


def _join(chains: Sequence[Chain], fps: Fraction, relink_s: float) -> list[Chain]:
    """Join ends to beginnings that follow within the time allowed, the best pair first."""
    left = dict(enumerate(chains))
    first, last = (np.array([getattr(chain, end) for chain in chains], dtype=np.float64) for end in ("first_frame", "last_frame"))
    overlap, gap = _MAX_OVERLAP_S * fps, relink_s * fps

    def pairs_with(number: int) -> dict[tuple[int, int], _Rank]:
        after = np.flatnonzero((first >= last[number] - overlap) & (first <= last[number] + gap)).tolist()
        before = np.flatnonzero((last >= first[number] - gap) & (last <= first[number] + overlap)).tolist()
        near = [*((number, other) for other in after), *((other, number) for other in before)]
        return {(one, other): rank for one, other in near if one != other and (rank := _rank(left[one], left[other], fps))}

    pairs = {pair: rank for number in left for pair, rank in pairs_with(number).items()}
    while pairs:
        one, other = min(pairs, key=lambda pair: pairs[pair])
        left[one] = _cut(left[one], left[other].first_frame)[0].with_others(left.pop(other))
        last[one], first[other], last[other] = last[other], np.nan, np.nan
        # Only what has to do with these two has changed: a long clip of many people has thousands of chains.
        pairs = {pair: rank for pair, rank in pairs.items() if one not in pair and other not in pair} | pairs_with(one)
    return list(left.values())


_Rank = tuple[float, int, int, int, int]
"""The cost of a pair, then what settles it where two pairs cost the same."""


def _rank(one: Chain, other: Chain, fps: Fraction) -> _Rank | None:
    start, _ = _cut(one, other.first_frame)
    cost = _join_cost(start, other, fps) if len(start) else _MAX_JOIN_COST
    return (cost, one.first_frame, other.first_frame, int(one.strand[0]), int(other.strand[0])) if cost < _MAX_JOIN_COST else None


def _join_cost(one: Chain, other: Chain, fps: Fraction) -> float:
    """Return how ill the beginning of one chain goes on from the end of another."""
    end, start = one.part(slice(-_END, None)), other.part(slice(_END))
    last_px, first_px, gap = end.centre_px[-1], start.centre_px[0], start.first_frame - end.last_frame
    forth, back = last_px + _velocity_px(end) * gap, first_px - _velocity_px(start) * gap
    miss = min(np.linalg.norm(first_px - forth), np.linalg.norm(last_px - back))
    before_px, after_px = float(end.length_px[-1]), float(start.length_px[0])
    change = change_cost(before_px, after_px, end.clothes, start.clothes)
    return float(miss) / ((before_px + after_px) / 2 * (1 + 2 * gap / float(fps))) + change


def _velocity_px(part: Chain) -> NDArray[np.float64]:
    frames = part.last_frame - part.first_frame
    return (part.centre_px[-1] - part.centre_px[0]) / frames if frames else np.zeros(2)


def _uncross(chains: list[Chain]) -> None:
    """Exchange what follows a crossing where both people's clothes say that they were taken for each other."""
    ends = np.array([(chain.first_frame, chain.last_frame) for chain in chains], dtype=np.float64).reshape(-1, 2)
    for one in range(len(chains)):
        for other in _meeting(ends, chains[one]):
            frame = _exchanged_at(chains[one], chains[other]) if other != one else None
            if frame is not None:
                (one_start, one_end), (other_start, other_end) = (_cut(chains[place], frame) for place in (one, other))
                chains[one], chains[other] = one_start.with_others(other_end), other_start.with_others(one_end)
                ends[[one, other], 1] = chains[one].last_frame, chains[other].last_frame


def _cut(chain: Chain, frame: int) -> tuple[Chain, Chain]:
    """Return what comes before a frame, and the rest."""
    place = int(np.searchsorted(chain.frame, frame))
    return chain.part(slice(place)), chain.part(slice(place, None))


def _exchanged_at(one: Chain, other: Chain) -> int | None:
    """Return the frame in which one comes out of a crossing as the other; nothing where that never happens."""
    for gap in np.flatnonzero(np.diff(one.frame) > 1).tolist():
        before, after = one.part(slice(gap, gap + 1)), one.part(slice(gap + 1, gap + 2))
        if _crosses(before, after, other) and _were_exchanged(one, other, before.first_frame, after.first_frame):
            return after.first_frame
    return None


def _crosses(before: Chain, after: Chain, other: Chain) -> bool:
    """Say whether somebody else is on the way of one who is unseen between two sightings."""
    first, last = np.searchsorted(other.frame, (before.first_frame + 1, after.first_frame)).tolist()
    between = other.part(slice(first, last))
    share = ((between.frame - before.first_frame) / (after.first_frame - before.first_frame))[:, None]
    way_px = (1 - share) * before.centre_px + share * after.centre_px
    return bool((np.linalg.norm(between.centre_px - way_px, axis=1) < _CROSSING_TORSOS * between.length_px).any())


def _were_exchanged(one: Chain, other: Chain, first: int, last: int) -> bool:
    parts = []
    for chain in (one, other):
        parts.append(_cut(chain, first + 1)[0].part(slice(-_END, None)))
        parts.append(_cut(chain, last)[1].part(slice(_END)))
    if not all(parts):
        return False
    one_before, one_after, other_before, other_after = (part.clothes for part in parts)
    kept = colour_distance(one_before, one_after) + colour_distance(other_before, other_after)
    exchanged = colour_distance(one_before, other_after) + colour_distance(other_before, one_after)
    return colour_distance(one_before, other_before) > _OTHER_CLOTHES and exchanged < kept - _EXCHANGE_GAIN
