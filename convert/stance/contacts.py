"""When heels and toes stand on the ground: low and slow, with hysteresis, at any frame rate."""

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
# A foot that stays on the ground and slips for no longer, and no faster than so many times the speed at which it leaves.
_SLIP_S, _SLIPS = 0.35, 1.8
# The lowest frames of a clip by which the ground is sought, and how far above them a slow sole may be to count for it.
_LOWEST_PERCENT, _NEAR_M = 5.0, 0.05


@dataclass(frozen=True)
class FeetOptions:
    """When feet stand on the ground, and how they are held there."""

    feet: bool = False
    """Hold the feet of motion files where they stand, so that they neither slide nor sink in."""
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
    height = smooth[..., 1] - ground_m
    enter = (speed < options.contact_speed) & (height < options.contact_height)
    stay = (speed < options.contact_speed_leave) & (height < options.contact_height_leave)
    contact = np.stack([_held(enter[:, point], stay[:, point]) for point in range(places_m.shape[1])], axis=1)
    frames = options.contact_least_s / _step_s(times_s)
    low = (speed < _SLIPS * options.contact_speed_leave) & (height < options.contact_height_leave)
    for point in range(contact.shape[1]):
        _join_slips(contact[:, point], low[:, point], _SLIP_S / _step_s(times_s))
        _without_short(contact[:, point], False, frames)
        _without_short(contact[:, point], True, frames)
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


def _join_slips(contact: Mask, low: Mask, frames: float) -> None:
    """Join contacts, in place, between which the foot slips on without being lifted, for no more than some frames."""
    runs = runs_of(contact)
    for (_, end), (start, _) in pairwise(runs):
        if start - end <= frames and low[end:start].all():
            contact[end:start] = True


def _without_short(contact: Mask, value: bool, frames: float) -> None:
    """Turn runs of ``value`` that are shorter than ``frames`` into the other, in place; a clip's ends may cut a run short."""
    for start, end in runs_of(contact == value):
        if end - start < frames and start > 0 and end < len(contact):
            contact[start:end] = not value
