"""Frame rates as exact fractions, from the floating-point numbers in which files keep them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError


def exact_rate(where: str, value: object) -> Fraction:
    """Return the rate of a file's number: n·1000/1001 where that is what was rounded, else the number itself, exact.

    NTSC's rates are recognised from the nearest double and the nearest single. Raises `ReadError` that begins with
    ``where`` for anything but one finite number above 0.
    """
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array).all() or array.ravel()[0] <= 0:
        raise ReadError(f"{where}: found {array.tolist()!r:.60}, expected one rate above 0, frames a second")
    rate = float(array.ravel()[0])
    ntsc = Fraction(round(rate * 1.001) * 1000, 1001)
    if rate in (float(ntsc), float(np.float32(float(ntsc)))):
        return ntsc
    return Fraction(rate)


def even_times(frames: int, fps: Fraction) -> NDArray[np.float64]:
    """Return the times (F,), seconds, of frames at an even rate, the first at 0."""
    return np.arange(frames) / float(fps)
