"""Reads skeletal animation from glTF binary: one actor for each skeleton that moves, skinned or bare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.joint_names import PRESETS, SIDES
from ...motion.kinematics import local_to_world
from ...motion.rig import Rig, Skeleton
from ..recording import Actor, Recording
from .frame_times import frame_times, merged_keys, nominal_rate, snapped
from .glb_file import GlbContent, is_glb, open_glb
from .glb_mesh import CannotUseError, SkinnedMesh, rig_of
from .glb_nodes import Channel, Nodes, channels_of, moves
from .glb_origin import origin_of
from .options import MotionFileOptions
from .skeletal import FRAMES_AT_ONCE, Rest, actor_of, motion_of, rest_of

Floats = NDArray[np.float64]
Channels = dict[int, dict[str, Channel]]

# Two skins' bind poses of one joint that are this near are the same: millimetres matter, float32's rounding does not.
_SAME_BIND_M = 1e-4

is_mine = is_glb


@dataclass(frozen=True, eq=False)
class _Puppet:
    """The nodes of one skeleton, parents first, and the skins that hang on it."""

    name: str
    nodes: list[int]
    skins: list[int]


def read(path: Path, options: MotionFileOptions) -> Recording:
    """Return one actor for each skeleton that an animation moves; for each, it is the first that does.

    Looked at are all keys, and where they are further apart than frames, even steps between them; the rate is what Rigdrop's
    own files say, ``--source-fps``, or that of the keys. Joints rest as they are bound; nodes above the skeleton are baked
    into its root. Raises `ReadError` that names the part that is missing, cut, malformed or scaled unevenly.
    """
    with _whole(path):
        return _read(open_glb(path), options)


def read_skeleton(path: Path, joint_map: Path | None = None) -> Skeleton:
    """Return the first skeleton of a file, moving or not; raises as `read` does."""
    with _whole(path):
        nodes = Nodes(open_glb(path))
        return _bind(nodes, _puppets(nodes)[0], joint_map)[0].skeleton


def read_body(path: Path, joint_map: Path | None = None) -> Rig:
    """Return the one skinned character of a file, moving or not, with its origin; raises as `read` does, and where there is no one."""
    with _whole(path):
        nodes = Nodes(open_glb(path))
        puppets = _characters(nodes)
        if len(puppets) != 1:
            names = ", ".join(puppet.name for puppet in puppets)
            found = f"{len(puppets)} skeletons with meshes ({names})" if puppets else "no skinned mesh"
            raise ReadError(f"{path}: skins: found {found}, expected one character; export its armature and its meshes, nothing else")
        puppet = puppets[0]
        rest, meshes = _bind(nodes, puppet, joint_map)
        rig, warned = _rig(nodes.content, puppet, rest, meshes)
        if rig is None:
            raise ReadError(f"{warned[0].removesuffix('; took the motion without the mesh')}, expected a character that can be driven")
        return _with_origin(nodes, puppet, rest, rig)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Say of a reference that leads nowhere, or has the wrong type, that the file is at fault; what overflows is refused later."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"{path}: found a broken reference ({error}), expected glTF 2.0; check it with gltf-validator") from error


def _read(content: GlbContent, options: MotionFileOptions) -> Recording:
    nodes = Nodes(content)
    animations = range(len(content.gltf.animations or []))
    puppets = _puppets(nodes)
    playing: list[tuple[_Puppet, Channels]] = []
    warned: list[str] = []
    for puppet in puppets:
        lines = {each for node in puppet.nodes for each in nodes.line(node)}
        mine = [animation for animation in animations if moves(content, animation, lines)]
        if mine:
            playing.append((puppet, channels_of(content, mine[0], lines)))
        if len(mine) > 1:
            others = ", ".join(repr(content.gltf.animations[animation].name) for animation in mine[1:6])
            warned.append(f"{content.path}: animations: {puppet.name} has {len(mine)}; took the first, left {others}")
    if not playing:
        raise ReadError(f"{content.path}: animations: found {len(animations)}, none that moves a skeleton, expected one")
    times_s, fps = _times(content, [channels for _, channels in playing], options)
    actors = []
    for track, (puppet, channels) in enumerate(playing):
        actor, more = _actor(track, nodes, puppet, _on_frames(channels, times_s), times_s, options)
        actors.append(actor)
        warned += more
    return Recording(times_s, fps, actors, warnings=tuple(warned), details={"format": "glb", "generator": content.gltf.asset.generator})


def _puppets(nodes: Nodes) -> list[_Puppet]:
    """Return the skeletons: skins that share joints are one; without skins, whatever tree of plain nodes is animated."""
    content = nodes.content
    groups: list[tuple[set[int], list[int]]] = []
    for number, skin in enumerate(content.gltf.skins or []):
        joints, skins = set(_closed(nodes, skin.joints)), [number]
        for group in [group for group in groups if group[0] & joints]:
            groups.remove(group)
            joints, skins = joints | group[0], group[1] + skins
        groups.append((joints, skins))
    if not groups:
        bare = _bare(nodes)
        return [_Puppet(nodes.name(bare[0]), bare, [])]
    puppets = []
    for _, skins in groups:
        listed = [joint for skin in skins for joint in content.gltf.skins[skin].joints]
        first = content.gltf.skins[skins[0]]
        closed = _closed(nodes, listed)
        puppets.append(_Puppet(str(first.name or nodes.name(closed[0])), closed, skins))
    return puppets


def _characters(nodes: Nodes) -> list[_Puppet]:
    """Return the skeletons on which meshes hang."""
    skins = {node.skin for node in nodes.all if node.mesh is not None and node.skin is not None}
    return [puppet for puppet in _puppets(nodes) if skins & set(puppet.skins)] if skins else []


def _closed(nodes: Nodes, joints: Sequence[int]) -> list[int]:
    """Return joints and every node between them, up to the one that carries all: parents first, else in the order given."""
    lines = [nodes.line(joint) for joint in joints]
    if not lines:
        raise ReadError(f"{nodes.content.path}: skins: found no joints, expected one or more")
    shared = 0
    while all(len(line) > shared and line[shared] == lines[0][shared] for line in lines):
        shared += 1
    if not shared:
        raise ReadError(f"{nodes.content.path}: skins: found joints in trees of their own, expected a node that carries all")
    return list(dict.fromkeys(node for line in lines for node in line[shared - 1:]))


def _bare(nodes: Nodes) -> list[int]:
    """Return the animated nodes, and all plain ones that hang on them, of a file without skins."""
    content = nodes.content
    targets = {channel.target.node for animation in content.gltf.animations or [] for channel in animation.channels or []}
    plain = [number for number, node in enumerate(nodes.all) if node.mesh is None and node.camera is None and not node.extensions]
    ours = [node for node in plain if targets & set(nodes.line(node))]
    if len(ours) < 2:
        raise ReadError(f"{content.path}: skins: found none, nor animated nodes that hang on one another, expected a skeleton")
    return _closed(nodes, ours)


def _times(content: GlbContent, playing: Sequence[Channels], options: MotionFileOptions) -> tuple[Floats, Fraction]:
    keys_s = merged_keys(*(channel.keys_s for channels in playing for paths in channels.values() for channel in paths.values()))
    fps = _said_rate(content.gltf.asset.extras) or options.rate or nominal_rate(keys_s)
    return frame_times(f"{content.path}: animations", keys_s, fps, options.frame_limit), fps


def _said_rate(extras: Any) -> Fraction | None:
    """Return the exact rate that our own files carry."""
    try:
        rate = Fraction(str(extras["fps"]))
    except (TypeError, KeyError, ValueError, ZeroDivisionError):
        return None
    return rate if rate > 0 else None


def _on_frames(channels: Channels, times_s: Floats) -> Channels:
    """Return the channels with their keys at exactly the times they are looked at, so that a STEP falls on its own frame."""
    return {
        node: {path: replace(channel, keys_s=snapped(channel.keys_s, times_s)) for path, channel in paths.items()}
        for node, paths in channels.items()
    }


def _actor(
    track: int, nodes: Nodes, puppet: _Puppet, channels: Channels, times_s: Floats, options: MotionFileOptions,
) -> tuple[Actor, Sequence[str]]:
    where = f"{nodes.content.path}: {puppet.name}"
    rest, meshes = _bind(nodes, puppet, options.joint_map)

    def blocks() -> Iterator[Floats]:
        for start in range(0, len(times_s), FRAMES_AT_ONCE):
            yield nodes.worlds(puppet.nodes, channels, times_s[start:start + FRAMES_AT_ONCE])

    motion = motion_of(where, rest, blocks())
    rig, warned = _rig(nodes.content, puppet, rest, meshes)
    if rig is not None:
        rig, warned = _with_looks(nodes, puppet, rest, rig)
    return actor_of(track, puppet.name, rest.skeleton, motion, rig), [*rest.warnings, *warned]


def _with_looks(nodes: Nodes, puppet: _Puppet, rest: Rest, rig: Rig) -> tuple[Rig, list[str]]:
    """Return the rig with the origin of its materials; without, and why, where its file is not its own or is not whole."""
    content = nodes.content
    if not content.gltf.materials:
        return rig, []
    if len(_characters(nodes)) > 1:
        return rig, [f"{content.path}: {puppet.name}: found other characters beside it; took its mesh without its materials"]
    try:
        return _with_origin(nodes, puppet, rest, rig), []
    except ReadError as error:
        return rig, [f"{error}; took its mesh without its materials"]


def _with_origin(nodes: Nodes, puppet: _Puppet, rest: Rest, rig: Rig) -> Rig:
    bind = rig.bind_world.copy()
    bind[:, :3, :3] *= rest.scale[:, None, None]
    return replace(rig, origin=origin_of(nodes, rig, puppet.nodes, puppet.skins, bind))


def _bind(nodes: Nodes, puppet: _Puppet, joint_map: Path | None) -> tuple[Rest, list[SkinnedMesh] | None]:
    """Return the skeleton in its bind pose, and the meshes in it; no meshes where two skins' bind poses differ.

    A skin's matrices put its joints into the mesh's own space; the first joint's place among the nodes says where in the
    world that is.
    """
    content, number_of = nodes.content, {node: number for number, node in enumerate(puppet.nodes)}
    where = f"{content.path}: {puppet.name}"
    still = nodes.worlds(puppet.nodes, {}, np.zeros(1))[0]
    bound: dict[int, Floats] = {}
    spaces: list[tuple[int, Floats, Sequence[int]]] = []
    same = True
    for skin in puppet.skins:
        joints = [number_of[node] for node in content.gltf.skins[skin].joints]
        inverse_bind = _inverse_bind(content, skin, len(joints))
        pivot = next((row for row, joint in enumerate(joints) if joint in bound), int(np.argmin(joints)))
        T_world_mesh = bound.get(joints[pivot], still[joints[pivot]]) @ inverse_bind[pivot]
        spaces.append((skin, T_world_mesh, joints))
        for joint, matrix in zip(joints, T_world_mesh @ np.linalg.inv(inverse_bind), strict=True):
            same = same and bool(np.abs(bound.setdefault(joint, matrix) - matrix).max() < _SAME_BIND_M)
    parents = [number_of.get(nodes.parents[node], -1) for node in puppet.nodes]
    T_world_rest = np.empty((len(parents), 4, 4))
    for joint, (node, parent) in enumerate(zip(puppet.nodes, parents, strict=True)):
        T_world_rest[joint] = still[joint] if parent < 0 else T_world_rest[parent] @ nodes.local(node, {}, np.zeros(1))[0]
        T_world_rest[joint] = bound.get(joint, T_world_rest[joint])
    said = {meaning: number_of[node] for meaning, node in _humanoid(content).items() if node in number_of}
    rest = rest_of(where, [nodes.name(node) for node in puppet.nodes], parents, T_world_rest, joint_map, said)
    meshes = [SkinnedMesh(node.mesh, T_world_mesh, joints) for skin, T_world_mesh, joints in spaces
              for node in nodes.all if node.skin == skin and node.mesh is not None]
    return rest, meshes if same else None


def _humanoid(content: GlbContent) -> dict[str, int]:
    """Return from meanings to nodes what a VRM avatar says of its bones, version 1.0 or 0.x."""
    extensions = content.gltf.extensions or {}
    bones = extensions.get("VRMC_vrm", {}).get("humanoid", {}).get("humanBones", {})
    if isinstance(bones, dict) and bones:
        said = {bone: entry["node"] for bone, entry in bones.items()}
    else:
        said = {entry["bone"]: entry["node"] for entry in extensions.get("VRM", {}).get("humanoid", {}).get("humanBones", [])}
        # 0.x counts the thumb's joints as those of the other fingers.
        for side in SIDES:
            thumb = [said.pop(f"{side}Thumb{part}", -1) for part in ("Proximal", "Intermediate", "Distal")]
            said |= dict(zip((f"{side}Thumb{part}" for part in ("Metacarpal", "Proximal", "Distal")), thumb, strict=True))
    return {meaning: said[bone] for meaning, bone in PRESETS["vrm"].items() if bone in said}


def _inverse_bind(content: GlbContent, skin: int, joints: int) -> Floats:
    index = content.gltf.skins[skin].inverseBindMatrices
    if index is None:
        return np.tile(np.eye(4), (joints, 1, 1))
    matrices = content.accessor(index, f"skins[{skin}].inverseBindMatrices").astype(np.float64)
    if len(matrices) < joints or matrices.shape[1:] != (4, 4) or (np.abs(np.linalg.det(matrices[:joints])) < 1e-12).any():
        raise ReadError(f"{content.path}: skins[{skin}].inverseBindMatrices: found {matrices.shape}, expected ({joints}, 4, 4), none flat")
    return matrices[:joints]


def _rig(content: GlbContent, puppet: _Puppet, rest: Rest, meshes: list[SkinnedMesh] | None) -> tuple[Rig | None, list[str]]:
    where = f"{content.path}: {puppet.name}"
    if meshes is None:
        return None, [f"{where}: skins have bind poses that differ; took the motion without the mesh"]
    if not meshes:
        return None, []
    bind_world = local_to_world(rest.skeleton.joint_parents, rest.skeleton.rest_local)
    try:
        return rig_of(content, puppet.name, rest.skeleton, bind_world, meshes), []
    except CannotUseError as error:
        return None, [f"{where}: {error}; took the motion without the mesh"]
