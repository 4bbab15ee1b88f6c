"""What every GLB of a person holds: who and when, the mesh's fixed arrays, its material, the clock, and the camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from ..errors import ReadError
from ..motion.kinematics import decompose
from ..motion.rig import Rig
from ..motion.rotations import quat_continuous
from ..motion.take import Camera, Person, Take
from .glb import GlbFile
from .glb_looks import add_looks
from .looks import Look, looks_of

_NEAR_M = 0.01


def take_extras(take: Take, person: Person) -> dict[str, Any]:
    """Return what a file says about its origin: the take, the person, the exact rate and the source's hash."""
    return {
        "take": PurePath(take.source_name).stem, "person": person.id, "name": person.name,
        "fps": f"{take.fps.numerator}/{take.fps.denominator}", "source_sha256": take.source_sha256,
    }


def clip_times_s(take: Take) -> NDArray[np.float32]:
    """Return the frames' times (F,) in seconds from the first, as float32, strictly increasing as glTF demands.

    Raises `ReadError` where two frames are nearer than float32 can tell apart.
    """
    times_s: NDArray[np.float32] = (take.times_s - take.times_s[0]).astype(np.float32)
    if not bool((np.diff(times_s) > 0).all()):
        frame = int(np.argmin(np.diff(times_s)))
        raise ReadError(f"take: times_s: found frames {frame} and {frame + 1} nearer than glTF's float32 seconds can tell apart; "
                        "convert a shorter part of the clip")
    return times_s


@dataclass
class Clock:
    """The key times that channels share, appended when a channel first needs them."""

    file: GlbFile
    times_s: NDArray[np.float32]  # (F,), from 0
    _accessors: dict[int, int] = field(default_factory=dict)

    def every_frame(self) -> int:
        """Return the accessor of all F times."""
        return self._accessor(self.times_s)

    def both_ends(self) -> int:
        """Return the accessor of the first and the last time, or of the only one."""
        return self._accessor(self.times_s[np.unique([0, len(self.times_s) - 1])])

    def _accessor(self, keys_s: NDArray[np.float32]) -> int:
        if len(keys_s) not in self._accessors:
            self._accessors[len(keys_s)] = self.file.add_array(keys_s, bounded=True)
        return self._accessors[len(keys_s)]


def add_surface(file: GlbFile, rig: Rig, vertices_m: NDArray[np.float32], normals: NDArray[np.float32]) -> list[pygltflib.Primitive]:
    """Append positions (V,3), unit normals (V,3), uvs and triangles, and return the primitives that join them.

    There is one for each look that the rig has; they share their vertices, whose attributes are one object.
    """
    attributes = pygltflib.Attributes(
        POSITION=file.add_array(vertices_m, pygltflib.ARRAY_BUFFER, bounded=True),
        NORMAL=file.add_array(normals, pygltflib.ARRAY_BUFFER),
    )
    if rig.uvs is not None:
        # glTF's images start at the upper left, the rig's at the lower left.
        attributes.TEXCOORD_0 = file.add_array(np.stack([rig.uvs[:, 0], 1 - rig.uvs[:, 1]], axis=1), pygltflib.ARRAY_BUFFER)
    kind = np.uint16 if len(rig.vertices_m) < 2**16 - 1 else np.uint32
    looks = looks_of(rig)
    parts = [(Look("skin"), np.arange(len(rig.faces)))] if looks is None else looks.parts()
    indices = [file.add_array(rig.faces[faces].astype(kind).ravel(), pygltflib.ELEMENT_ARRAY_BUFFER) for _, faces in parts]
    materials = add_looks(file, [look for look, _ in parts])
    return [pygltflib.Primitive(attributes=attributes, indices=index, material=material, mode=None)
            for index, material in zip(indices, materials, strict=True)]


def add_channel(file: GlbFile, animation: pygltflib.Animation, node: int, path: str, clock: int, output: int) -> None:
    """Let the values of accessor ``output`` drive ``path`` of ``node`` over ``clock``, linearly."""
    animation.samplers.append(pygltflib.AnimationSampler(input=clock, output=output, interpolation="LINEAR"))
    target = pygltflib.AnimationChannelTarget(node=node, path=path)
    animation.channels.append(pygltflib.AnimationChannel(sampler=len(animation.samplers) - 1, target=target))


def add_camera(file: GlbFile, camera: Camera, clock: Clock, animation: pygltflib.Animation) -> None:
    """Append the take's camera as a node of the scene; one that moves is animated.

    glTF has neither a principal point nor a lens that changes: the first frame's focal length stands for the clip.
    """
    focal_y_px = float(camera.intrinsics_px.reshape(-1, 3, 3)[0, 1, 1])
    angle = 2 * float(np.arctan(camera.height / (2 * focal_y_px)))
    lens = pygltflib.Perspective(yfov=angle, aspectRatio=camera.width / camera.height, znear=_NEAR_M)
    file.gltf.cameras.append(pygltflib.Camera(type="perspective", perspective=lens, name="camera"))
    quat_xyzw, translation_m, _ = decompose(camera.world_from_camera.reshape(-1, 4, 4))
    index = len(file.gltf.cameras) - 1
    node = file.add_node(name="camera", camera=index, translation=translation_m[0].tolist(), rotation=quat_xyzw[0].tolist())
    file.show(node)
    if camera.world_from_camera.ndim == 3 and len(translation_m) > 1:
        add_channel(file, animation, node, "translation", clock.every_frame(), file.add_array(translation_m.astype(np.float32)))
        add_channel(file, animation, node, "rotation", clock.every_frame(), file.add_array(quat_continuous(quat_xyzw).astype(np.float32)))
