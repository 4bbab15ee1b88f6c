"""From what was seen in a clip, or read from a motion file, to characters on the rig that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .assets import where
from .config.settings import Settings
from .convert.character import CharacterOptions, People, fit_people
from .convert.finish import finish
from .convert.mhr.morphed import with_morphs
from .convert.onto_rig import onto_rig
from .convert.recorded import RecordedOptions, people_of
from .convert.resample import times_at
from .convert.rigs.character_file import character_from
from .convert.rigs.mhr_parameters import MhrModel
from .convert.rigs.registry import load_mhr_model, load_rig
from .ingest.motion_files.character import is_character_file, read_character
from .ingest.pose.sam3d_body.checkpoint_place import mhr_folder_of, named_checkpoint
from .ingest.recording import Recording
from .ingest.tracks import Observations, Progress
from .motion.rig import Rig


def embody(
    seen: Observations | Recording, settings: Settings, from_file: bool, on_progress: Progress | None = None
) -> tuple[People, NDArray[np.float64]]:
    """Return everybody on their rigs, and the times (F,), seconds, of their frames.

    ``from_file`` says that a motion file holds the motion: it is brought to another rate here, and cleaned only where that
    is asked for. Raises what `fit_people`, `people_of`, `finish` and the loading of rigs raise.
    """
    load_mhr = cache(lambda: load_mhr_model(mhr_folder(settings)))
    rate = settings.video.rate if from_file else None  # clips are sampled when they are read
    if isinstance(seen, Recording):
        people = _recorded(seen, settings, from_file, rate, load_mhr, on_progress)
    else:
        people = _fitted(seen, settings, on_progress)
    people, times_s = finish(people, times_at(seen.times_s, rate), settings.bind, settings.place)
    return with_morphs(people, times_s, settings.correctives, load_mhr), times_s


def mhr_folder(settings: Settings) -> Path | None:
    """Return where MHR's files are, so far as anybody said; SAM 3D Body's weights come with them."""
    named = settings.rig.mhr or where("mhr")
    if named is not None or settings.pose.estimator != "sam3d-body":
        return named
    checkpoint = named_checkpoint(settings.sam3d)
    return None if checkpoint is None else mhr_folder_of(checkpoint)


def _recorded(
    seen: Recording, settings: Settings, from_file: bool, rate: Fraction | None, load_mhr: Callable[[], MhrModel],
    on_progress: Progress | None,
) -> People:
    options = RecordedOptions(
        rig=settings.rig.rig, smpl=settings.smpl.smpl, level=settings.camera.level, feet=settings.feet, retarget=settings.retarget,
        clean=settings.clean if from_file else settings.clean.of_pictures(), mhr_folder=mhr_folder(settings), rate=rate,
    )
    return people_of(seen, options, lambda name: _load_rig(name, settings), load_mhr, on_progress)


def _fitted(seen: Observations, settings: Settings, on_progress: Progress | None) -> People:
    options = CharacterOptions(camera=settings.camera, fit=settings.fit, hands=settings.hands, smooth=settings.smooth, feet=settings.feet)
    name = settings.rig.rig
    if not is_character_file(name):
        return fit_people(seen, _load_rig(name, settings), options, on_progress)
    # A character of one's own keeps its bones: a body that may be stretched is fitted, and carried over to it.
    fitted = fit_people(seen, _load_rig("unreal", settings), options, on_progress)
    return onto_rig(fitted, seen.times_s, _load_rig(name, settings), settings.retarget)


def _load_rig(name: str, settings: Settings) -> Rig:
    if is_character_file(name):
        return character_from(read_character(Path(name), settings.rig.rig_map))
    return load_rig("unreal" if name == "auto" else name, settings.body, mhr_folder(settings))
