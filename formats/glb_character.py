"""Somebody's own GLB with new motion: everything that it holds stays as it is, its skeleton moves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from .. import __version__
from ..motion.kinematics import decompose, local_matrices, world_transforms
from ..motion.origin import Origin
from ..motion.rotations import quat_normalize
from ..motion.take import Person, Take
from .glb import GlbFile
from .glb_animator import JointAnimator, JointValues
from .glb_chunks import glb_chunks
from .glb_parts import Clock, add_camera, clip_times_s, take_extras
from .options import GlbSkeletalOptions

Floats = NDArray[np.float64]

_FRAMES_AT_ONCE = 512
# Scales come out of matrices whose float32 numbers went down a tree; a scale that moves something is far from this.
_SAME_SCALE = 1e-6


def write_glb_character(take: Take, person: Person, path: Path, options: GlbSkeletalOptions) -> None:
    """Write the GLB that ``person``'s rig came in, with its skeleton moved as the take says.

    Meshes, skins, materials, images and their bytes are the file's own. Animations that move the skeleton, or what it hangs
    on, go; ours comes first. Raises as `write_glb_skeletal` does.
    """
    origin = person.rig.origin
    assert origin is not None, "only a character that came in a file goes out in it"
    document, binary = glb_chunks(origin.content)
    joints = [int(joint) for joint in origin.joints]
    nodes: list[dict[str, Any]] = document["nodes"]
    parents = _parents(nodes)
    extras = take_extras(take, person)
    _sign(document, origin, extras)
    document["animations"] = [each for each in document.get("animations", []) if not _moves(each, {*joints, *_above(parents, joints[0])})]
    for joint in joints:
        _split_matrix(nodes[joint])
    file = GlbFile.of_document(document, binary)
    animation, clock = pygltflib.Animation(name=extras["take"]), Clock(file, clip_times_s(take))
    above = _static_world(nodes, _above(parents, joints[0]))
    JointAnimator(file, animation, clock, joints).add(_values(person, origin, above, [nodes[joint] for joint in joints]))
    if options.camera:
        add_camera(file, take.camera, clock, animation)
    if animation.channels:
        file.gltf.animations.insert(0, animation)
    file.save(path)


def _parents(nodes: list[dict[str, Any]]) -> dict[int, int]:
    return {child: number for number, node in enumerate(nodes) for child in node.get("children", [])}


def _above(parents: dict[int, int], node: int) -> list[int]:
    """The node's ancestors, the nearest first."""
    line = []
    while node in parents:
        node = parents[node]
        line.append(node)
    return line


def _static_world(nodes: list[dict[str, Any]], line: Iterable[int]) -> Floats:
    world = np.eye(4)
    for node in line:
        world = _local(nodes[node]) @ world
    return world


def _local(node: dict[str, Any]) -> Floats:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    turn = quat_normalize(np.array(node.get("rotation", [0, 0, 0, 1]), dtype=np.float64))
    local = local_matrices(turn, np.array(node.get("translation", [0, 0, 0]), dtype=np.float64))
    local[:3, :3] *= np.array(node.get("scale", [1, 1, 1]), dtype=np.float64)
    return local


def _split_matrix(node: dict[str, Any]) -> None:
    """Give an animated node the three parts of its matrix instead: glTF moves no matrices (3.5.3)."""
    if "matrix" in node:
        quat, translation, scale = decompose(_local(node))
        del node["matrix"]
        node |= {"translation": translation.tolist(), "rotation": quat.tolist(), "scale": [float(scale)] * 3}


def _moves(animation: dict[str, Any], ours: set[int]) -> bool:
    """Tell whether an animation moves one of ``ours``, also by KHR_animation_pointer."""
    for channel in animation["channels"]:
        target = channel["target"]
        pointer = str(target.get("extensions", {}).get("KHR_animation_pointer", {}).get("pointer", "")).split("/")
        if target.get("node") in ours or (pointer[1:2] == ["nodes"] and pointer[2:3] and int(pointer[2]) in ours):
            return True
    return False


def _sign(document: dict[str, Any], origin: Origin, extras: dict[str, Any]) -> None:
    """Say whose motion it is, and leave what the file says of itself."""
    asset = document["asset"]
    own = {"file": origin.file_name, "sha256": origin.sha256, "generator": asset.get("generator")}
    asset["generator"] = f"Rigdrop {__version__}"
    asset["extras"] = {**_mapping(asset.get("extras")), **extras, "character": own}
    for scene in document.get("scenes", []):
        scene["extras"] = {**_mapping(scene.get("extras")), **extras}


def _mapping(extras: Any) -> dict[str, Any]:
    """What is no mapping is kept under a name of its own."""
    return extras if isinstance(extras, dict) else {} if extras is None else {"extras": extras}


def _values(person: Person, origin: Origin, T_world_above: Floats, nodes: list[dict[str, Any]]) -> JointValues:
    """Return what each joint's node does, relative to the node above it, in the file's own unit."""
    rig, motion = person.rig, person.motion
    frames, joints = motion.local_quat_xyzw.shape[:2]
    quat, translation, scale = (np.empty((frames, joints, *shape), np.float32) for shape in ((4,), (3,), ()))
    for start in range(0, frames, _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        scales = None if motion.local_scale is None else motion.local_scale[part]
        T_world = world_transforms(rig, motion.local_quat_xyzw[part], motion.local_translation_m[part], scales)
        T_file = origin.file_transforms(T_world, rig.bind_world)
        above = T_file[:, rig.joint_parents]
        above[:, rig.joint_parents < 0] = T_world_above
        quat[part], translation[part], scale[part] = decompose(np.linalg.inv(above) @ T_file)
    rest = {"rotation": [0.0, 0, 0, 1], "translation": [0.0, 0, 0], "scale": [1.0, 1, 1]}
    static = [np.array([node.get(name, default) for node in nodes], dtype=np.float64) for name, default in rest.items()]
    return JointValues(quat, translation, scale, (static[0], static[1], static[2].mean(axis=1)), _SAME_SCALE)
