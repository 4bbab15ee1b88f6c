"""The project's own clip: people of known bodies on known paths, rendered, with the truth as a take.

It shows the main job on a machine that has no video at hand, and it measures accuracy, because every number is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..convert.body import Body
from ..convert.rigs.body_options import BodyOptions
from ..convert.rigs.registry import load_rig
from ..errors import UsageError
from ..files import sha256_of
from ..motion.rig import Rig
from ..motion.take import Camera, Person, Take
from .appearance import OUTFITS, dress
from .encode import EncodeOptions, video_writer
from .moves import MOVES
from .painter import join
from .performance import Performance, Style, perform
from .playback import joints_by_frame, joints_in
from .puppet import coarse_puppet, puppet
from .scene import SceneOptions, Stage
from .score import Score
from .view import View, look_at, look_from, pinhole

Array = NDArray[np.float64]
Progress = Callable[[int, int | None], None]

# Share of the picture that stays free around everybody.
_MARGIN = 0.09
_NEAREST_M = 2.0
_APART_M = 0.75
_HIDDEN_SHARE = 0.12
_SHADOW_TRIANGLES = 2500

BODIES: tuple[BodyOptions, ...] = (
    BodyOptions(),
    BodyOptions(gender=0.85, muscle=0.45, weight=0.5, height=0.45),
    BodyOptions(gender=0.1, muscle=0.7, weight=0.6, height=0.6),
    BodyOptions(gender=0.3, muscle=0.4, weight=0.8, height=0.4),
)
_DEMO_MOVES = (("walk", "turn", "wave", "squat"), ("stand", "wave", "walk", "squat", "punch"))


@dataclass(frozen=True)
class DemoOptions:
    """What the rendered clip shows."""

    people: int = 1
    """How many people there are, 1 to 4."""
    seconds: float = 9.0
    """How long the clip is."""
    seed: int = 0
    """Of everything that is left to chance: pace, sides, curves, small movements, the room."""
    fps: float = 30.0
    """Frames a second."""
    width: int | None = None
    """Width of the picture; nothing means 720 for one person and 1280 for more."""
    height: int | None = None
    """Height of the picture; nothing means 960 for one person and 720 for more."""
    moves: tuple[str, ...] = ()
    """What people do, in order, again and again until the clip ends; nothing means walk, turn, wave, squat."""
    bodies: tuple[BodyOptions, ...] = ()
    """Their bodies in order; nothing takes them from a small set by seed."""
    facing_deg: float | None = None
    """Where people face at the end, in degrees to their left of the camera; nothing leaves it to the seed."""
    camera_tilt: float = 0.12
    """How far the camera looks down: metres that it would sink over a metre ahead."""
    distance_m: float | None = None
    """Distance of the camera from the middle of what happens; nothing chooses the nearest that keeps everybody in the picture."""
    focal_px: float | None = None
    """Focal length; nothing means 1.2 times the longer side."""
    pillar: bool = False
    """Whether a pillar stands between the camera and the people."""
    rig: str = "unreal"
    """Rig of the truth."""

    def __post_init__(self) -> None:
        unknown = [move for move in self.moves if move not in MOVES]
        if unknown:
            raise UsageError(f"demo: moves: found {unknown[0]!r}, expected some of {', '.join(MOVES)}")
        if not 1 <= self.people <= len(BODIES):
            raise UsageError(f"demo: people: found {self.people}, expected 1 to {len(BODIES)}")
        if not (self.seconds > 0 and self.fps > 0):
            raise UsageError(f"demo: seconds, fps: found {self.seconds} and {self.fps}, expected more than 0")


def render_demo(path: Path, options: DemoOptions = DemoOptions(), on_progress: Progress | None = None) -> Take:
    """Render a clip to ``path`` (mp4) and return the truth: each person's ``params["contact"]`` (F,4) tells which of
    `convert.body.SOLE_POINTS` stands still on the ground.
    """
    take = stage_demo(options)
    render_clip(take, path, scene_for(take, options), on_progress=on_progress)
    return replace(take, source_name=Path(path).name, source_sha256=sha256_of(path))


def stage_demo(options: DemoOptions) -> Take:
    """Make the truth without rendering it: +Y up, the floor at y = 0, the camera on +Z, looking at the middle of what happens."""
    rate = Fraction(options.fps).limit_denominator(1001)
    times = np.arange(max(1, round(options.seconds * rate))) / float(rate)
    people = [_act(options, index, times) for index in range(options.people)]
    offsets = _stand_apart([play.root_m for _, play in people])
    performed = [(rig, replace(play, root_m=play.root_m + offset)) for (rig, play), offset in zip(people, offsets, strict=True)]
    persons = [_person(index, rig, play) for index, (rig, play) in enumerate(performed)]
    places = np.concatenate([Body.of(rig).positions(play.quat_xyzw, play.root_m).reshape(-1, 3) for rig, play in performed])
    return Take(
        times_s=times, fps=rate, camera=_camera(options, places), people=persons, source_name="demo", source_sha256="",
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"), rigdrop_version=__version__, provenance={"demo": asdict(options)},
    )


def _random(options: DemoOptions, index: int) -> np.random.Generator:
    return np.random.default_rng([options.seed, index])


def _act(options: DemoOptions, index: int, times_s: Array) -> tuple[Rig, Performance]:
    """One person's rig and performance, around the origin."""
    rng = _random(options, index)
    moves = options.moves or _DEMO_MOVES[index % len(_DEMO_MOVES)]
    score = Score()
    score.hold(float(rng.uniform(0.15, 0.3)))
    while score.now_s < times_s[-1] + 1.0:
        for move in moves:
            MOVES[move](score, rng)
            score.hold(float(rng.uniform(0.05, 0.2)))
    facing = float(rng.uniform(-0.5, 0.5)) if options.facing_deg is None else np.radians(options.facing_deg)
    turned = sum(drive.turn_rad for drive in score.drives if drive.start_s < times_s[-1])
    style = Style(
        toe_out=float(rng.uniform(0.06, 0.2)), arm_swing=float(rng.uniform(0.45, 0.75)), sway_m=float(rng.uniform(0.014, 0.026)),
        spread=float(rng.uniform(0.66, 0.8)), seed=int(rng.integers(1 << 31)),
    )
    bodies = options.bodies or tuple(BODIES[(options.seed + k) % len(BODIES)] for k in range(options.people))
    rig = load_rig(options.rig, bodies[index % len(bodies)])
    return rig, perform(score, Body.of(rig), facing - turned, style, times_s)


