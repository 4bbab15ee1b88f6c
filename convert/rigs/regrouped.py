"""New skeletons for Anny's body: joints of her own 163 chosen, renamed and hung anew, with the skin they move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import RigdropError
from ...motion.kinematics import world_to_local
from ...motion.rig import Rig, Skeleton
from ..rest_pose import with_bind_pose
from .skin import pack_weights

Floats = NDArray[np.float64]
Axes = Callable[[Rig], Floats]
"""From a rig that stands in a T-pose to the world axes (J,3,3), columns, that each of its joints shall have."""


@dataclass(frozen=True)
class Part:
    """One joint of a new skeleton."""

    name: str
    parent: str | None
    source: str | None
    """The joint of the source rig whose skin it moves, and that of every joint below it that has no part of its own."""
    at: str | tuple[str, str, float] | None = None
    """Where it sits if not on its source: on another joint, or so far along from one to another; without either, the origin."""


@dataclass(frozen=True)
class Stations:
    """A limb's skin shared out along it: from the joint ``start`` to ``end``, each part full at its place from 0 to 1."""

    start: str
    end: str
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Grouping:
    """A new skeleton as a table: its joints parents first, its axes, and the pose in which it is bound."""

    name: str
    parts: tuple[Part, ...]
    meanings: Mapping[str, str]
    """From what a joint means in a body to its name: see `motion.joint_names`."""
    pose: Literal["T", "A"] = "T"
    axes: Axes | None = None
    """Nothing means the world's own axes for every joint in the T-pose."""
    stations: tuple[Stations, ...] = ()


def regrouped(source: Rig, grouping: Grouping) -> Rig:
    """Return the skeleton of ``grouping`` on the body of ``source``: same mesh, same surface for the same turns of shared joints.

    Raises `RigdropError` for a joint that ``source`` has not got.
    """
    names = tuple(part.name for part in grouping.parts)
    parents = np.array([names.index(part.parent) if part.parent else -1 for part in grouping.parts], dtype=np.int32)
    places_m = np.stack([_place(source, part) for part in grouping.parts])
    dense = _spread(_gathered_weights(source, grouping.parts), source, grouping, places_m)
    skin_joints, skin_weights = pack_weights(dense)
    semantic = {meaning: names.index(name) for meaning, name in grouping.meanings.items() if name in names}
    level = np.tile(np.eye(3), (len(names), 1, 1))
    bind_world = _frames(level, places_m)
    skeleton = Skeleton(names, parents, world_to_local(parents, bind_world), semantic)
    rig = replace(source, name=grouping.name, skeleton=skeleton, bind_world=bind_world, skin_joints=skin_joints, skin_weights=skin_weights)
    # Axes are told in the T-pose, but the mesh goes from its own pose to the one asked for at once: each skinning folds it anew.
    tpose = with_bind_pose(rig, "T")
    axes = level if grouping.axes is None else grouping.axes(tpose)
    return with_bind_pose(with_axes(rig, tpose.bind_world[:, :3, :3].transpose(0, 2, 1) @ axes), grouping.pose)


def with_axes(rig: Rig, R_world_joint: Floats) -> Rig:
    """Return ``rig`` with other axes (J,3,3) for its joints at rest, all in their places; it must be bound at rest."""
    bind_world = _frames(R_world_joint, rig.bind_world[:, :3, 3])
    skeleton = replace(rig.skeleton, rest_local=world_to_local(rig.joint_parents, bind_world))
    return replace(rig, skeleton=skeleton, bind_world=bind_world)


def _frames(rotations: Floats, places_m: Floats) -> Floats:
    matrices = np.tile(np.eye(4), (len(places_m), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = rotations, places_m
    return matrices


def _place(source: Rig, part: Part) -> Floats:
    at = part.at or part.source
    if at is None:
        return np.zeros(3)
    if isinstance(at, str):
        return source.bind_world[_joint(source, at), :3, 3]
    start, end = (source.bind_world[_joint(source, name), :3, 3] for name in at[:2])
    return np.asarray(start + at[2] * (end - start))


def _joint(source: Rig, name: str) -> int:
    if name not in source.joint_names:
        raise RigdropError(f"rig {source.name}: found no joint {name!r}, expected it for a new skeleton")
    return source.joint_names.index(name)


def _gathered_weights(source: Rig, parts: Sequence[Part]) -> NDArray[np.float64]:
    """Weights (V,J) of the new joints: each source joint's go to the part that it is, or that its nearest ancestor is."""
    part_of = {_joint(source, part.source): number for number, part in enumerate(parts) if part.source}
    gather = np.zeros((len(source.joint_names), len(parts)))
    for joint, parent in enumerate(source.joint_parents):
        part = part_of.setdefault(joint, part_of.get(int(parent), -1))
        if part < 0:
            raise RigdropError(f"rig {source.name}: found no part for joint {source.joint_names[joint]!r}, expected one on it or above it")
        gather[joint, part] = 1.0
    return np.asarray(source.skinning_matrix @ gather)


def _spread(dense: NDArray[np.float64], source: Rig, grouping: Grouping, places_m: Floats) -> NDArray[np.float64]:
    """Share out the skin of limbs over their stations, each vertex between the two that it lies between."""
    index = {part.name: number for number, part in enumerate(grouping.parts)}
    for limb in grouping.stations:
        start, along = places_m[index[limb.start]], places_m[index[limb.end]] - places_m[index[limb.start]]
        share = (source.vertices_m - start) @ along / (along @ along)
        of_limb = dense[:, index[limb.start]].copy()
        dense[:, index[limb.start]] = 0.0
        stops = [stop for _, stop in limb.parts]
        for (name, _), hat in zip(limb.parts, np.eye(len(stops)), strict=True):
            dense[:, index[name]] += of_limb * np.interp(share, stops, hat)
    return dense
