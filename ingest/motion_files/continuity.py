"""Who is who from frame to frame, where a file doesn't say: told from where people are and how they hold themselves.

Every frame's people are given to the people known so far all at once, at the least total cost. A cost is the negative log
likelihood of finding somebody ``d`` metres from where they were going and ``p`` metres from how they were standing, both
with the heavy tails of Cauchy's distribution, since estimates jump; ``σ`` grows with the time that somebody was not seen:

    cost = 3 log(σ / σ₀) + 2 log(1 + (d/σ)²) + log(1 + (p/σₚ)²)

In place it is the distribution in three dimensions, whose first term keeps people who have long been away from taking over
those who are there. Somebody who is out of everybody's reach is new.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]

# How far people stray from the straight way on, in metres, at once and for every second unseen, and at most.
_SIGMA_M, _SIGMA_M_PER_S, _MAX_SIGMA_M = 0.1, 0.6, 3.0
_REACH_M, _REACH_M_PER_S, _MAX_REACH_M = 1.0, 3.0, 4.0
_POSE_SIGMA_M, _POSE_SIGMA_M_PER_S, _MAX_POSE_SIGMA_M = 0.1, 0.4, 0.5
# One camera measures depth worst, and the worse the farther; beyond 3 m, a share of the distance is what counts.
_DEPTH_WEIGHT, _DEPTH_WEIGHT_M = 0.5, 1.5
_NEW = 12.0  # more than anything within reach costs, but somebody who was away for long and stood otherwise
_NEVER = 1e6
_PACE_S, _PACE_SIGHTINGS, _MIN_PACE_SIGHTINGS = 0.4, 8, 3  # what tells somebody's pace
_MAX_AHEAD_S = 0.5  # people who are lost walk on for this long, then stand
_FORGET_S = 60.0  # whoever comes after this long may be anybody


def follow_people(times_s: Floats, places_m: Floats, poses_m: Floats) -> NDArray[np.int64]:
    """Return the person (N,) of each of N sightings, numbered from 0 by first sighting, then from left to right.

    ``times_s`` (N,) is the same for people of one frame, who are different people; the sightings come in any order, and the
    result knows nothing of it. ``places_m`` (N,3) are in a camera's axes, x right and z depth; ``poses_m`` (N,K,C) is any
    K points of the body as seen from its own place, in that camera's axes. All of them finite.
    """
    people: list[list[int]] = []
    person = np.empty(len(times_s), np.int64)
    for rows in _frames(times_s, places_m):
        for row, known in zip(rows, _known(people, rows, times_s, places_m, poses_m)):
            number = len(people) if known is None else known
            people.extend([[]] if known is None else [])
            people[number].append(row)
            person[row] = number
    return person


def _frames(times_s: Floats, places_m: Floats) -> Iterator[list[int]]:
    """Yield each frame's rows from left to right, in order of time."""
    order = np.lexsort((places_m[:, 2], places_m[:, 1], places_m[:, 0], times_s))
    for rows in np.split(order, np.flatnonzero(np.diff(times_s[order])) + 1):
        if len(rows):
            yield rows.tolist()


def _known(people: list[list[int]], rows: list[int], times_s: Floats, places_m: Floats, poses_m: Floats) -> list[int | None]:
    """Return the number of the person that each row of one frame is; nothing for somebody new."""
    known = len(people)
    cost = np.full((len(rows), known + len(rows)), _NEVER)
    for number, seen in enumerate(people):
        if times_s[rows[0]] - times_s[seen[-1]] <= _FORGET_S:
            cost[:, number] = _costs(seen, rows, times_s, places_m, poses_m)
    np.fill_diagonal(cost[:, known:], _NEW)
    _, chosen = linear_sum_assignment(cost)
    return [column if column < known else None for column in chosen.tolist()]


def _costs(seen: list[int], rows: list[int], times_s: Floats, places_m: Floats, poses_m: Floats) -> Floats:
    """Return what it costs (P,) to take each row for the person who was ``seen`` in others."""
    last, unseen_s = seen[-1], times_s[rows[0]] - times_s[seen[-1]]
    expected_m = places_m[last] + _pace(seen, times_s, places_m) * min(unseen_s, _MAX_AHEAD_S)
    depth_weight = min(_DEPTH_WEIGHT, _DEPTH_WEIGHT_M / max(abs(float(expected_m[2])), 1e-6))
    away_m = np.linalg.norm((places_m[rows] - expected_m) * [1.0, 1.0, depth_weight], axis=1)
    otherwise_m = np.sqrt(((poses_m[rows] - poses_m[last]) ** 2).sum(axis=2).mean(axis=1))
    sigma_m = min(_SIGMA_M + _SIGMA_M_PER_S * unseen_s, _MAX_SIGMA_M)
    pose_sigma_m = min(_POSE_SIGMA_M + _POSE_SIGMA_M_PER_S * unseen_s, _MAX_POSE_SIGMA_M)
    cost = 3 * np.log(sigma_m / _SIGMA_M) + 2 * np.log1p((away_m / sigma_m) ** 2) + np.log1p((otherwise_m / pose_sigma_m) ** 2)
    return np.where(away_m <= min(_REACH_M + _REACH_M_PER_S * unseen_s, _MAX_REACH_M), cost, _NEVER)


def _pace(seen: list[int], times_s: Floats, places_m: Floats) -> Floats:
    """Return somebody's velocity (3,), metres a second: the slope of a straight line through the last sightings."""
    rows = [row for row in seen[-_PACE_SIGHTINGS:] if times_s[seen[-1]] - times_s[row] <= _PACE_S]
    if len(rows) < _MIN_PACE_SIGHTINGS:
        return np.zeros(3)
    since_s = times_s[rows] - times_s[rows].mean()
    return np.asarray(since_s @ places_m[rows] / (since_s @ since_s))
