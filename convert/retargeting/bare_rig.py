"""A body for a skeleton that has none: one small octahedron a bone, so that files and viewers have something to show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import local_to_world
from ...motion.rig import Rig, Skeleton, vertex_normals

Array = NDArray[np.float64]

# One tip, the ring of four, the other tip; the ring turns to the left about the way from the first tip to the second.
_FACES = np.array([face for i in range(4) for face in ((0, 1 + (i + 1) % 4, 1 + i), (5, 1 + i, 1 + (i + 1) % 4))], np.int32)
# Where along a bone it is thickest, and how thick, as shares of its length.
_RING_AT, _RING_RADIUS = 0.2, 0.1
# Joints from which no bone starts get one as large as this share of the skeleton: soles are about as far below the balls.
_END_SHARE = 0.012
_SHORTEST_SHARE = 1e-3


def bare_rig(skeleton: Skeleton, name: str) -> Rig:
    """Return ``skeleton`` with a stand-in mesh in its rest pose, each bone's vertices bound to the joint that it starts from."""
    bind_world = local_to_world(skeleton.joint_parents, skeleton.rest_local)
    place = bind_world[:, :3, 3]
    size = float(np.ptp(place, axis=0).max()) or 1.0
    bones = [(int(parent), place[parent], place[joint]) for joint, parent in enumerate(skeleton.joint_parents)
             if parent >= 0 and np.linalg.norm(place[joint] - place[parent]) > _SHORTEST_SHARE * size]
    ends = sorted(set(range(len(place))) - {joint for joint, _, _ in bones})
    up = np.array([0.0, _END_SHARE * size, 0.0])
    shapes = [*(_octahedron(start, end, _RING_AT, _RING_RADIUS) for _, start, end in bones),
              *(_octahedron(place[joint] - up, place[joint] + up, 0.5, 0.5) for joint in ends)]
    joints = np.repeat([joint for joint, _, _ in bones] + ends, 6).astype(np.uint16)
    vertices = np.concatenate(shapes)
    faces = np.concatenate([_FACES + 6 * number for number in range(len(shapes))])
    return Rig(name, skeleton, bind_world, vertices.astype(np.float32), faces, vertex_normals(vertices, faces), joints[:, None],
               np.ones((len(vertices), 1), np.float32))


def _octahedron(tip: Array, end: Array, ring_at: float, radius: float) -> Array:
    """Six vertices (6,3) from one tip to the other; where the ring lies and how wide it is are shares of the way between them."""
    along = end - tip
    across = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    aside = np.cross(along, across) / np.linalg.norm(along)
    across, aside = (radius * np.linalg.norm(along) / np.linalg.norm(across) * side for side in (across, aside))
    middle = tip + ring_at * along
    return np.stack([tip, middle + across, middle + aside, middle - across, middle - aside, end])
