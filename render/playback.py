"""A take's joints frame by frame, for everything that draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..motion.kinematics import world_transforms
from ..motion.take import Person, Take

Array = NDArray[np.floating]
Rows = slice | NDArray[np.integer]

_FRAMES_AT_ONCE = 64


def joints_in(person: Person, rows: Rows) -> Array:
    """T_world_joint (N,J,4,4) of a person in some frames."""
    motion = person.motion
    scale = None if motion.local_scale is None else motion.local_scale[rows]
    return world_transforms(person.rig, motion.local_quat_xyzw[rows], motion.local_translation_m[rows], scale)


def joints_by_frame(take: Take) -> Iterator[list[Array]]:
    """Yield every person's T_world_joint (J,4,4), frame by frame, without holding those of the whole take."""
    for start in range(0, take.frame_count, _FRAMES_AT_ONCE):
        rows = slice(start, min(start + _FRAMES_AT_ONCE, take.frame_count))
        worlds = [joints_in(person, rows) for person in take.people]
        for frame in range(rows.stop - rows.start):
            yield [world[frame] for world in worlds]
