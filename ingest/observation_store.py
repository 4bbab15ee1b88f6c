"""What an estimator saw, in a file of its own: so that a conversion which was stopped need not look at the clip again.

Between the stages of one version of Rigdrop only; what others read is the take.
"""

from __future__ import annotations

import json
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import h5py

from ..errors import ReadError
from ..files import atomic_path
from ..motion.disk import write_hdf5
from .tracks import Observations, Track

_ARRAYS = [own.name for own in fields(Track) if own.name not in ("id", "first_frame")]


def write_observations(path: Path, observations: Observations) -> None:
    """Put ``observations`` at ``path``, whole or not at all. Raises `WriteError` where the disk refuses."""
    with atomic_path(path) as temporary:
        write_hdf5(temporary, lambda file: _write(file, observations))


def read_observations(path: Path) -> Observations:
    """Return the observations at ``path``, every number as it was. Raises `ReadError` where they are not there or not whole."""
    try:
        with h5py.File(path, "r") as file:
            return _read(file)
    except (OSError, KeyError, ValueError) as error:
        raise ReadError(f"{path}: found no whole observations ({error}), expected an earlier stage's; convert with --force") from error


def _write(file: h5py.File, observations: Observations) -> None:
    file["times_s"] = observations.times_s
    about = {
        "fps": str(observations.fps), "width": observations.width, "height": observations.height, "focal_px": observations.focal_px,
        "timecode": observations.timecode, "details": observations.details,
        "tracks": [[track.id, track.first_frame] for track in observations.tracks],
    }
    file["about"] = json.dumps(about)
    for number, track in enumerate(observations.tracks):
        for name in _ARRAYS:
            file[f"tracks/{number}/{name}"] = getattr(track, name)


def _read(file: h5py.File) -> Observations:
    about = json.loads(file["about"].asstr()[()])
    tracks = [
        Track(identity, first_frame, **{name: file[f"tracks/{number}/{name}"][()] for name in _ARRAYS})
        for number, (identity, first_frame) in enumerate(about["tracks"])
    ]
    return Observations(
        times_s=file["times_s"][()], fps=Fraction(about["fps"]), width=about["width"], height=about["height"], tracks=tracks,
        focal_px=about["focal_px"], timecode=about["timecode"], details=about["details"],
    )
