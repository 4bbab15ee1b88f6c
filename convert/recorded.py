"""From a recording to its people: each on the rig of their file, cleaned, set on the ground, and carried onto the rig asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..ingest.recording import Actor, MhrMotion, Recording, SkeletalMotion, SmplMotion
from ..motion.rig import Rig
from ..motion.take import Camera, Person
from .character import People
from .clean import CleanOptions, clean
from .embody_own import embody_own
from .embody_smpl import embody_smpl
from .feet import hold_feet
from .mhr.bare_mesh import is_bare
from .mhr.kept_vertices import kept_vertices, moved_vertices
from .mhr.native_mhr import native_mhr
from .performance import Performance, moved
from .retarget import RetargetOptions, retarget
from .retargeting.bare_rig import bare_rig
from .rigs.mhr_parameters import MhrModel
from .stance.contacts import FeetOptions, ground_of
from .stance.soles import sole_places

Floats = NDArray[np.float64]
LoadRig = Callable[[str], Rig]

# A picture for motion that no camera took: wide enough for a walk, a view as of somebody who stands and looks.
_WIDTH, _HEIGHT, _FOCAL_PX, _LEAST_AWAY_M = 1920, 1080, 1600.0, 3.0


@dataclass(frozen=True)
class RecordedOptions:
    """Everything that turns a motion file into characters."""

    rig: str = "auto"
    smpl: Path | None = None
    mhr_folder: Path | None = None
    level: bool = True
    clean: CleanOptions = field(default_factory=CleanOptions)
    feet: FeetOptions = field(default_factory=FeetOptions)
    retarget: RetargetOptions = field(default_factory=RetargetOptions)


def people_of(
    recording: Recording, options: RecordedOptions, load_rig: LoadRig, load_mhr: Callable[[], MhrModel],
    on_progress: Callable[[int, int | None], None] | None = None,
) -> People:
    """Return everybody in ``recording`` on the rig that ``options`` name; `auto` is MHR for MHR's motion, a character's own, else unreal.

    Motion that is in a camera's axes keeps these axes, and is moved so that the soles are on the ground and the origin is
    under whoever is there first. Meshes that were kept from the file are as it has them. Raises `ReadError` where the motion
    can't be put on a body or kept meshes aren't the rig's, `SettingsError` where skeletons don't match, and
    `MissingPartError` where a body is missing.
    """
    load_rig, load_mhr = cache(load_rig), cache(load_mhr)  # a rig once, for however many people
    natives = [_embodied(actor, recording.times_s, options, load_rig, load_mhr) for actor in recording.actors]
    embodied = [performance for performance, _, _ in natives]
    T_world_source = _stand(embodied) if _is_in_camera(recording) and options.level and embodied else np.eye(4)
    people, figures = [], []
    for number, (actor, native) in enumerate(zip(recording.actors, embodied, strict=True), start=1):
        performance, did = _finished(actor, native, options, T_world_source, load_rig)
        people.append(_person(number, actor, performance, _meshes(actor, performance, T_world_source)))
        figures.append(did | natives[number - 1][1])
        if on_progress is not None:
            on_progress(number, len(embodied))
    camera = _camera(recording, T_world_source, embodied)
    warnings = [warning for _, _, said in natives for warning in said]
    return People(camera, tuple(people), {"focal_source": camera.focal_source, "clean": figures, "warnings": warnings})


def _finished(
    actor: Actor, native: Performance, options: RecordedOptions, T_world_source: Floats, load_rig: LoadRig
) -> tuple[Performance, dict[str, Any]]:
    """The motion cleaned, in the world, and on the rig asked for, with the figures of the work; a bare mesh is only moved."""
    if is_bare(native):
        return moved(native, T_world_source), {}
    performance, did = clean(native, options.clean)
    performance = moved(performance, T_world_source)
    if options.feet.feet:
        performance, held = hold_feet(performance, options.feet)
        did = {**did, "stages": [*did["stages"], held]}
    rig = _target(actor, options.rig, load_rig)
    return performance if rig is None else retarget(performance, rig, options.retarget), dict(did)


def _embodied(
    actor: Actor, times_s: Floats, options: RecordedOptions, load_rig: LoadRig, load_mhr: Callable[[], MhrModel],
) -> tuple[Performance, dict[str, Any], tuple[str, ...]]:
    """The motion on the rig of its file, with figures on that rig where there are any, and what to warn of."""
    motion = actor.motion
    if isinstance(motion, MhrMotion):
        return native_mhr(actor, times_s, options.rig, options.mhr_folder, load_mhr)
    if isinstance(motion, SmplMotion):
        if options.smpl is not None:
            performance, figures = embody_own(actor, times_s, options.smpl)
            return performance, {"smpl": figures}, ()
        return embody_smpl(actor, times_s, load_rig("smplx" if motion.model == "smplx" else "smplh")), {}, ()
    rig = motion.rig if motion.rig is not None else bare_rig(motion.skeleton, actor.name)
    return Performance.of_motion(rig, times_s, motion.motion), {}, ()


def _target(actor: Actor, name: str, load_rig: LoadRig) -> Rig | None:
    """The rig to carry the motion onto; nothing where it is on the right one."""
    if name == "auto":
        own = isinstance(actor.motion, MhrMotion) or (isinstance(actor.motion, SkeletalMotion) and actor.motion.rig is not None)
        return None if own else load_rig("unreal")
    if name == "mhr" and isinstance(actor.motion, MhrMotion):
        return None
    if isinstance(actor.motion, SmplMotion) and name == actor.motion.model:
        return None  # on the person's own body where there is a licensed one, else on the standard skeleton of that name
    return load_rig(name)


def _is_in_camera(recording: Recording) -> bool:
    """Tell whether the motion is in the axes of the camera that took it."""
    if recording.camera is None:
        return any(isinstance(actor.motion, MhrMotion) for actor in recording.actors)
    return bool(np.array_equal(recording.camera.world_from_camera, np.eye(4)))


def _stand(people: list[Performance]) -> Floats:
    """The move (4,4) that puts whoever is there first over the origin, and the ground under the lowest of all on y = 0."""
    floors = [ground_of(places[person.visible], person.times_s[person.visible]) for person in people
              if (places := person.joints_m if is_bare(person) else sole_places(person)).size and person.visible.any()]
    first = min(people, key=lambda person: int(np.argmax(person.visible)))
    frame, pelvis = int(np.argmax(first.visible)), first.rig.skeleton.semantic.get("pelvis", 0)
    T_world_source = np.eye(4)
    T_world_source[[0, 2], 3] = -first.joints_m[frame, pelvis, [0, 2]]
    T_world_source[1, 3] = -min(floors)
    return T_world_source


def _person(number: int, actor: Actor, performance: Performance, meshes_m: NDArray[np.float32] | None) -> Person:
    return Person(
        id=f"person_{number:02d}", name=actor.name, source_track=actor.track, rig=performance.rig, motion=performance.to_motion(),
        vertices_m=meshes_m, raw=dict(actor.raw), params=_params(actor.motion),
    )


def _meshes(actor: Actor, performance: Performance, T_world_source: Floats) -> NDArray[np.float32] | None:
    """The file's own meshes (F,V,3) in the world; nothing where none were kept."""
    if not isinstance(actor.motion, MhrMotion) or actor.motion.vertices_m is None:
        return None
    return moved_vertices(kept_vertices(actor, performance.times_s, performance.rig), T_world_source)


