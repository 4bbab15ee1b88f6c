"""When heels and toes stand on the ground: low, slow and level, with hysteresis, at any frame rate.

Speed over the ground tells little of somebody who turns on the spot: such steps are as slow as a body that skates as a
whole. But a heel that is lifted rises, and what stands hardly does, whatever a body does over the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy  # ndimage is loaded when it is first used: it takes a fifth of a second
from numpy.typing import NDArray

from ...errors import SettingsError
from ..performance import Performance
from .soles import sole_places

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Speeds are those of places smoothed by this: the noise of a place, over a thirtieth of a second, is no speed.
_SPEED_SIGMA_S = 0.03
# A foot that stays on the ground and slips for no longer, and no faster than so many times the speed at which it leaves; faster
# where nothing else stands meanwhile.
_SLIP_S, _SLIPS = 0.35, 1.8
# What stands rises and falls no faster than this, metres a second, or than so many times the middle of all that is low and
# slow in a clip that bobs or trembles. Demo walks have 0.02 with every fault; a heel that is lifted rises by 0.1 and more.
_RISE_M_S, _RISES = 0.10, 4.0
# How long before it is found to have left a foot begins to.
_RISING_S = 0.02
# A foot that comes higher than this between two contacts was lifted.
_LIFTED_M = 0.008
# The lowest frames of a clip by which the ground is sought, and how far above them a slow sole may be to count for it.
_LOWEST_PERCENT, _NEAR_M = 5.0, 0.05


@dataclass(frozen=True)
class FeetOptions:
    """When feet stand on the ground, and how they are held there."""

    feet: bool = False
    """Hold feet where they stand, so that they neither slide nor sink in."""
    contact_speed: float = 0.2
    """A heel or toe stands once it is slower than this, metres a second."""
    contact_speed_leave: float = 0.25
    """It leaves the ground once it is faster than this."""
    contact_height: float = 0.02
    """A heel or toe stands once it is lower than this over the ground, metres."""
    contact_height_leave: float = 0.03
    """It leaves the ground once it is higher than this."""
    contact_least_s: float = 0.07
    """Contacts shorter than this are none, and neither are interruptions, seconds."""
    contact_drift: float = 1.0
    """A foot that slides further than this while it stands steps anew, metres."""
    foot_blend_s: float = 0.2
    """How long a foot takes between being held and being free, seconds."""
    ground: float | None = None
    """Height of the ground, metres; nothing finds it from the soles."""

    def __post_init__(self) -> None:
        for name in ("contact_speed", "contact_height", "contact_drift", "foot_blend_s"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name.replace('_', '-')}: found {getattr(self, name)}, expected more than 0")
        if not self.contact_least_s >= 0:
            raise SettingsError(f"contact-least-s: found {self.contact_least_s}, expected 0 or more")
        for name in ("contact_speed", "contact_height"):
            if getattr(self, f"{name}_leave") < getattr(self, name):
                key = name.replace("_", "-")
                raise SettingsError(f"{key}-leave: found {getattr(self, f'{name}_leave')}, expected {key}'s {getattr(self, name)} or more")


def foot_contacts(performance: Performance, options: FeetOptions | None = None, ground_m: float | None = None) -> Mask:
    """Tell for each frame (F,4) whether left heel, left toe, right heel and right toe stand on the ground.

    ``ground_m`` is the height of the ground; nothing takes the options', or finds it.
    """
    options = options or FeetOptions()
    places = sole_places(performance)
    ground = ground_of(places, performance.times_s, options) if ground_m is None else ground_m
    return contacts_of(places, performance.times_s, ground, options)


def contacts_of(places_m: Array, times_s: Array, ground_m: float, options: FeetOptions) -> Mask:
    """Tell for each frame which of some points (F,N,3) on soles stand on the ground."""
    smooth, speed = _smooth_and_speed(places_m, times_s)
    height, level = smooth[..., 1] - ground_m, np.ones(speed.shape, dtype=bool)
    slow = (speed < options.contact_speed_leave) & (height < options.contact_height_leave)
    if len(times_s) > 1 and slow.any():
        rise = np.abs(np.gradient(smooth[..., 1], times_s, axis=0))
        level = rise < max(_RISE_M_S, _RISES * float(np.median(rise[slow])))
    enter = (speed < options.contact_speed) & (height < options.contact_height) & level
    contact = np.stack([_held(enter[:, point], (slow & level)[:, point]) for point in range(places_m.shape[1])], axis=1)
    _mend(contact, height, speed, options, _step_s(times_s))
    for point in range(contact.shape[1]):
        _end_early(contact[:, point], int(_RISING_S / _step_s(times_s) + 1e-6))
    return contact


def ground_of(places_m: Array, times_s: Array, options: FeetOptions | None = None) -> float:
    """Return the ground's height under points (F,N,3) of soles: the options', else the middle of the low and slow ones.

    The lowest percent of the frames finds about where it is, so that single frames that sink don't; then all soles
    that stand near there say it exactly, so that noise does not lower it.
    """
    options = options or FeetOptions()
    if options.ground is not None:
        return options.ground
    _, speed = _smooth_and_speed(places_m, times_s)
    height = places_m[..., 1]
    low = float(np.percentile(height.min(axis=1), _LOWEST_PERCENT))
    standing = height[(speed < options.contact_speed) & (np.abs(height - low) < _NEAR_M)]
    return float(np.median(standing)) if len(standing) else low


def runs_of(mask: Mask) -> list[tuple[int, int]]:
    """Return where each run of a mask (F,) begins and ends, the end not included."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _smooth_and_speed(places_m: Array, times_s: Array) -> tuple[Array, Array]:
    """Places (F,N,3) without noise, and their speeds (F,N), metres a second."""
    if len(times_s) < 2:
        return places_m, np.zeros(places_m.shape[:2])
    smooth = scipy.ndimage.gaussian_filter1d(places_m, _SPEED_SIGMA_S / _step_s(times_s), axis=0, mode="nearest")
    return smooth, np.linalg.norm(np.gradient(smooth, times_s, axis=0), axis=-1)


