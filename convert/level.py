"""Which way is up in motion that is in a camera's axes: told from the people who stand and walk, as for videos.

Whoever lies, sits or stays bent says nothing: without anybody who stands upright the camera is held to be level. Only its
pitch is sought. A sole counts once for each step, however long it stands: depths that wander would else draw a slope.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..motion.rotations import quat_apply, quat_between, quat_inverse
from .fitting.ground import Ground, Stance, find_ground, joined
from .performance import Performance
from .retargeting.poser import Poser
from .stance.contacts import FeetOptions, runs_of
from .stance.soles import poser_of, sole_places

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_NAMES = ("neck", "pelvis", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle")
# Somebody stands whose trunk is in line with the legs, whose legs are straight, and who is upright within what cameras are
# pitched by and people lean: a body that lies is further from a camera's own vertical.
_BENT_RAD, _STRAIGHT = np.radians(15), 0.85
_PITCH_RAD, _ASIDE_RAD = np.radians(45), np.radians(25)
# Speeds are over this long: the noise of a place, over a thirtieth of a second, is no speed.
_SPEED_S = 0.1
# A sole that has not moved this far from the hips has made no step: all of the body slid.
_STEP_M = 0.05


def find_level(people: list[Performance]) -> Ground:
    """Return the ground under people, in glTF's camera axes; a level one where nobody stands."""
    return find_ground(joined([stance_of(person) for person in people]))


def stance_of(performance: Performance) -> Stance:
    """Return what somebody's motion, in glTF's camera axes, says of the ground; nothing for a rig without legs or neck."""
    semantic = performance.rig.skeleton.semantic
    if any(name not in semantic for name in _NAMES):
        return joined([])
    poser = poser_of(performance)
    neck, _, *legs = (poser.place(semantic[name]) for name in _NAMES)
    upright, stands = _upright(neck, legs)
    stands &= performance.visible
    soles, times_s = sole_places(performance), performance.times_s
    still = stands[:, None] & (_speed(soles, times_s) < FeetOptions.contact_speed)
    hips = (legs[0] + legs[3]) / 2
    places = [place for point in range(soles.shape[1]) for place in _stood(soles[:, point], hips, still[:, point], times_s)]
    return Stance(np.reshape(places, (-1, 3)), _without_own_lean(poser, semantic, upright)[stands])


def _stood(sole_m: Floats, hips_m: Floats, still: Mask, times_s: Floats) -> list[Floats]:
    """Where a point of a sole (F,3) stood, one place (3,) for each step."""
    from_hips, steps = sole_m - hips_m, list[list[int]]()
    for start, end in runs_of(still):
        if len(times_s) > 1 and times_s[end - 1] - times_s[start] < FeetOptions.contact_least_s:
            continue
        if steps and np.linalg.norm(from_hips[steps[-1][-1] : start] - from_hips[start], axis=1).max() < _STEP_M:
            steps[-1] += range(start, end)
        else:
            steps.append(list(range(start, end)))
    return [np.median(sole_m[frames], axis=0) for frames in steps]


def _without_own_lean(poser: Poser, semantic: Mapping[str, int], upright: Floats) -> Floats:
    """Directions (F,3) from ankles to neck, less how the line leans in a body that rests upright."""
    rest = poser.place_rest_m
    own = _unit(rest[semantic["neck"]] - (rest[semantic["left_ankle"]] + rest[semantic["right_ankle"]]) / 2)
    if own[1] < np.cos(_BENT_RAD):
        return upright
    turned = poser.turned(semantic["pelvis"])
    return quat_apply(turned, quat_apply(quat_between(own, [0.0, 1.0, 0.0]), quat_apply(quat_inverse(turned), upright)))


def _upright(neck: Floats, legs: list[Floats]) -> tuple[Floats, Mask]:
    """Directions (F,3) from ankles to neck, and in which frames (F,) somebody stands."""
    left_hip, left_knee, left_ankle, right_hip, right_knee, right_ankle = legs
    hips, ankles = (left_hip + right_hip) / 2, (left_ankle + right_ankle) / 2
    length = sum(np.linalg.norm(lower - upper, axis=-1) for upper, lower in
                 ((left_hip, left_knee), (left_knee, left_ankle), (right_hip, right_knee), (right_knee, right_ankle))) / 2
    trunk, below, upright = _unit(neck - hips), _unit(hips - ankles), _unit(neck - ankles)
    in_line = np.sum(trunk * below, axis=-1) > np.cos(_BENT_RAD)
    straight = np.linalg.norm(hips - ankles, axis=-1) > _STRAIGHT * length
    erect = (np.abs(np.arctan2(upright[:, 2], upright[:, 1])) < _PITCH_RAD) & (np.abs(upright[:, 0]) < np.sin(_ASIDE_RAD))
    return upright, np.asarray(in_line & straight & erect)


def _speed(places_m: Floats, times_s: Floats) -> Floats:
    """Speeds (F,N) of places (F,N,3), metres a second, over a few frames around each."""
    if len(times_s) < 2:
        return np.zeros(places_m.shape[:2])
    reach = max(1, round(_SPEED_S / 2 / float(np.median(np.diff(times_s)))))
    frames = np.arange(len(times_s))
    before, after = np.maximum(frames - reach, 0), np.minimum(frames + reach, len(times_s) - 1)
    return np.asarray(np.linalg.norm(places_m[after] - places_m[before], axis=-1) / (times_s[after] - times_s[before])[:, None])


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))
