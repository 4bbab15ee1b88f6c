"""The meshes that a file itself holds, frame by frame, in the world that its person is in: what baked files then show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...ingest.recording import Actor, MhrMotion
from ...motion.rig import Rig
from ..performance import Performance

Floats = NDArray[np.float64]
Meshes = NDArray[np.float32]


def kept_vertices(actor: Actor, times_s: Floats, rig: Rig | None = None) -> Meshes:
    """Return the meshes (F,V,3) of a file at ``times_s`` (F,), metres, in the axes that the file's motion is in.

    Frames without one lie between their neighbours; the ends are held. Raises `ReadError` where the file holds none, or
    where they aren't vertex for vertex those of ``rig``.
    """
    motion = actor.motion
    if not isinstance(motion, MhrMotion) or motion.vertices_m is None:
        raise ReadError(f"{actor.name}: pred_vertices: found none, expected a mesh a frame; leave out --keep-vertices")
    if rig is not None and motion.vertices_m.shape[1] != len(rig.vertices_m):
        raise ReadError(f"{actor.name}: pred_vertices: found {motion.vertices_m.shape[1]} vertices, expected {len(rig.vertices_m)}, as rig "
                        f"{rig.name} has; name a folder of the same level of detail with --mhr DIR (SAM 3D Body's is LOD 1), keep the rig "
                        "with --rig auto, or leave out --keep-vertices")
    known = seen_meshes(actor)
    if not known.any():
        raise ReadError(f"{actor.name}: pred_vertices: found no frame without NaN, expected one or more")
    vertices_m = np.empty(motion.vertices_m.shape, np.float32)
    for frame in np.flatnonzero(known):
        vertices_m[frame] = motion.vertices_m[frame] + motion.camera_translation_m[frame]
    _fill(vertices_m, times_s, known)
    return vertices_m


def seen_meshes(actor: Actor) -> NDArray[np.bool_]:
    """Tell for each frame (F,) whether the file has the person's mesh in it, and where it is."""
    motion = actor.motion
    assert isinstance(motion, MhrMotion) and motion.vertices_m is not None
    # One by one, since the meshes of a long clip are gigabytes.
    whole = np.array([np.isfinite(mesh).all() for mesh in motion.vertices_m])
    return np.asarray(actor.visible & whole & np.isfinite(motion.camera_translation_m).all(axis=1))


def moved_vertices(vertices_m: Meshes, T_new_old: Floats) -> Meshes:
    """Return meshes (F,V,3) moved by one rigid ``T_new_old`` (4,4), or by each frame's own (F,4,4)."""
    moves = np.broadcast_to(T_new_old, (len(vertices_m), 4, 4))
    moved = np.empty_like(vertices_m)
    for frame, move in enumerate(moves):
        moved[frame] = vertices_m[frame] @ move[:3, :3].T + move[:3, 3]
    return moved


def carried_along(vertices_m: Meshes, before: Performance, after: Performance) -> Meshes:
    """Return meshes (F,V,3) that went with ``before`` as they go with ``after``, which is the same body elsewhere.

    The pelvis leads; a skeleton without one is led by its root.
    """
    pelvis = before.rig.skeleton.semantic.get("pelvis", int(np.flatnonzero(before.rig.joint_parents < 0)[0]))
    T_old, T_new = before.T_world_joint[:, pelvis], after.T_world_joint[:, pelvis]
    return moved_vertices(vertices_m, T_new @ np.linalg.inv(T_old))


def _fill(vertices_m: Meshes, times_s: Floats, known: NDArray[np.bool_]) -> None:
    """Fill the unknown frames, in place: straight between the known ones beside them, held at the ends."""
    there = np.flatnonzero(known)
    for frame in np.flatnonzero(~known):
        after = int(np.searchsorted(there, frame))
        before, behind = there[max(after - 1, 0)], there[min(after, len(there) - 1)]
        span = times_s[behind] - times_s[before]
        share = np.float32(np.clip((times_s[frame] - times_s[before]) / span, 0, 1) if span > 0 else 0)
        vertices_m[frame] = vertices_m[before] + share * (vertices_m[behind] - vertices_m[before])
