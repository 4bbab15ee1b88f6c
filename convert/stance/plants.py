"""Where a foot is held while it stands: one place for each contact of its heel and its ball, one heading while it is flat.

Heel and ball are as far from each other as the foot is long. So contacts that overlap, as heel and toes do while the foot
is flat, are placed together: each flat stretch has its heading, and all its places come of one that fits them best.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from .contacts import runs_of

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A foot that comes down so near to where it was lifted did not step.
_SAME_PLACE_M = 0.08
# How much the bending of a swing counts against where a foot was seen: a jerk is felt, a centimetre of place is not.
_SPARE = 25.0


@dataclass(frozen=True, eq=False)
class Plants:
    """How a foot is held in each of F frames; numbers count only where the foot is held in that way."""

    heel: Mask  # (F,), the heel stands
    toe: Mask  # (F,), the toes stand
    heel_xz: Array  # (F,2), where, over the ground
    ball_xz: Array  # (F,2)
    yaw: Array  # (F,), where the foot points while it is flat, and the toes while they stand

    @property
    def flat(self) -> Mask:
        """(F,), heel and toes stand."""
        return self.heel & self.toe

    @property
    def held(self) -> Mask:
        """(F,), heel or toes stand."""
        return self.heel | self.toe


def plant(heel: Mask, toe: Mask, heel_m: Array, ball_m: Array, ahead_m: float, times_s: Array, most_m: float, fade_s: float) -> Plants:
    """Place a foot's contacts (F,) of heel and toes by where heel and ball (F,3) were.

    ``ahead_m`` is the distance from heel to ball over the ground. A contact in which the foot slides by more than
    ``most_m`` is cut; ``fade_s`` is how long a foot takes between held and free.
    """
    heel, toe = heel.copy(), toe.copy()
    release = max(2, round(2 * fade_s / float(np.median(np.diff(times_s))))) if len(times_s) > 1 else 2
    cut = _cut_long_slides(heel, toe, heel_m, ball_m, most_m, release)
    _join_rolls(heel, toe)
    frames = len(heel)
    heel_xz, ball_xz = heel_m[:, [0, 2]].copy(), ball_m[:, [0, 2]].copy()
    toward = ball_xz - heel_xz
    yaw = np.unwrap(np.arctan2(toward[:, 0], toward[:, 1])) if frames else np.zeros(0)
    flat = [(start, end, _mean_yaw(yaw[start:end])) for start, end in runs_of(heel & toe)]
    stretches = _stretches(heel | toe, cut, ball_m[:, [0, 2]])
    for start, end in stretches:
        inside = [run for run in flat if start <= run[0] < end]
        _place(heel, toe, heel_xz, ball_xz, (start, end), inside, ahead_m)
    _draw_together(heel, toe, (heel_xz, ball_xz), (heel_m, ball_m), times_s, fade_s, stretches)
    return Plants(heel, toe, heel_xz, ball_xz, _headings(toe, yaw, flat))


def _stretches(held: Mask, cut: Mask, ball_xz: Array) -> list[tuple[int, int]]:
    """Where a foot stands, from when to when; where it was hardly moved in between, it stands where it stood."""
    stretches: list[tuple[int, int]] = []
    for start, end in runs_of(held):
        last = stretches[-1][1] if stretches else start
        if stretches and not cut[last:start].any() and np.linalg.norm(ball_xz[start] - ball_xz[last - 1]) < _SAME_PLACE_M:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    return stretches


def _mean_yaw(yaw: Array) -> float:
    """The middle heading of frames that differ by less than half a turn."""
    return float(np.median(yaw))


def _cut_long_slides(heel: Mask, toe: Mask, heel_m: Array, ball_m: Array, most_m: float, release: int) -> Mask:
    """Let go of a foot where it has slid too far since it was put down, in place; return where (F,)."""
    free = np.zeros(len(heel), dtype=bool)
    for mask, place in ((heel, heel_m), (toe, ball_m)):
        for start, end in runs_of(mask):
            way = place[start:end, [0, 2]]
            first = 0
            while True:
                far = np.flatnonzero(np.linalg.norm(way[first:] - way[first], axis=1) > most_m)
                if not len(far):
                    break
                first += int(far[0])
                cut = slice(max(start + first - release // 2, 0), start + first + release - release // 2)
                free[cut] = True
    heel[free] = toe[free] = False
    return free


def _join_rolls(heel: Mask, toe: Mask) -> None:
    """Where one of both stands at once after the other, both stand for that frame, in place: the foot rolls over flat."""
    for frame in np.flatnonzero((heel[:-1] & ~toe[:-1] & toe[1:] & ~heel[1:]) | (toe[:-1] & ~heel[:-1] & heel[1:] & ~toe[1:])):
        heel[frame] = toe[frame] = True


def _place(
    heel: Mask, toe: Mask, heel_xz: Array, ball_xz: Array, stretch: tuple[int, int], flat: list[tuple[int, int, float]], ahead_m: float
) -> None:
    """Put the contacts of one stretch where they fit best what was seen, in place."""
    begin, end = stretch
    contacts = sorted((a + begin, b + begin, kind) for kind, mask in enumerate((heel, toe)) for a, b in runs_of(mask[begin:end]))
    seen = [np.mean((heel_xz, ball_xz)[kind][a:b], axis=0) for a, b, kind in contacts]
    offset = {0: np.zeros(2)}
    ahead = {first: ahead_m * np.array([np.sin(heading), np.cos(heading)]) for first, _, heading in flat}
    for number in range(1, len(contacts)):
        start, _, kind = contacts[number]
        partner = next((n for n in range(number) if contacts[n][2] != kind and contacts[n][0] <= start < contacts[n][1]), None)
        if partner is not None:
            offset[number] = offset[partner] + (ahead[start] if kind else -ahead[start])
        else:
            offset[number] = offset[number - 1] + _step(heel_xz, ball_xz, contacts[number - 1], contacts[number])
    origin = np.average([place - offset[n] for n, place in enumerate(seen)], axis=0, weights=[b - a for a, b, _ in contacts])
    for number, (a, b, kind) in enumerate(contacts):
        (heel_xz, ball_xz)[kind][a:b] = origin + offset[number]


def _draw_together(
    heel: Mask, toe: Mask, places_xz: tuple[Array, Array], seen_m: tuple[Array, Array], times_s: Array, fade_s: float,
    stretches: list[tuple[int, int]],
) -> None:
    """Move stretches, in place, so that the foot's swing from one to the next need not make up for much.

    Who slid while standing has corrections that lead one way at the end of a stretch and the other at the next one's
    beginning. A swing that makes up for a jump Δ within T bends by 12 Δ² / T³ (a cubic's); staying off where the foot
    was seen counts as it does in `bridge`; the bending counts `_SPARE` times, and the sum of both is least.
    """
    if len(stretches) < 2:
        return
    ends = np.array([[_correction(heel, places_xz, seen_m, frame) for frame in (start, end - 1)] for start, end in stretches])
    jump = ends[:-1, 1] - ends[1:, 0]
    gap_s = np.array([times_s[after] - times_s[before - 1] for (_, before), (after, _) in pairwise(stretches)])
    stiff = _SPARE * 12.0 / np.maximum(gap_s, fade_s / 4) ** 3
    bands = np.zeros((2, len(stretches)))
    bands[0] = np.array([times_s[end - 1] - times_s[start] for start, end in stretches]) / fade_s**4 + 1e-6
    bands[0, :-1] += stiff
    bands[0, 1:] += stiff
    bands[1, :-1] = -stiff
    right = np.zeros((len(stretches), 2))
    right[:-1] -= stiff[:, None] * jump
    right[1:] += stiff[:, None] * jump
    for (start, end), shift in zip(stretches, solveh_banded(bands, right, lower=True), strict=True):
        for mask, place in zip((heel, toe), places_xz, strict=True):
            place[start:end][mask[start:end]] += shift


def _correction(heel: Mask, places_xz: tuple[Array, Array], seen_m: tuple[Array, Array], frame: int) -> Array:
    """How far (2,) what is held of the foot is from where it was seen."""
    kind = 0 if heel[frame] else 1
    return np.asarray(places_xz[kind][frame] - seen_m[kind][frame, [0, 2]])


def _step(heel_xz: Array, ball_xz: Array, before: tuple[int, int, int], after: tuple[int, int, int]) -> Array:
    """The way (2,) from one contact's place to that of the next, which begins later."""
    return np.asarray((heel_xz, ball_xz)[after[2]][after[0]] - (heel_xz, ball_xz)[before[2]][min(before[1] - 1, after[0])])


def _headings(toe: Mask, yaw: Array, flat: list[tuple[int, int, float]]) -> Array:
    """The heading (F,) of a flat foot; while only the toes stand, between those before and after in the same contact."""
    heading = yaw.copy()
    for start, end in runs_of(toe):
        inside = [run for run in flat if start <= run[0] < end]
        if inside:
            at = np.array([frame for first, last, _ in inside for frame in (first, last - 1)])
            heading[start:end] = np.interp(np.arange(start, end), at, np.repeat([run[2] for run in inside], 2))
    return heading
