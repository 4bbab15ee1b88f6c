"""From what was seen in a clip to its people: fit, hands, smoothing, a level world, and a rig to each one's measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..ingest.tracks import Observations, Track
from ..motion.rig import Rig
from ..motion.take import Camera, Motion, Person
from .body import Body
from .feet import hold_feet
from .fit import FitOptions, FitResult, fit_track
from .fitting.ground import Ground, Stance, find_ground, joined, stance_of
from .fitting.shape import shaped_body
from .hands import HandOptions, drive_hands
from .performance import Performance
from .root import CameraOptions, camera_of, into_world, lens_of, world_from_camera
from .smooth import SmoothOptions, smooth_places, smooth_turns
from .stance.contacts import FeetOptions

Array = NDArray[np.float64]

_BLOCK_FRAMES = 512


@dataclass(frozen=True)
class CharacterOptions:
    """Everything that turns landmarks into characters."""

    camera: CameraOptions = field(default_factory=CameraOptions)
    fit: FitOptions = field(default_factory=FitOptions)
    hands: HandOptions = field(default_factory=HandOptions)
    smooth: SmoothOptions = field(default_factory=SmoothOptions)
    feet: FeetOptions = field(default_factory=FeetOptions)


@dataclass(frozen=True, eq=False)
class People:
    """The result: people in one world, the camera that saw them, and how they were found."""

    camera: Camera
    people: tuple[Person, ...]
    details: Mapping[str, Any]


def fit_people(
    observations: Observations, rig: Rig, options: CharacterOptions, on_progress: Callable[[int, int | None], None] | None = None
) -> People:
    """Fit ``rig`` to every track of ``observations``. No tracks give no people, and a camera all the same."""
    body = Body.of(rig)
    lens, source = lens_of(observations, options.camera)
    total, done = sum(len(track.seen) for track in observations.tracks), 0

    def advance(frames: int) -> None:
        nonlocal done
        done += frames
        if on_progress is not None:
            on_progress(min(done, total), total)

    # The solve's matrices are small: more threads wait for each other longer than they work, tenfold on a busy machine.
    with threadpool_limits(1, "blas"):
        fits = [fit_track(body, track, lens, observations.times_s[track.frames], options.fit, advance) for track in observations.tracks]
    stances = [_stance(shaped_body(body, fit.log_shape), track, fit) for track, fit in zip(observations.tracks, fits, strict=True)]
    ground = find_ground(joined(stances), options.camera.level)
    T_world_camera = world_from_camera(ground, _origin(observations, fits))
    people = [_person(number, body, track, fit, observations, T_world_camera, options)
              for number, (track, fit) in enumerate(zip(observations.tracks, fits, strict=True), start=1)]
    details = _details(lens.focal_px, source, ground, fits)
    if options.feet.feet:
        people, details["feet"] = _held(people, observations.times_s, options.feet)
    return People(camera_of(observations, lens, source, T_world_camera), tuple(people), details)


def _held(people: list[Person], times_s: Array, options: FeetOptions) -> tuple[list[Person], list[dict[str, Any]]]:
    """People whose feet are held where they stand, and how far each one's slid and sank before and after."""
    held = [hold_feet(Performance.of_motion(person.rig, times_s, person.motion), options) for person in people]
    return [replace(person, motion=now.to_motion()) for person, (now, _) in zip(people, held, strict=True)], [did for _, did in held]


def _origin(observations: Observations, fits: list[FitResult]) -> Array:
    """Where the world begins, camera axes: under the pelvis of whoever was seen first."""
    if not fits:
        return np.zeros(3)
    first = int(np.argmin([track.first_frame for track in observations.tracks]))
    return np.asarray(fits[first].root_m[int(np.argmax(observations.tracks[first].seen))])


def _blocks(frames: int) -> Iterator[slice]:
    """Frames a few hundred at a time: what is reckoned between the fit and the motion takes some 20 kB for each."""
    for start in range(0, frames, _BLOCK_FRAMES):
        yield slice(start, min(start + _BLOCK_FRAMES, frames))