def _stand_apart(roots_m: Sequence[Array]) -> list[Array]:
    """Offsets (3,) along x and z that keep people from walking through each other."""
    offsets = [np.zeros(3)]
    for index, root in enumerate(roots_m[1:], start=1):
        offset = np.zeros(3)
        while any(_nearest(root + offset, other + moved) < _APART_M for other, moved in zip(roots_m[:index], offsets, strict=True)):
            offset = offset + [0.15 if index % 2 else -0.15, 0.0, -0.05]
        offsets.append(offset)
    middle = np.mean(offsets, axis=0)
    return [offset - middle for offset in offsets]


def _nearest(first_m: Array, second_m: Array) -> float:
    return float(np.linalg.norm((first_m - second_m)[:, [0, 2]], axis=1).min())


def _person(index: int, rig: Rig, play: Performance) -> Person:
    frames = len(play.root_m)
    motion = Body.of(rig).to_motion(play.quat_xyzw, play.root_m, np.ones(frames, dtype=bool), np.ones(frames), play.fingers_xyzw)
    name = f"person_{index + 1:02d}"
    return Person(id=name, name=name, source_track=index, rig=rig, motion=motion, params={"contact": play.contact})


def _camera(options: DemoOptions, places_m: Array) -> Camera:
    """A camera on the world's +Z side that sees all places (N,3), metres."""
    width = options.width or (720 if options.people == 1 else 1280)
    height = options.height or (960 if options.people == 1 else 720)
    intrinsics = pinhole(width, height, options.focal_px or 1.2 * max(width, height))
    if options.distance_m is None:
        world = look_from((0.0, options.camera_tilt, 1.0), places_m, width, height, intrinsics, _MARGIN, _NEAREST_M)
    else:
        middle = 0.5 * (places_m.min(axis=0) + places_m.max(axis=0))
        world = look_at(middle + options.distance_m * np.array([0.0, options.camera_tilt, 1.0]), middle)
    return Camera(width, height, intrinsics, world, focal_source="user")


def scene_for(take: Take, options: DemoOptions) -> SceneOptions:
    """A room that has space for everything that happens in a take, with a pillar where the options ask for one."""
    roots = np.concatenate([_root_path(person) for person in take.people])
    scene = SceneOptions(seed=options.seed, wall_z_m=float(roots[:, 2].min()) - 1.6, pillar_z_m=float(roots[:, 2].max()) + 0.75)
    eye = take.camera.world_from_camera[:3, 3]
    return replace(scene, pillar_x_m=_pillar_place(roots, eye, scene)) if options.pillar else scene


def _pillar_place(roots_m: Array, eye_m: Array, scene: SceneOptions) -> float:
    """Where along x a pillar hides people for a good while, but not for most of the clip."""
    # Where the lines of sight from the camera to the hips (N,3) cross the pillar's plane.
    crossing = eye_m[0] + (roots_m[:, 0] - eye_m[0]) * (eye_m[2] - scene.pillar_z_m) / (eye_m[2] - roots_m[:, 2])
    places = np.linspace(crossing.min() - scene.pillar_width_m, crossing.max() + scene.pillar_width_m, 60)
    hidden = (np.abs(crossing[:, None] - places) < 0.6 * scene.pillar_width_m).mean(axis=0)
    return float(places[np.argmin(np.abs(hidden - _HIDDEN_SHARE))])


def _root_path(person: Person) -> Array:
    """The pelvis (F,3) in the world."""
    body = Body.of(person.rig)
    return np.asarray(joints_in(person, slice(None))[:, int(body.joint_index[0]), :3, 3])


def render_clip(take: Take, path: Path, scene: SceneOptions, on_progress: Progress | None = None) -> None:
    """Render a take as its own camera sees it, in clothes and in a room; for clips whose truth must be known."""
    outfits = [OUTFITS[(scene.seed + index) % len(OUTFITS)] for index in range(len(take.people))]
    skins = [puppet(person.rig, dress(person.rig, outfit)) for person, outfit in zip(take.people, outfits, strict=True)]
    casters = [coarse_puppet(person.rig, np.zeros(3), _SHADOW_TRIANGLES) for person in take.people]
    stage = Stage(View.of_camera(take.camera), scene)
    with video_writer(path, take.camera.width, take.camera.height, take.fps, EncodeOptions(quality=17)) as video:
        for frame, worlds in enumerate(joints_by_frame(take)):
            people, shadows = (join([skin.posed(world) for skin, world in zip(drawn, worlds, strict=True)]) for drawn in (skins, casters))
            video.add(stage.picture(people, shadows, frame), float(take.times_s[frame]))
            if on_progress:
                on_progress(frame + 1, take.frame_count)
