"""Corrections that are known in some frames, carried through the others: smooth where they begin and end, gone between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

Array = NDArray[np.float64]


def bridge(values: Array, fixed: NDArray[np.bool_], times_s: Array, fade_s: float) -> Array:
    """Return ``values`` (F,C) as they are where ``fixed`` (F,), and elsewhere what bends least and fades within ``fade_s``.

    The free frames minimise ``∫ |c''|² + |c|² / fade⁴`` for what is fixed: a correction leaves a held frame with the
    speed that it had there, so that what it corrects does not start with a jerk.
    """
    if not fixed.any():
        return np.zeros_like(values)
    if fixed.all():
        return values.copy()
    bands = _bending(times_s)
    bands[0] += _share_s(times_s) / fade_s**4
    known = np.where(fixed[:, None], values, 0.0)
    right = np.where(fixed[:, None], known, -_times(bands, known))
    free = ~fixed
    lower = np.zeros_like(bands)
    lower[0] = np.where(free, bands[0], 1.0)
    for offset in (1, 2):
        lower[offset, : len(free) - offset] = bands[offset, : len(free) - offset] * (free[offset:] & free[:-offset])
    return np.asarray(solveh_banded(lower, right, lower=True, check_finite=False))


def _share_s(times_s: Array) -> Array:
    """How much time (F,) each frame stands for."""
    edges = np.concatenate([times_s[:1], (times_s[1:] + times_s[:-1]) / 2, times_s[-1:]])
    return np.maximum(np.diff(edges), 1e-9)


def _bending(times_s: Array) -> Array:
    """The lower bands (3,F) of the matrix whose form is the squared second derivative's integral."""
    frames = len(times_s)
    bands = np.zeros((3, frames))
    if frames < 3:
        return bands
    before, after = np.diff(times_s)[:-1], np.diff(times_s)[1:]
    middle = (before + after) / 2
    row = np.stack([1 / before, -1 / before - 1 / after, 1 / after]) / middle
    for first in range(3):
        for second in range(first + 1):
            bands[first - second, second : second + frames - 2] += middle * row[first] * row[second]
    return bands


def _times(bands: Array, vectors: Array) -> Array:
    """The symmetric banded matrix times vectors (F,C)."""
    product = bands[0][:, None] * vectors
    for offset in (1, 2):
        band = bands[offset, : len(vectors) - offset, None]
        product[offset:] += band * vectors[:-offset]
        product[:-offset] += band * vectors[offset:]
    return np.asarray(product)