def _stance(body: Body, track: Track, fit: FitResult) -> Stance:
    return joined([stance_of(body, fit.quat_xyzw[part], fit.root_m[part], fit.planted[part], track.seen[part])
                   for part in _blocks(len(track.seen))])


def _person(
    number: int, body: Body, track: Track, fit: FitResult, observations: Observations, T_world_camera: Array, options: CharacterOptions
) -> Person:
    times_s = observations.times_s[track.frames]
    own = shaped_body(body, fit.log_shape)
    whole = np.ones(len(times_s), bool)  # the fit has filled what was not seen
    turns = smooth_turns(fit.quat_xyzw, times_s, whole, options.smooth)
    turns, fingers = drive_hands(own, turns, track, times_s, options.hands, options.smooth)
    root = smooth_places(fit.root_m[:, None], times_s, whole, options.smooth)[:, 0]
    spread = _Spread(track.first_frame, len(times_s), len(observations.times_s))
    return Person(
        id=f"person_{number:02d}", name=f"Person {number}", source_track=track.id, rig=own.rig,
        motion=_motion(own, track, replace(fit, quat_xyzw=turns, root_m=root), fingers, T_world_camera, spread),
        raw=_raw(track, spread), params={"log_shape": fit.log_shape},
    )


def _motion(own: Body, track: Track, fit: FitResult, fingers_xyzw: Array, T_world_camera: Array, spread: _Spread) -> Motion:
    """Carry the fit and finger turns (L,30,4) into the world and onto the rig's joints, over all frames of the clip."""
    visible = spread.padded(track.seen, False)
    confidence = spread.padded(np.where(track.seen, track.score, 0.0).astype(np.float32), 0.0)
    joints = len(own.rig.joint_names)
    quat, translation = np.empty((spread.frames, joints, 4), np.float32), np.empty((spread.frames, joints, 3), np.float32)
    for part in _blocks(spread.frames):
        rows = spread.rows(part)
        turns, root = into_world(replace(fit, quat_xyzw=fit.quat_xyzw[rows], root_m=fit.root_m[rows]), T_world_camera)
        motion = own.to_motion(turns, root, visible[part], confidence[part], fingers_xyzw[rows])
        # Each block begins on the side of the sphere on which the one before ended.
        quat[part], translation[part] = motion.local_quat_xyzw, motion.local_translation_m
        if part.start:
            quat[part, np.sum(quat[part.start] * quat[part.start - 1], axis=-1) < 0] *= -1
    return Motion(quat, translation, visible, confidence)


@dataclass(frozen=True)
class _Spread:
    """Lays the frames of a track into the frames of the clip."""

    first: int
    length: int
    frames: int

    def rows(self, part: slice) -> NDArray[np.intp]:
        """The track's rows for some frames of the clip; its first and last are held outside the track."""
        return np.asarray(np.clip(np.arange(part.start, part.stop) - self.first, 0, self.length - 1))

    def padded(self, values: NDArray[Any], empty: object) -> NDArray[Any]:
        """Put ``empty`` outside the track; a track as long as the clip is taken as it is."""
        if len(values) == self.frames:
            return values
        whole = np.full((self.frames, *values.shape[1:]), empty, dtype=values.dtype)
        whole[self.first:self.first + len(values)] = values
        return whole


def _raw(track: Track, spread: _Spread) -> dict[str, NDArray[Any]]:
    names = ("landmarks_px", "landmarks_m", "visibility", "score", "box_px", "hands_px", "hands_m", "hand_score")
    return {name: spread.padded(getattr(track, name), np.nan) for name in names}


def _details(focal_px: float, source: str, ground: Ground, fits: list[FitResult]) -> dict[str, Any]:
    people = [{"iterations": fit.iterations, "cost": fit.cost, "body_over_landmarks": fit.seen_scale, "log_shape": fit.log_shape.tolist()}
              for fit in fits]
    return {
        "focal_px": focal_px, "focal_source": source, "camera_pitch_deg": float(np.degrees(ground.pitch_rad)),
        "camera_height_m": ground.height_m, "standing_soles": ground.standing, "people": people,
    }
