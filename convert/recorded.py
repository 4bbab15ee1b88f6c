"""From a recording to its people: each on the rig of their file, cleaned, at the rate asked for, set on the ground in a level
world, and carried onto the rig asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
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
from .level import find_level
from .mhr.bare_mesh import is_bare
from .mhr.kept_vertices import kept_vertices, moved_vertices
from .mhr.native_mhr import native_mhr
from .performance import Performance, moved
from .resample import Resampling, resampled, resampled_camera, times_at
from .retarget import RetargetOptions, retarget
from .retargeting.bare_rig import bare_rig
from .rigs.mhr_parameters import MhrModel
from .root import world_from_camera
from .stance.contacts import FeetOptions, ground_of
from .stance.soles import sole_places

Floats = NDArray[np.float64]
LoadRig = Callable[[str], Rig]

# A picture for motion that no camera took: wide enough for a walk, a view as of somebody who stands and looks.
_WIDTH, _HEIGHT, _FOCAL_PX, _LEAST_AWAY_M = 1920, 1080, 1600.0, 3.0
# So many frames tell how much room somebody's motion takes; all of an hour would take gigabytes.
_FRAMES_FOR_BOUNDS = 256


@dataclass(frozen=True)
class RecordedOptions:
    """Everything that turns a motion file into characters."""

    rig: str = "auto"
    smpl: Path | None = None
    mhr_folder: Path | None = None
    level: bool = True
    rate: Fraction | None = None  # to bring the motion to; nothing keeps every frame at its own time
    clean: CleanOptions = field(default_factory=CleanOptions)
    feet: FeetOptions = field(default_factory=FeetOptions)
    retarget: RetargetOptions = field(default_factory=RetargetOptions)


def people_of(
    recording: Recording, options: RecordedOptions, load_rig: LoadRig, load_mhr: Callable[[], MhrModel],
    on_progress: Callable[[int, int | None], None] | None = None,
) -> People:
    """Return everybody in ``recording`` on the rig that ``options`` name; `auto` is MHR for MHR's motion, a character's own, else unreal.

    Frames are at ``times_at(recording.times_s, options.rate)``. Motion that is in a camera's axes is levelled by whoever stands
    in it, and moved so that the soles are on the ground and the origin is under whoever is there first; without ``level`` it
    keeps these axes. Meshes that were kept from the file are as it has them. Raises `ReadError` where the motion can't be put
    on a body or kept meshes aren't the rig's, `SettingsError` where skeletons don't match, and `MissingPartError` where a
    body is missing.
    """
    load_rig, load_mhr = cache(load_rig), cache(load_mhr)  # a rig once, for however many people
    natives = [_embodied(actor, recording.times_s, options, load_rig, load_mhr) for actor in recording.actors]
    way = Resampling.of(recording.times_s, times_at(recording.times_s, options.rate))
    cleaned = [_cleaned(performance, options, way) for performance, _, _ in natives]
    # Between two frames only as much is seen as in both: of a glimpse no frame at another rate may be left.
    there = [row for row, (performance, _) in enumerate(cleaned) if performance.visible.any()]
    if recording.actors and not there:
        raise ReadError("recording: found nobody who is in two frames one after the other, expected that at another rate; leave --fps out")
    warnings = [f"{actor.name}: left out: at this rate no frame lies between two in which they are"
                for row, actor in enumerate(recording.actors) if row not in there]
    actors, natives, cleaned = [recording.actors[row] for row in there], [natives[row] for row in there], [cleaned[row] for row in there]
    bodies = [performance for performance, _ in cleaned]
    T_world_source, found = _stand(bodies) if _is_in_camera(recording) and options.level and bodies else (np.eye(4), {})
    people, figures = [], []
    warnings += [warning for _, _, said in natives for warning in said]
    for number, (actor, (body, did)) in enumerate(zip(actors, cleaned, strict=True), start=1):
        performance, held = _finished(actor, body, options, T_world_source, load_rig)
        meshes = _meshes(actor, recording.times_s, performance.rig)
        meshes = None if meshes is None else moved_vertices(way.straight(meshes), T_world_source)
        people.append(_person(number, actor, performance, meshes, way))
        warnings += _left_out(actor, way)
        stages = {"stages": [*did["stages"], *held]} if did else {}
        figures.append(did | stages | natives[number - 1][1])
        if on_progress is not None:
            on_progress(number, len(bodies))
    camera = _camera(recording, T_world_source, bodies, way)
    return People(camera, tuple(people), {"focal_source": camera.focal_source, **found, "clean": figures, "warnings": warnings})


def _cleaned(native: Performance, options: RecordedOptions, way: Resampling) -> tuple[Performance, dict[str, Any]]:
    """The motion cleaned, frame by frame as it was recorded, then at its new rate; figures of the work. A bare mesh is not cleaned."""
    performance, did = (native, {}) if is_bare(native) else clean(native, options.clean)
    return resampled(performance, way), did


def _finished(
    actor: Actor, body: Performance, options: RecordedOptions, T_world_source: Floats, load_rig: LoadRig
) -> tuple[Performance, list[dict[str, Any]]]:
    """The motion in the world, its feet held, and on the rig asked for, with figures of the feet; a bare mesh is only moved."""
    performance, held = moved(body, T_world_source), []
    if is_bare(body):
        return performance, []
    if options.feet.feet:
        performance, figures = hold_feet(performance, options.feet)
        held = [figures]
    rig = _target(actor, options.rig, load_rig)
    return performance if rig is None else retarget(performance, rig, options.retarget), held


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
        return recording.details.get("world") == "camera" or any(isinstance(actor.motion, MhrMotion) for actor in recording.actors)
    return bool(np.array_equal(recording.camera.world_from_camera, np.eye(4)))


def _stand(people: list[Performance]) -> tuple[Floats, dict[str, Any]]:
    """The move (4,4) that levels the world, puts whoever is there first over the origin and the ground under the lowest of all on
    y = 0; and what was found of the camera."""
    level = find_level(people)
    first = min(people, key=lambda person: int(np.argmax(person.visible)))
    frame, pelvis = int(np.argmax(first.visible)), first.rig.skeleton.semantic.get("pelvis", 0)
    T_world_source = world_from_camera(level, first.places_m(np.array([frame]))[0, pelvis])
    floors = [ground_of(places[person.visible] @ T_world_source[:3, :3].T + T_world_source[:3, 3], person.times_s[person.visible])
              for person in people
              if (places := person.joints_m if is_bare(person) else sole_places(person)).size and person.visible.any()]
    T_world_source[1, 3] -= min(floors)
    return T_world_source, {"camera_pitch_deg": float(np.degrees(level.pitch_rad)), "standing_soles": level.standing}


def _person(
    number: int, actor: Actor, performance: Performance, meshes_m: NDArray[np.float32] | None, way: Resampling
) -> Person:
    return Person(
        id=f"person_{number:02d}", name=actor.name, source_track=actor.track, rig=performance.rig, motion=performance.to_motion(),
        vertices_m=meshes_m, raw=way.picked(actor.raw), params=_params(actor.motion, way),
    )


def _meshes(actor: Actor, times_s: Floats, rig: Rig) -> NDArray[np.float32] | None:
    """The file's own meshes (F,V,3) at ``times_s`` (F,), in the file's axes; nothing where none were kept."""
    if not isinstance(actor.motion, MhrMotion) or actor.motion.vertices_m is None:
        return None
    return kept_vertices(actor, times_s, rig)


def _params(motion: MhrMotion | SmplMotion | SkeletalMotion, way: Resampling) -> Mapping[str, NDArray[Any]]:
    """The body's parameters as the file has them, for whoever wants to go on from there."""
    if isinstance(motion, MhrMotion):
        blended = {"shape_params": way.straight(motion.shape_params), "pred_cam_t": way.straight(motion.camera_translation_m)}
        return blended if motion.model_params is None else way.picked({"mhr_model_params": motion.model_params}) | blended
    if isinstance(motion, SmplMotion) and motion.betas is not None:
        return {"betas": motion.betas}
    return {}


