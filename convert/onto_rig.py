"""People that were fitted to one body, carried onto somebody's own character, whose bones nobody may lengthen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..motion.rig import Rig
from .character import People
from .performance import Performance
from .retarget import RetargetOptions, retarget


def onto_rig(people: People, times_s: NDArray[np.float64], rig: Rig, options: RetargetOptions | None = None) -> People:
    """Return everybody in ``people`` on ``rig``, exactly as it is. Raises `SettingsError` where skeletons don't match."""

    def carried(performance: Performance) -> Performance:
        return retarget(performance, rig, options)

    return replace(people, people=tuple(
        replace(person, rig=rig, motion=carried(Performance.of_motion(person.rig, times_s, person.motion)).to_motion(), vertices_m=None)
        for person in people.people
    ))
