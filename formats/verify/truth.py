"""The vertices that a file must show: the take's own, computed from the store alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import skin_vertices, world_transforms
from ...motion.take import Person, Take

BLOCK = 16  # frames at once: enough to keep numpy busy, about 10 MB of a large body
DEFAULT_FRAMES = 600


def chosen_frames(take: Take, most: int | None = DEFAULT_FRAMES) -> NDArray[np.intp]:
    """Return the frames to evaluate: all of them, or ``most`` spread evenly with the first and the last among them."""
    count = take.frame_count
    return np.arange(count) if most is None or count <= most else np.unique(np.linspace(0, count - 1, most).astype(np.intp))


def blocks(frames: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield the frames a block at a time."""
    for start in range(0, len(frames), BLOCK):
        yield frames[start:start + BLOCK]


def stored_vertices(person: Person, frames: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the take's vertices (F,V,3) at ``frames``, metres: the stored ones where there are any, else skinned."""
    if person.vertices_m is not None:
        return person.vertices_m[frames]
    motion = person.motion
    scale = None if motion.local_scale is None else motion.local_scale[frames]
    worlds = world_transforms(person.rig, motion.local_quat_xyzw[frames], motion.local_translation_m[frames], scale)
    return skin_vertices(person.rig, worlds, None if motion.morph_weights is None else motion.morph_weights[frames])