def _left_out(actor: Actor, way: Resampling) -> tuple[str, ...]:
    """A warning of what no frame between two of the file's can have: Euler angles, and what was said of single pictures."""
    names = [*actor.raw, *(["mhr_model_params"] if isinstance(actor.motion, MhrMotion) and actor.motion.model_params is not None else [])]
    if way.picks or not names:
        return ()
    return (f"{actor.name}: left out {', '.join(sorted(names))}, which can't be blended: at this rate frames lie between the file's",)


def _camera(recording: Recording, T_world_source: Floats, people: list[Performance], way: Resampling) -> Camera:
    """The camera of the recording, moved with its people; one that looks at them all where there is none."""
    if recording.camera is not None:
        camera = resampled_camera(recording.camera, way)
        return replace(camera, world_from_camera=T_world_source @ camera.world_from_camera)
    if not people:
        raise ReadError("recording: found nobody in it, expected one person or more")
    if _is_in_camera(recording):
        return Camera(_WIDTH, _HEIGHT, _intrinsics(), T_world_source, "default")
    places = np.concatenate([person.places_m(_some(person.visible)).reshape(-1, 3) for person in people])
    low, high = np.percentile(places, (1, 99), axis=0)
    wide = max(high[0] - low[0] + 1.0, (high[1] - low[1] + 0.5) * _WIDTH / _HEIGHT)
    T_world_camera = np.eye(4)
    away = max(wide * _FOCAL_PX / _WIDTH, _LEAST_AWAY_M)
    T_world_camera[:3, 3] = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, high[2] + away
    return Camera(_WIDTH, _HEIGHT, _intrinsics(), T_world_camera, "default")


def _some(visible: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Some of the frames in which somebody is seen, evenly spread: enough to know where they go."""
    rows = np.flatnonzero(visible)
    return np.asarray(rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _FRAMES_FOR_BOUNDS)).astype(int))])


def _intrinsics() -> Floats:
    return np.array([[_FOCAL_PX, 0, _WIDTH / 2], [0, _FOCAL_PX, _HEIGHT / 2], [0, 0, 1.0]])
