"""How far arms come toward the camera, told by how short they look.

Networks read an arm that points along the view too short: a fist half a metre before its shoulder comes as a hand beside
it. The picture knows better. A bone of known length whose ends lie on known rays has two courses, toward the camera and
away from it (Lee and Chen 1985; Taylor 2000). Which of them, the whole clip decides: arms are in front of people, a
network's depth has the right sign more often than not, and no arm jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# BlazePose's shoulder, elbow and wrist.
ARMS = ((11, 13, 15), (12, 14, 16))
# How much shorter a bone may be than it is held to be, or its ends further apart: across the view, where depth is the root
# of a small difference, that leaves nothing to be said against the network.
_LENGTH_SLACK_M = 0.03
# A bone that then still lacks the first depth may not be where the network has it; one that lacks the second surely is not.
_LACKING_M = (0.05, 0.11)
# Networks are late in a fast move: what a third of the frames within this time of a frame say holds for it too.
_AROUND_S, _AROUND_SHARE = 0.14, 1 / 3
# How far a network's depth of a bone may be off, metres, and how much of that counts.
_NET_SIGMA_M, _NET_MOST = 0.15, 4.0
# How strongly upper arms and forearms point forward from the chest: concentrations of a von Mises-Fisher distribution, three
# times the mean forward share of a bone in the tuning clips' truth.
_FORWARD = np.array([0.5, 1.3])
# A way of elbow or wrist that costs as much as a deviation.
_WAY_M = 0.1


@dataclass(frozen=True)
class ArmLengths:
    """Bone lengths in metres."""

    upper_m: float
    fore_m: float


@dataclass(frozen=True, eq=False)
class Arms:
    """Upper arm and forearm, left then right, as lengths and picture have them."""

    bones_m: Array  # (F,2,2,3), frame, side, bone; glTF camera axes
    sure: Array  # (F,2,2), 0…1, how surely the network reads the bone too short along the view

    def points(self, points_m: Array) -> Array:
        """Landmarks (F,33,3) with elbows and wrists where these arms lead from the shoulders."""
        moved = np.array(points_m)
        for side, (shoulder, elbow, wrist) in enumerate(ARMS):
            moved[:, (elbow, wrist)] = points_m[:, shoulder, None] + np.cumsum(self.bones_m[:, side], axis=1)
        return moved


def find_arms(points_m: Array, rays: Array, weight: Array, times_s: Array, lengths: ArmLengths) -> Arms:
    """Find arms of these lengths in the picture.

    ``points_m`` (F,33,3) are the network's landmarks, at their place in the camera's axes (glTF), ``rays`` (F,33,2) theirs
    at depth 1, ``weight`` (F,33) is the trust in them, and ``times_s`` (F,) are the frames'.
    """
    forward, bones, sure = _chest_forward(points_m), [], []
    for rows in ARMS:
        arm, trust = _Arm.of(points_m, rays, rows, lengths), weight[:, rows].min(axis=1)
        bones.append(arm.chosen(_likely_path(arm, forward, trust)))
        sure.append(_around(_lacking(arm, bones[-1], lengths) * trust[:, None], times_s))
    return Arms(np.stack(bones, axis=1), np.stack(sure, axis=1))


@dataclass(frozen=True, eq=False)
class _Arm:
    """An arm as the network reads it, and its four possible courses: each of two bones toward the camera or away."""

    seen: Array  # (F,2,3), upper arm and forearm
    possible: Array  # (F,4,2,3)
    view: Array  # (F,2,3), unit, from the camera to each bone's end

    @classmethod
    def of(cls, points_m: Array, rays: Array, rows: tuple[int, int, int], lengths: ArmLengths) -> _Arm:
        shoulder, elbow, wrist = rows
        start = -points_m[:, shoulder, 2, None] * _direction(rays[:, shoulder])
        elbows = _crossings(start[:, None], rays[:, elbow, None], lengths.upper_m)  # (F,1,2,3)
        wrists = _crossings(elbows[:, 0], rays[:, wrist, None], lengths.fore_m)  # (F,2,2,3)
        upper = np.repeat(elbows[:, 0] - start[:, None], 2, axis=1)
        fore = (wrists - elbows[:, 0, :, None]).reshape(len(rays), 4, 3)
        view = _direction(rays[:, (elbow, wrist)])
        return cls(np.diff(points_m[:, rows], axis=1), np.stack([upper, fore], axis=2), view / np.linalg.norm(view, axis=-1, keepdims=True))

    def chosen(self, path: NDArray[np.intp]) -> Array:
        """The bones (F,2,3) of a course a frame."""
        return np.asarray(self.possible[np.arange(len(path)), path])


def _direction(rays: Array) -> Array:
    return np.concatenate([rays, -np.ones((*rays.shape[:-1], 1))], axis=-1)


def _crossings(start_m: Array, rays: Array, length_m: float) -> Array:
    """The two places (…,2,3) on ``rays`` (…,2) at ``length_m`` from ``start_m`` (…,3), nearer first; if none, the closest twice."""
    direction = _direction(rays)
    square = np.sum(direction**2, axis=-1)
    middle = np.sum(direction * start_m, axis=-1) / square
    apart = np.sqrt(np.maximum(middle**2 - (np.sum(start_m**2, axis=-1) - length_m**2) / square, 0.0))
    depth = np.stack([middle - apart, middle + apart], axis=-1)
    return np.asarray(depth[..., None] * direction[..., None, :])


def _chest_forward(points_m: Array) -> Array:
    """Unit vectors (F,3) that point forward from the chest."""
    across = points_m[:, 11] - points_m[:, 12]
    up = points_m[:, (11, 12)].mean(1) - points_m[:, (23, 24)].mean(1)
    forward = np.cross(across, up)
    return np.asarray(forward / np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9))


def _likely_path(arm: _Arm, forward: Array, sure: Array) -> NDArray[np.intp]:
    """The likeliest course (F,) of each frame, all frames taken together (Viterbi 1967)."""
    cost = (_against_net(arm) + _against_habit(arm, forward)) * sure[:, None]
    ends = np.cumsum(arm.possible, axis=2)
    way = np.linalg.norm(ends[1:, :, None] - ends[:-1, None], axis=-1).sum(-1) / _WAY_M  # (F-1, to, from)
    best, came = cost[0], np.zeros((len(cost), 4), dtype=np.intp)
    for frame in range(1, len(cost)):
        reached = best + way[frame - 1]
        came[frame] = np.argmin(reached, axis=1)
        best = reached.min(axis=1) + cost[frame]
    path = np.zeros(len(cost), dtype=np.intp)
    path[-1] = int(np.argmin(best))
    for frame in range(len(cost) - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    return path


def _against_net(arm: _Arm) -> Array:
    """How far each course (F,4) is from the depth that the network reads."""
    off = (arm.possible[..., 2] - arm.seen[:, None, :, 2]) / _NET_SIGMA_M
    return np.asarray(np.minimum(off**2, _NET_MOST).sum(-1))


def _against_habit(arm: _Arm, forward: Array) -> Array:
    """How unlikely each course (F,4) is for arms, which are in front of people: minus twice the log of its density."""
    bones = arm.possible / np.maximum(np.linalg.norm(arm.possible, axis=-1, keepdims=True), 1e-9)
    return np.asarray(-2 * np.einsum("fkba,fa,b->fk", bones, forward, _FORWARD))


def _lacking(arm: _Arm, bones_m: Array, lengths: ArmLengths) -> Array:
    """How surely (0…1) each bone (F,2,3) reaches further along its view than the network says.

    With the slack δ off a bone of length L, its reach r becomes √((L − δ)² − (L² − r²)).
    """
    reach, seen = (np.abs(np.sum(bones * arm.view, axis=-1)) for bones in (bones_m, arm.seen))
    length = np.array([lengths.upper_m, lengths.fore_m])
    least = np.sqrt(np.maximum(reach**2 - _LENGTH_SLACK_M * (2 * length - _LENGTH_SLACK_M), 0.0))
    low, high = _LACKING_M
    return np.asarray(np.clip((least - seen - low) / (high - low), 0.0, 1.0))


def _around(sure: Array, times_s: Array) -> Array:
    """What is sure (F,2) of the frames around each."""
    first = np.searchsorted(times_s, times_s - _AROUND_S, "left")
    after = np.searchsorted(times_s, times_s + _AROUND_S, "right")
    total = np.concatenate([np.zeros((1, sure.shape[1])), np.cumsum(sure, axis=0)])
    mean = (total[after] - total[first]) / (after - first)[:, None]
    return np.asarray(np.minimum(mean / _AROUND_SHARE, 1.0))
