"""From strands to people: double readings left out, crossed strands exchanged, broken ones joined, brief ones dropped.

The same strands always give the same people in the same order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..pose.body_pose import torso_distance
from .appearance import colour_distance
from .options import PeopleOptions
from .strand import Sighting, Strand, change_cost

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


def people_of(strands: Sequence[Strand], fps: Fraction, options: PeopleOptions) -> list[list[Sighting]]:
    """Return each person's sightings in order of time; people in order of their first sighting, then from left to right."""
    chains = _without_doubles([list(strand.sightings) for strand in strands])
    chains = _join(chains, fps, options.relink_s)
    _uncross(chains)
    people = [chain for chain in chains if _counts(chain, fps, options.min_visible_s)]
    if options.max_people:
        people = sorted(people, key=_presence, reverse=True)[: options.max_people]
    return sorted(people, key=lambda chain: (chain[0].frame, float(chain[0].pose.centre_px[0])))


Chain = list[Sighting]
"""Sightings of one person, in order of time."""


def _counts(chain: Chain, fps: Fraction, min_visible_s: float) -> bool:
    """Say whether somebody is seen for long enough, and well enough not to be a poster or a coat."""
    score = float(np.mean([sighting.pose.score for sighting in chain]))
    brief = len(chain) < _BRIEF_S * fps
    return len(chain) >= min_visible_s * fps and score >= (_MIN_BRIEF_SCORE if brief else _MIN_MEAN_SCORE)


def _presence(chain: Chain) -> float:
    """Return how large and long somebody is in the picture: the sum of torso lengths over frames."""
    return float(sum(sighting.pose.torso_px for sighting in chain))


def _without_doubles(chains: list[Chain]) -> list[Chain]:
    """Keep the longer of two chains that read one person for most of their shared time, with what only the other saw."""
    kept: list[Chain] = []
    for chain in sorted(chains, key=lambda one: (-len(one), one[0].frame, one[0].strand)):
        twin = next((other for other in kept if _are_one(other, chain)), None)
        if twin is None:
            kept.append(chain)
        else:
            taken = {sighting.frame for sighting in twin}
            twin += [sighting for sighting in chain if sighting.frame not in taken]
            twin.sort(key=lambda sighting: sighting.frame)
    return kept


def _are_one(one: Chain, other: Chain) -> bool:
    by_frame = {sighting.frame: sighting.pose for sighting in one}
    shared = [torso_distance(by_frame[sighting.frame], sighting.pose) for sighting in other if sighting.frame in by_frame]
    return len(shared) >= _MIN_SHARED_FRAMES and float(np.median(shared)) < _SAME_TORSOS


def _join(chains: list[Chain], fps: Fraction, relink_s: float) -> list[Chain]:
    """Join ends to beginnings that follow within the time allowed, the best pair first."""
    while True:
        pairs = [
            (cost, one[0].frame, other[0].frame, one[0].strand, other[0].strand, one, other)
            for one, other in itertools.permutations(chains, 2)
            if -_MAX_OVERLAP_S * fps <= other[0].frame - one[-1].frame <= relink_s * fps
            and (start := _before(one, other)) and (cost := _join_cost(start, other, fps)) < _MAX_JOIN_COST
        ]
        if not pairs:
            return chains
        *_, one, other = min(pairs, key=lambda pair: pair[:5])
        chains = [_before(one, other) + other if chain is one else chain for chain in chains if chain is not other]


def _before(one: Chain, other: Chain) -> Chain:
    """Return what of one chain comes before another."""
    return one if one[-1].frame < other[0].frame else [sighting for sighting in one if sighting.frame < other[0].frame]


def _join_cost(one: Chain, other: Chain, fps: Fraction) -> float:
    """Return how ill the beginning of one chain goes on from the end of another."""
    last, first = one[-1], other[0]
    gap = first.frame - last.frame
    forth = last.pose.centre_px + _velocity_px(one[-_END:]) * gap
    back = first.pose.centre_px - _velocity_px(other[:_END]) * gap
    miss = min(np.linalg.norm(first.pose.centre_px - forth), np.linalg.norm(last.pose.centre_px - back))
    torso = (last.pose.torso_px + first.pose.torso_px) / 2
    change = change_cost(last.pose.torso_px, first.pose.torso_px, _clothes(one[-_END:]), _clothes(other[:_END]))
    return float(miss) / (torso * (1 + 2 * gap / float(fps))) + change


def _velocity_px(part: Chain) -> NDArray[np.float64]:
    frames = part[-1].frame - part[0].frame
    return (part[-1].pose.centre_px - part[0].pose.centre_px) / frames if frames else np.zeros(2)


def _clothes(part: Chain) -> NDArray[np.float32]:
    return np.asarray(np.mean([sighting.colours for sighting in part], axis=0), dtype=np.float32)


def _uncross(chains: list[Chain]) -> None:
    """Exchange what follows a crossing where both people's clothes say that they were taken for each other."""
    for one, other in itertools.permutations(chains, 2):
        for before, after in list(itertools.pairwise(one)):
            if after.frame - before.frame > 1 and _crosses(before, after, other) and _were_exchanged(one, other, before.frame, after.frame):
                ends = [[sighting for sighting in chain if sighting.frame >= after.frame] for chain in (one, other)]
                starts = [[sighting for sighting in chain if sighting.frame < after.frame] for chain in (one, other)]
                one[:], other[:] = starts[0] + ends[1], starts[1] + ends[0]
                break


def _crosses(before: Sighting, after: Sighting, other: Chain) -> bool:
    """Say whether somebody else is on the way of one who is unseen between two sightings."""
    for sighting in other:
        if before.frame < sighting.frame < after.frame:
            share = (sighting.frame - before.frame) / (after.frame - before.frame)
            way = (1 - share) * before.pose.centre_px + share * after.pose.centre_px
            if np.linalg.norm(sighting.pose.centre_px - way) < _CROSSING_TORSOS * sighting.pose.torso_px:
                return True
    return False


def _were_exchanged(one: Chain, other: Chain, first: int, last: int) -> bool:
    parts = []
    for chain in (one, other):
        parts.append([sighting for sighting in chain if sighting.frame <= first][-_END:])
        parts.append([sighting for sighting in chain if sighting.frame >= last][:_END])
    if not all(parts):
        return False
    one_before, one_after, other_before, other_after = (_clothes(part) for part in parts)
    kept = colour_distance(one_before, one_after) + colour_distance(other_before, other_after)
    exchanged = colour_distance(one_before, other_after) + colour_distance(other_before, one_after)
    return colour_distance(one_before, other_before) > _OTHER_CLOTHES and exchanged < kept - _EXCHANGE_GAIN
