"""The One-Euro filter (Casiez, Roussel and Vogel 2012) on turns and places: the faster a thing moves, the less it is held.

A file knows its future, so by default the filter runs forward and back and the two are averaged: nothing lags.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.rotations import quat_continuous, quat_inverse, quat_multiply, quat_normalize, quat_to_rotvec
from .exponential import both_ways, exponential_places, exponential_turns
from .fill import whole_places, whole_turns

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Cut-off of the speed's own low pass: the paper's choice.
_SPEED_CUTOFF_HZ = 1.0
TURN_CUTOFF_HZ, TURN_GAIN = 1.5, 1.0
PLACE_CUTOFF_HZ, PLACE_GAIN = 1.5, 3.0


def one_euro_turns(
    quat_xyzw: Array, times_s: Array, seen: Mask, cutoff_hz: float = TURN_CUTOFF_HZ, gain: float = TURN_GAIN, causal: bool = False
) -> Array:
    """Return filtered turns (F,J,4): the cut-off is ``cutoff_hz`` + ``gain`` · angular speed in rad/s.

    ``seen`` is (F,) or (F,J), NaN counts as not seen, and gaps are crossed the short way first. ``causal`` runs forward
    alone, as a live system would, with its lag.
    """
    filled, _ = whole_turns(quat_xyzw, times_s, seen)

    def forward(quat: Array, times: Array) -> Array:
        step = quat_to_rotvec(quat_multiply(quat_inverse(quat[:-1]), quat[1:]))
        return exponential_turns(quat, _shares(step, times, cutoff_hz, gain))

    return forward(filled, times_s) if causal else quat_continuous(quat_normalize(both_ways(forward, filled, times_s)))


def one_euro_places(
    places_m: Array, times_s: Array, seen: Mask, cutoff_hz: float = PLACE_CUTOFF_HZ, gain: float = PLACE_GAIN, causal: bool = False
) -> Array:
    """Return filtered places (F,N,3), metres, as `one_euro_turns` does turns; ``gain`` in Hz for each m/s."""
    filled, _ = whole_places(places_m, times_s, seen)

    def forward(places: Array, times: Array) -> Array:
        return exponential_places(places, _shares(np.diff(places, axis=0), times, cutoff_hz, gain))

    return forward(filled, times_s) if causal else both_ways(forward, filled, times_s)


def _shares(step: Array, times_s: Array, cutoff_hz: float, gain: float) -> Array:
    """How much (F,J) of each new value counts, from the steps (F-1,J,3) between them."""
    if not len(step):
        return np.ones((1, step.shape[1]))
    interval = np.diff(times_s)[:, None]
    rate = np.concatenate([np.zeros((1, *step.shape[1:])), step / interval[..., None]])
    interval = np.concatenate([interval[:1], interval])
    speed = np.linalg.norm(exponential_places(rate, _share(interval, np.asarray(_SPEED_CUTOFF_HZ))), axis=-1)
    return _share(interval, cutoff_hz + gain * speed)


def _share(interval_s: Array, cutoff_hz: Array) -> Array:
    """A first-order low pass of this cut-off, over one interval: 1 / (1 + τ/T), τ = 1 / (2π · cut-off)."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff_hz * interval_s)))
