"""A part of a recording: what --start and --end do to motion that was not filmed. At another rate it is brought later, as turns."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.take import Camera
from ..recording import Actor, Recording
from ..video_options import VideoOptions

T = TypeVar("T")

# Arrays of the values in `recording` that don't begin with frames.
_STILL = ("betas", "R_world_source", "skeleton", "rig", "faces")


def cut_recording(recording: Recording, options: VideoOptions, path: Path) -> Recording:
    """Return the frames of ``recording`` from start to end, each at its own time.

    People who are in none of them are left out. Raises `ReadError` where there are no frames, naming ``path``.
    """
    if (options.start_s, options.end_s) == (VideoOptions.start_s, VideoOptions.end_s):
        return recording
    times_s, end_s = recording.times_s, np.inf if options.end_s is None else options.end_s
    rows = np.flatnonzero((times_s >= options.start_s) & (times_s < end_s))
    if not len(rows):
        end = "the end" if options.end_s is None else f"{end_s:g} s"
        raise ReadError(f"{path}: found no frame from {options.start_s:g} s to {end}, expected a part of {times_s[0]:.3f} to "
                        f"{times_s[-1]:.3f} s")
    actors = tuple(_actor(actor, rows) for actor in recording.actors if actor.visible[rows].any())
    camera = None if recording.camera is None else _camera(recording.camera, rows)
    return replace(recording, times_s=times_s[rows], actors=actors, camera=camera)


def _actor(actor: Actor, rows: NDArray[np.intp]) -> Actor:
    raw = {name: array[rows] for name, array in actor.raw.items()}
    return replace(actor, motion=_sliced(actor.motion, rows), visible=actor.visible[rows], confidence=actor.confidence[rows], raw=raw)


def _sliced(values: T, rows: NDArray[np.intp]) -> T:
    """The same frozen object with every array that begins with frames cut to ``rows``."""
    assert is_dataclass(values) and not isinstance(values, type)
    changed: dict[str, Any] = {}
    for field in fields(values):
        value = getattr(values, field.name)
        if field.name in _STILL:
            continue
        if isinstance(value, np.ndarray):
            changed[field.name] = value[rows]
        elif is_dataclass(value):
            changed[field.name] = _sliced(value, rows)
    return replace(values, **changed)


def _camera(camera: Camera, rows: NDArray[np.intp]) -> Camera:
    lens, place = (array if array.ndim == 2 else array[rows] for array in (camera.intrinsics_px, camera.world_from_camera))
    return replace(camera, intrinsics_px=lens, world_from_camera=place)
