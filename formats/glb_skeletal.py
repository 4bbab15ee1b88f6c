"""A person as a skinned, animated GLB: one skeleton, one mesh, one animation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from ..motion.kinematics import decompose, world_to_local
from ..motion.rig import Rig, with_influences
from ..motion.take import Motion, Person, Take
from .glb import GlbFile
from .glb_parts import Clock, add_camera, add_channel, add_surface, clip_times_s, take_extras
from .options import GlbSkeletalOptions
from .signs import same_side

# A joint whose value stays within this of the node's own needs no channel: 1e-7 m or rad is float32's own grain.
_SAME = 1e-7


def write_glb_skeletal(take: Take, person: Person, path: Path, options: GlbSkeletalOptions | None = None) -> None:
    """Write ``person`` as a skinned GLB: metres, +Y up, times in seconds from the clip's first frame.

    Joint nodes come first, in the rig's order, at their bind pose; joints that never leave it have no channel. Raises
    `WriteError` where the disk refuses and `ReadError` for times that glTF can't hold.
    """
    options = options or GlbSkeletalOptions()
    rig = with_influences(person.rig, options.influences)
    times_s = clip_times_s(take)
    file = GlbFile.new(take_extras(take, person))
    static = _add_joints(file, rig)
    _add_body(file, rig, person)
    animation = pygltflib.Animation(name=take_extras(take, person)["take"])
    clock = Clock(file, times_s)
    _Animator(file, animation, clock).add(person.motion, static)
    if options.camera:
        add_camera(file, take.camera, clock, animation)
    if animation.channels:
        file.gltf.animations.append(animation)
    file.save(path)


def _add_joints(file: GlbFile, rig: Rig) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Append a node for each joint at its bind pose; return those quats (J,4), translations (J,3) and scales (J)."""
    quat_xyzw, translation_m, scale = decompose(world_to_local(rig.joint_parents, rig.bind_world))
    for joint, name in enumerate(rig.joint_names):
        children = np.flatnonzero(rig.joint_parents == joint).tolist()
        unscaled = abs(scale[joint] - 1) < _SAME
        file.add_node(name=name, children=children, translation=translation_m[joint].tolist(), rotation=quat_xyzw[joint].tolist(),
                      scale=None if unscaled else [float(scale[joint])] * 3)
    return quat_xyzw, translation_m, np.where(np.abs(scale - 1) < _SAME, 1.0, scale)


def _add_body(file: GlbFile, rig: Rig, person: Person) -> None:
    """Append the skinned mesh; its node sits at the scene's root, since a skinned mesh takes no transform from a parent."""
    primitive = add_surface(file, rig, rig.vertices_m, rig.normals)
    for index, (joints, weights) in enumerate(_influence_sets(rig)):
        setattr(primitive.attributes, f"JOINTS_{index}", file.add_array(joints, pygltflib.ARRAY_BUFFER))
        setattr(primitive.attributes, f"WEIGHTS_{index}", file.add_array(weights, pygltflib.ARRAY_BUFFER))
    inverse_bind = np.linalg.inv(rig.bind_world)
    inverse_bind[:, 3] = [0, 0, 0, 1]
    matrices = file.add_array(np.swapaxes(inverse_bind, 1, 2).astype(np.float32))
    file.gltf.meshes.append(pygltflib.Mesh(name=person.id, primitives=[primitive]))
    file.gltf.skins.append(pygltflib.Skin(name=person.id, joints=list(range(len(rig.joint_names))), inverseBindMatrices=matrices))
    body = file.add_node(name=f"{person.id}_body", mesh=0, skin=0)
    file.gltf.scenes[0].nodes = [0, body]


def _influence_sets(rig: Rig) -> Iterator[tuple[NDArray[Any], NDArray[np.float32]]]:
    """Yield joints (V,4) and weights (V,4) in sets of four, largest weights first, each row of all sets summing to 1."""
    weights = rig.skin_weights.astype(np.float64)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    # What rounding leaves over goes to the largest weight, so that the float32 numbers themselves sum to 1.
    weights[:, 0] += 1 - weights.sum(axis=1, dtype=np.float64)
    joints = np.where(weights > 0, rig.skin_joints, 0).astype(np.uint8 if len(rig.joint_names) <= 256 else np.uint16)
    used = max(1, int((weights > 0).any(axis=0).sum()))
    for start in range(0, used, 4):
        empty = ((0, 0), (0, max(0, start + 4 - weights.shape[1])))
        yield np.pad(joints[:, start:start + 4], empty), np.pad(weights[:, start:start + 4], empty)


@dataclass(frozen=True)
class _Animator:
    """Adds channels to one animation; all joints that need a kind of channel share one buffer view."""

    file: GlbFile
    animation: pygltflib.Animation
    clock: Clock

    def add(self, motion: Motion, static: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]) -> None:
        """Add every channel that ``motion`` needs over nodes that rest at ``static`` quats, translations and scales."""
        self._add_channels("translation", motion.local_translation_m, static[1], (3,))
        self._add_channels("rotation", same_side(motion.local_quat_xyzw), static[0], (4,))
        if motion.local_scale is not None:
            self._add_channels("scale", motion.local_scale, static[2], (3,))
        elif (static[2] != 1).any():
            self._add_channels("scale", np.ones((motion.frame_count, len(static[2])), np.float32), static[2], (3,))

    def _add_channels(self, kind: str, values: NDArray[np.float32], static: NDArray[Any], shape: tuple[int, ...]) -> None:
        """Give each joint that leaves its static value a channel: every frame where it moves, both ends where it stands."""
        moving = _differs(values, values[0])
        standing = _differs(values[0], static.astype(np.float32)) & ~moving
        if kind == "rotation":
            standing &= _differs(values[0], -static.astype(np.float32))
        if moving.any():
            self._add_joints(kind, np.flatnonzero(moving), values, self.clock.every_frame(), shape)
        if standing.any():
            ends = values[np.unique([0, len(values) - 1])]
            self._add_joints(kind, np.flatnonzero(standing), ends, self.clock.both_ends(), shape)

    def _add_joints(self, kind: str, joints: NDArray[np.intp], values: NDArray[np.float32], clock: int, shape: tuple[int, ...]) -> None:
        count = len(values)
        stride = count * shape[0] * 4

        def arrays() -> Iterator[NDArray[np.float32]]:
            for joint in joints:
                column = values[:, joint]
                yield column if column.ndim == 2 else np.repeat(column[:, None], shape[0], axis=1)

        view = self.file.add_view(stride * len(joints), arrays)
        for place, joint in enumerate(joints.tolist()):
            output = self.file.add_accessor(view, "f4", count, shape, byte_offset=place * stride)
            add_channel(self.file, self.animation, joint, kind, clock, output)


def _differs(values: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell for each joint (J,) whether values (F,J,…) or (J,…) leave ``reference`` (J,…) by more than float32's grain."""
    joints_axis = values.ndim - reference.ndim
    away = np.abs(values - reference) > _SAME
    return np.asarray(away.any(axis=tuple(axis for axis in range(values.ndim) if axis != joints_axis)))