def _params(motion: MhrMotion | SmplMotion | SkeletalMotion) -> Mapping[str, NDArray[Any]]:
    """The body's parameters as the file has them, for whoever wants to go on from there."""
    if isinstance(motion, MhrMotion):
        said = {"mhr_model_params": motion.model_params, "shape_params": motion.shape_params, "pred_cam_t": motion.camera_translation_m}
        return {name: array for name, array in said.items() if array is not None}
    if isinstance(motion, SmplMotion) and motion.betas is not None:
        return {"betas": motion.betas}
    return {}


def _camera(recording: Recording, T_world_source: Floats, people: list[Performance]) -> Camera:
    """The camera of the recording, moved with its people; one that looks at them all where there is none."""
    if recording.camera is not None:
        return replace(recording.camera, world_from_camera=T_world_source @ recording.camera.world_from_camera)
    if not people:
        raise ReadError("recording: found nobody in it, expected one person or more")
    if _is_in_camera(recording):
        return Camera(_WIDTH, _HEIGHT, _intrinsics(), T_world_source, "default")
    places = np.concatenate([person.joints_m[person.visible].reshape(-1, 3) for person in people])
    low, high = np.percentile(places, (1, 99), axis=0)
    wide = max(high[0] - low[0] + 1.0, (high[1] - low[1] + 0.5) * _WIDTH / _HEIGHT)
    T_world_camera = np.eye(4)
    away = max(wide * _FOCAL_PX / _WIDTH, _LEAST_AWAY_M)
    T_world_camera[:3, 3] = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, high[2] + away
    return Camera(_WIDTH, _HEIGHT, _intrinsics(), T_world_camera, "default")


def _intrinsics() -> Floats:
    return np.array([[_FOCAL_PX, 0, _WIDTH / 2], [0, _FOCAL_PX, _HEIGHT / 2], [0, 0, 1.0]])
