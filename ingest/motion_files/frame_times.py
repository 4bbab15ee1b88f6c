"""When the frames of an animation are: exact rates behind rounded numbers, and times from keys."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError

Floats = NDArray[np.float64]

# Rates that programs write, those that are likelier first where two fit as well.
COMMON_RATES = (
    *(Fraction(rate) for rate in (30, 24, 25, 60, 120, 50, 100, 15, 12, 10, 48, 72, 90, 144, 150, 180, 200, 240, 250, 300, 480)),
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 120)),
)
# More frames than that, and a key is far from where it belongs, or frame numbers number something else.
MAX_FRAMES = 2_000_000
# Keys nearer than this are one: float32 seconds of two arrays differ by 6e-5 after ten minutes, frames are 2e-3 apart at least.
_ONE_KEY_S = 2e-4


def rate_of_frame_time(where: str, text: str) -> Fraction:
    """Return the rate that a frame time in seconds was rounded, or cut, from: 0.0333333 is 30; else its inverse, exact.

    Raises `ReadError` that begins with ``where`` for what is no number above 0.
    """
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        seconds = Decimal(0)
    if not seconds.is_finite() or seconds <= 0:
        raise ReadError(f"{where}: found {text!r:.40}, expected seconds above 0")
    exact = 1 / Fraction(seconds)
    if exact in COMMON_RATES:
        return exact
    return next((rate for rate in COMMON_RATES if _is_short_for(seconds, 1 / rate)), exact)


def _is_short_for(seconds: Decimal, period_s: Fraction) -> bool:
    """Say whether ``seconds`` is ``period_s`` rounded, or cut, to as many digits, or to float32."""
    places = -int(seconds.as_tuple().exponent)
    if places < 3:  # could be anything
        return False
    digits, written = period_s * 10**places, Fraction(seconds) * 10**places
    cut = places > 3 and math.floor(digits) == written  # three digits are never cut
    return cut or math.floor(digits + Fraction(1, 2)) == written or bool(np.float32(float(period_s)) == np.float32(float(seconds)))


def common_rate(rate: float) -> Fraction:
    """Return the common rate that a floating-point number stands for, within a part in 10⁵; else the number itself."""
    near = [common for common in COMMON_RATES if abs(float(common) - rate) < 1e-5 * rate]
    return near[0] if near else Fraction(rate).limit_denominator(1_000_000)


def nominal_rate(keys_s: Floats, otherwise: Fraction = Fraction(30)) -> Fraction:
    """Return the common rate on whose frames most keys (K,) lie; ``otherwise`` where keys are too far apart to be frames."""
    gap = float(np.median(np.diff(keys_s))) if len(keys_s) > 1 else 1.0
    if gap > 0.1001:
        return otherwise
    near = [rate for rate in COMMON_RATES if abs(float(rate) * gap - 1) < 0.02]

    def off_frames(rate: Fraction) -> float:
        frames = (keys_s - keys_s[0]) * float(rate)
        # Rounded, so that what float32 does to times does not choose between 30 and 29.97 for a short clip.
        return round(float(np.abs(frames - np.rint(frames)).mean()), 3)

    return min(near, key=off_frames, default=Fraction(1 / gap).limit_denominator(1001))


def merged_keys(*keys_s: Floats) -> Floats:
    """Return the times (K,) of all keys, rising; those of one frame in several arrays are one."""
    keys = np.unique(np.concatenate([np.asarray(each, dtype=np.float64) for each in keys_s]))
    return keys[np.concatenate([[True], np.diff(keys) > _ONE_KEY_S])] if len(keys) else keys


def frame_times(where: str, keys_s: Floats, fps: Fraction, frame_limit: int = 0) -> Floats:
    """Return times (F,) to look at an animation: every key, and between keys further apart even steps at about ``fps``.

    A key that float32 moved off its frame goes back onto it. Of ``frame_limit`` frames, where it is not 0, no more are made.
    Raises `ReadError` that begins with ``where`` for keys so far apart that there would be more than `MAX_FRAMES`.
    """
    rate = float(fps)
    on_frames = np.rint(keys_s * rate) * fps.denominator / fps.numerator
    moved = np.abs(on_frames - keys_s) <= 1e-7 + 2 * np.finfo(np.float32).eps * np.abs(keys_s)
    keys = np.where(moved, on_frames, keys_s)
    steps = np.maximum(np.rint(np.diff(keys) * rate), 1)
    # The number of each key's frame, in floats: a stray key's may be too large for an integer.
    first = np.concatenate([[0.0], np.cumsum(steps)])[:len(keys)]
    frames = float(first[-1]) + 1 if len(keys) else 0.0
    frames = min(frames, frame_limit or frames)
    if frames > MAX_FRAMES:
        raise ReadError(f"{where}: found keys from {keys[0]:.10g} to {keys[-1]:.10g} s, {frames:.10g} frames at {rate:.6g} a second, "
                        f"expected {MAX_FRAMES} at most; take away the key that is far from the others, or give --frame-limit")
    number = np.arange(int(frames))
    key = np.searchsorted(first, number, side="right") - 1
    gaps, counts = np.append(np.diff(keys), 0.0), np.append(steps, 1.0)
    return np.asarray(keys[key] + gaps[key] * (number - first[key]) / counts[key])


def snapped(keys_s: Floats, times_s: Floats) -> Floats:
    """Return keys (K,) at the nearest of ``times_s`` where that is the same key, else where they are."""
    after = np.clip(np.searchsorted(times_s, keys_s), 1, max(len(times_s) - 1, 1))
    candidates = np.stack([times_s[after - 1], times_s[np.minimum(after, len(times_s) - 1)]])
    nearest = candidates[np.argmin(np.abs(candidates - keys_s), axis=0), np.arange(len(keys_s))]
    return np.where(np.abs(nearest - keys_s) <= _ONE_KEY_S, nearest, keys_s)