def _step_s(times_s: Array) -> float:
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0


def _held(enter: Mask, stay: Mask) -> Mask:
    """Hysteresis (F,): on from where ``enter`` is, off from where ``stay`` is not."""
    held = np.zeros(len(stay), dtype=bool)
    inside = enter & stay
    for start, end in runs_of(stay):
        first = int(np.argmax(inside[start:end]))
        if inside[start + first]:
            held[start + first : end] = True
    return held


def _mend(contact: Mask, height_m: Array, speed_m_s: Array, options: FeetOptions, step_s: float) -> None:
    """Join contacts (F,N), in place, between which a foot slips on, and leave out what is too short.

    A slip is slow, or it carries the whole body: nobody is in the air between two stances of a foot that was not lifted.
    """
    low = height_m < options.contact_height_leave
    slips = low & (speed_m_s < _SLIPS * options.contact_speed_leave)
    least, most = options.contact_least_s / step_s, _SLIP_S / step_s
    for point in range(contact.shape[1]):
        _join(contact[:, point], slips[:, point], height_m[:, point], most)
        _without_short(contact[:, point], False, least)
        _without_short(contact[:, point], True, least)
    nobody = ~contact.any(axis=1)
    for point in range(contact.shape[1]):
        _join(contact[:, point], low[:, point] & nobody, height_m[:, point], most)


def _end_early(contact: Mask, frames: int) -> None:
    """Let contacts (F,) end some frames before they were found to, in place, where a frame is left of them.

    They are told from smoothed places once these rise: a foot that is held while it rises has to catch up at once, and a
    leg that is nearly straight makes three times as much of it at the knee.
    """
    for start, end in runs_of(contact):
        if end < len(contact):
            contact[max(start + 1, end - frames):end] = False


def _join(contact: Mask, slips: Mask, height_m: Array, most: float) -> None:
    """Join contacts (F,), in place, that are no more than ``most`` frames apart, all of which slip, and none of which is lifted."""
    for (_, end), (start, _) in pairwise(runs_of(contact)):
        lifted = height_m[end:start].max() > max(height_m[end - 1], height_m[start]) + _LIFTED_M
        if start - end <= most and slips[end:start].all() and not lifted:
            contact[end:start] = True


def _without_short(contact: Mask, value: bool, frames: float) -> None:
    """Turn runs of ``value`` that are shorter than ``frames`` into the other, in place; a clip's ends may cut a run short."""
    for start, end in runs_of(contact == value):
        if end - start < frames and start > 0 and end < len(contact):
            contact[start:end] = not value
