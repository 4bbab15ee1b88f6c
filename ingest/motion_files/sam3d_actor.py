"""One person's rows of SAM 3D Body's output, whether a file or our own engine says them, over all frames of a clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...motion.frames import opencv_to_gltf
from ..recording import MHR_SHAPES, Actor, MhrMotion
from .sam3d_rows import EXPRESSION, JOINTS, MODEL, PLACE, RAW, ROTATIONS, SHAPE, VERTICES


def actor_of_rows(
    track: int, at: NDArray[np.int64], columns: Mapping[str, NDArray[Any]], frames: int, faces: NDArray[np.int32] | None = None,
    confidence: NDArray[np.float32] | None = None,
) -> Actor:
    """Return a person from their rows, N of them, each of the frame in ``at`` (N,); NaN in the frames in which they have none.

    ``columns`` (N,…) go by upstream's names, in its axes, OpenCV's. Without ``confidence`` (N,), 0…1, it is 1 wherever there
    is a row. Raises `ReadError` where there is no row at all.
    """

    def spread(key: str, cross: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray) -> Any:
        if key not in columns:
            return None
        over = np.full((frames, *columns[key].shape[1:]), np.nan, columns[key].dtype)
        for frame, values in zip(at.tolist(), columns[key]):  # one by one, since the meshes of a long clip are gigabytes
            over[frame] = cross(values)
        return over

    visible, sure = np.zeros(frames, bool), np.zeros(frames, np.float32)
    visible[at] = True
    sure[at] = 1 if confidence is None else confidence
    shape = spread(SHAPE) if SHAPE in columns else np.where(visible[:, None], np.zeros(MHR_SHAPES), np.nan)
    points = [spread(key, opencv_to_gltf) for key in (PLACE, JOINTS, VERTICES)]
    motion = MhrMotion(shape, points[0], spread(MODEL), spread(EXPRESSION), points[1], points[2], faces, spread(ROTATIONS))
    raw = {key: spread(key) for key in RAW if key in columns}
    return Actor(track, f"Person {track}", motion, visible, sure, raw)
