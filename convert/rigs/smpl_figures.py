"""How far an SMPL rig's mesh stands from the model's own: for weights that were left out, and for pose blend shapes.

A figure for reports: skinning with eight joints a vertex is all that files of rigs hold, the model does more.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...errors import RigdropError
from ...motion.kinematics import local_matrices, local_to_world, skin_vertices
from ...motion.rig import Rig
from ...motion.rotations import quat_to_matrix
from ...motion.smpl_joints import JOINT_NAMES
from .smpl import SmplModel
from .smpl_files import SmplFile, read_pose_shapes

Floats = NDArray[np.float64]
Figures = Mapping[str, float]

# Frames to measure on: enough for a mean over a clip, and SMPL-X's blend shapes cost 10 ms each.
_FRAMES = 30


def packing_distance_mm(model: SmplModel, rig: Rig, quat_xyzw: Floats) -> Figures:
    """Return ``mean``, ``p95`` and ``max`` distance between the rig's skinning and one with all of the model's weights, mm.

    ``rig`` is the person's, as the model made it or `stood`; ``quat_xyzw`` (F,J,4) its local turns, of which up to thirty
    frames over the clip are measured. Zero where no vertex hangs on more than eight joints.
    """
    T_world = _posed(model, rig, quat_xyzw)
    full = _skinned(model.parts, rig, T_world, np.broadcast_to(rig.vertices_m.astype(np.float64), (len(T_world), *rig.vertices_m.shape)))
    return _figures(skin_vertices(rig, T_world) - full)


def corrective_distance_mm(model: SmplModel, rig: Rig, quat_xyzw: Floats) -> Figures | None:
    """Return ``mean``, ``p95`` and ``max`` distance between the rig's skinning and the model's own mesh, mm.

    The model's mesh has its pose blend shapes and all of its weights; nothing where the file has no blend shapes. Takes
    what `packing_distance_mm` takes.
    """
    directions = read_pose_shapes(model.parts)
    if directions is None:
        return None
    chosen = _chosen(quat_xyzw)
    bent = (quat_to_matrix(chosen[:, 1:]) - np.eye(3)).reshape(len(chosen), -1)
    offsets = (directions.reshape(-1, directions.shape[2]) @ bent.T).T.reshape(len(chosen), -1, 3)
    T_world = _posed(model, rig, quat_xyzw)
    own = _skinned(model.parts, rig, T_world, rig.vertices_m + offsets)
    return _figures(skin_vertices(rig, T_world) - own)


def _chosen(quat_xyzw: Floats) -> Floats:
    """Up to thirty frames (N,J,4), evenly over the clip."""
    frames = np.unique(np.linspace(0, len(quat_xyzw) - 1, min(len(quat_xyzw), _FRAMES)).round().astype(int))
    return np.asarray(quat_xyzw[frames], dtype=np.float64)


def _posed(model: SmplModel, rig: Rig, quat_xyzw: Floats) -> Floats:
    """World transforms (N,J,4,4) of the frames that are measured, the pelvis where it rests: where a body is changes no distance."""
    if rig.joint_names != JOINT_NAMES[model.parts.model] or not np.allclose(rig.bind_world[:, :3, :3], np.eye(3), atol=1e-9):
        raise RigdropError(f"rig {rig.name}: found other joints or another rest pose than the model's, expected its own rig of a person")
    chosen = _chosen(quat_xyzw)
    places = np.broadcast_to(rig.skeleton.rest_local[:, :3, 3], (*chosen.shape[:2], 3))
    return local_to_world(rig.joint_parents, local_matrices(chosen, places))


def _skinned(parts: SmplFile, rig: Rig, T_world: Floats, rest_m: Floats) -> Floats:
    """Vertices (N,V,3) of rest places (N,V,3), blended with all weights."""
    T_skin = T_world @ np.linalg.inv(rig.bind_world)
    blended = np.einsum("vj,njab->nvab", parts.weights, T_skin[:, :, :3], optimize=True)
    return np.asarray(np.einsum("nvab,nvb->nva", blended[..., :3], rest_m) + blended[..., 3])


def _figures(apart_m: Floats) -> Figures:
    apart_mm = 1000.0 * np.linalg.norm(apart_m, axis=-1)
    return {"mean": float(apart_mm.mean()), "p95": float(np.percentile(apart_mm, 95)), "max": float(apart_mm.max())}
