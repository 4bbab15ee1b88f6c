"""A person as a GLB whose mesh itself carries every frame: one morph target a frame, no skeleton."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pygltflib
from numpy.typing import NDArray

from ..errors import SettingsError
from ..motion.kinematics import skin_chunks
from ..motion.rig import vertex_normals
from ..motion.take import Person, Take
from .glb import GlbFile
from .glb_parts import Clock, add_camera, add_channel, add_surface, clip_times_s, take_extras
from .options import GlbBakedOptions

MAX_FRAMES = 2047
MANY_FRAMES = 600

Frames = Iterator[NDArray[np.float32]]


def write_glb_baked(take: Take, person: Person, path: Path, options: GlbBakedOptions | None = None) -> None:
    """Write ``person`` as a GLB with one morph target a frame: the exact mesh of every frame, and their blend between.

    The base mesh is the first frame. Frames are computed and written one after the other. Raises `SettingsError` past
    2,047 frames, where viewers' textures end, and warns from 600.
    """
    options = options or GlbBakedOptions()
    _check_length(take, path)
    times_s = clip_times_s(take)
    first = next(frame_vertices(person))
    extras = take_extras(take, person)
    file = GlbFile.new(extras)
    primitives = add_surface(file, person.rig, first, vertex_normals(first, person.rig.faces))
    targets = _add_targets(file, person, first, take.frame_count - 1, options.normals)
    for primitive in primitives:
        primitive.targets = targets
    names = [f"frame_{frame}" for frame in range(1, take.frame_count)]
    named = {"targetNames": names} if names else {}
    file.gltf.meshes.append(pygltflib.Mesh(name=person.id, primitives=primitives, weights=[0.0] * len(names), extras=named))
    file.gltf.scenes[0].nodes = [file.add_node(name=person.id, mesh=0)]
    animation = pygltflib.Animation(name=extras["take"])
    clock = Clock(file, times_s)
    if names:
        add_channel(file, animation, 0, "weights", clock.every_frame(), _add_weights(file, take.frame_count))
    if options.camera:
        add_camera(file, take.camera, clock, animation)
    if animation.channels:
        file.gltf.animations.append(animation)
    file.save(path)


def frame_vertices(person: Person) -> Frames:
    """Yield the vertices (V,3) of each frame, metres: the stored ones where there are any, else skinned on the way."""
    if person.vertices_m is not None:
        yield from person.vertices_m
        return
    motion = person.motion
    for block in skin_chunks(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale, motion.morph_weights):
        yield from block


def _check_length(take: Take, path: Path) -> None:
    if take.frame_count > MAX_FRAMES:
        raise SettingsError(f"{path}: {take.frame_count} frames, a baked GLB holds at most {MAX_FRAMES}; convert a part of the clip "
                            "(--start, --end), fewer frames a second (--fps), or write glb-skeletal or usd-skel instead")
    if take.frame_count > MANY_FRAMES:
        warnings.warn(f"{path.name}: a baked GLB of {take.frame_count} frames is large and slow to open; "
                      "glb-skeletal or usd-skel suit long clips", stacklevel=3)


def _add_targets(file: GlbFile, person: Person, first: NDArray[np.float32], targets: int, normals: bool) -> list[pygltflib.Attributes]:
    """Append a view that streams each frame's difference to the first, and return the morph targets that point into it."""
    if targets == 0:
        return []
    per_target = 2 if normals else 1
    size = first.nbytes
    accessors: list[int] = []

    def arrays() -> Frames:
        base_normals = vertex_normals(first, person.rig.faces)
        frames = frame_vertices(person)
        next(frames)
        for target, vertices in enumerate(frames):
            difference = vertices - first
            file.set_bounds(accessors[target * per_target], difference)
            yield difference
            if normals:
                yield vertex_normals(vertices, person.rig.faces) - base_normals

    view = file.add_view(size * per_target * targets, arrays, pygltflib.ARRAY_BUFFER, stride=12)
    for index in range(targets * per_target):
        accessors.append(file.add_accessor(view, "f4", len(first), (3,), index * size, bounded=index % per_target == 0))
    return [
        pygltflib.Attributes(POSITION=accessors[target * per_target], NORMAL=accessors[target * per_target + 1] if normals else None)
        for target in range(targets)
    ]


def _add_weights(file: GlbFile, frames: int) -> int:
    """Append the weights: (F·(F−1),) float32, none on at the first frame, exactly one on at each later frame."""
    targets = frames - 1

    def arrays() -> Frames:
        for frame in range(frames):
            row = np.zeros(targets, np.float32)
            row[max(0, frame - 1)] = frame > 0
            yield row

    view = file.add_view(frames * targets * 4, arrays)
    return file.add_accessor(view, "f4", frames * targets)
