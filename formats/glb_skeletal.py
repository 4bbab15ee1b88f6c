"""A person as a skinned, animated GLB: one skeleton, one mesh, one animation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from ..motion.kinematics import decompose, world_to_local
from ..motion.rig import Rig, with_influences
from ..motion.take import Person, Take
from .glb import GlbFile
from .glb_animator import SAME, JointAnimator, JointValues
from .glb_character import write_glb_character
from .glb_morphs import animate_morphs, morphed_mesh
from .glb_parts import Clock, add_camera, add_surface, clip_times_s, take_extras
from .keeps import keeps_file
from .options import GlbSkeletalOptions
from .skeleton import require_skeleton


def write_glb_skeletal(take: Take, person: Person, path: Path, options: GlbSkeletalOptions | None = None) -> None:
    """Write ``person`` as a skinned GLB: metres, +Y up, times in seconds from the clip's first frame.

    Joint nodes come first, in the rig's order, at their bind pose; joints that never leave it have no channel. Raises
    `WriteError` where the disk refuses and `ReadError` for times that glTF can't hold. A character that came as a GLB goes
    out as that GLB, with this motion.
    """
    require_skeleton(person, "glb-skeletal")
    options = options or GlbSkeletalOptions()
    if keeps_file(person.rig, "glb"):
        write_glb_character(take, person, path, options)
        return
    rig = with_influences(person.rig, options.influences)
    times_s = clip_times_s(take)
    file = GlbFile.new(take_extras(take, person))
    static = _add_joints(file, rig)
    body = _add_body(file, rig, person)
    animation = pygltflib.Animation(name=take_extras(take, person)["take"])
    clock = Clock(file, times_s)
    motion = person.motion
    values = JointValues(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale, static)
    JointAnimator(file, animation, clock, range(len(rig.joint_names))).add(values)
    animate_morphs(file, animation, clock, body, motion.morph_weights)
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
        unscaled = abs(scale[joint] - 1) < SAME
        file.add_node(name=name, children=children, translation=translation_m[joint].tolist(), rotation=quat_xyzw[joint].tolist(),
                      scale=None if unscaled else [float(scale[joint])] * 3)
    return quat_xyzw, translation_m, np.where(np.abs(scale - 1) < SAME, 1.0, scale)


def _add_body(file: GlbFile, rig: Rig, person: Person) -> int:
    """Append the skinned mesh; return its node, at the scene's root, since a skinned mesh takes no transform from a parent."""
    primitives = add_surface(file, rig, rig.vertices_m, rig.normals)
    attributes = primitives[0].attributes
    for index, (joints, weights) in enumerate(_influence_sets(rig)):
        setattr(attributes, f"JOINTS_{index}", file.add_array(joints, pygltflib.ARRAY_BUFFER))
        setattr(attributes, f"WEIGHTS_{index}", file.add_array(weights, pygltflib.ARRAY_BUFFER))
    inverse_bind = np.linalg.inv(rig.bind_world)
    inverse_bind[:, 3] = [0, 0, 0, 1]
    matrices = file.add_array(np.swapaxes(inverse_bind, 1, 2).astype(np.float32))
    file.gltf.meshes.append(pygltflib.Mesh(name=person.id, primitives=primitives, **morphed_mesh(file, rig, primitives)))
    file.gltf.skins.append(pygltflib.Skin(name=person.id, joints=list(range(len(rig.joint_names))), inverseBindMatrices=matrices))
    body = file.add_node(name=f"{person.id}_body", mesh=0, skin=0)
    file.gltf.scenes[0].nodes = [0, body]
    return body


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
