"""A rig made ready to be drawn many times: its skin, or a coarse copy of it, moved one frame at a time; or a mesh that each frame has."""

from __future__ import annotations

from dataclasses import dataclass

import fast_simplification
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from ..motion.rig import Rig, vertex_normals
from .painter import Surface

Array = NDArray[np.floating]

# Vertices nearer than this are one place that was split at a texture seam.
_WELD_M = 1e-5


@dataclass(frozen=True, eq=False)
class Puppet:
    """Rest shape, weights and colours of what is drawn of a rig."""

    vertices_m: NDArray[np.float64]  # (V,3), in the bind pose
    normals: NDArray[np.float64]  # (V,3), unit
    faces: NDArray[np.int32]  # (T,3)
    colours_bgr: NDArray[np.float64]  # (V,3), 0…255
    weights: csr_matrix  # (V,J)
    T_bind_world: NDArray[np.float64]  # (J,4,4), the inverse of the rig's bind
    morph_targets_m: NDArray[np.float32] | None = None  # (M,V,3), the rig's

    def posed(self, T_world_joint: Array, morph_weights: Array | None = None) -> Surface:
        """The skin as a surface in the world for one frame's joints (J,4,4) and weights (M,); normals are those of no weight."""
        skinning = (T_world_joint @ self.T_bind_world)[:, :3, :]
        per_vertex = (self.weights @ skinning.reshape(len(skinning), 12)).reshape(-1, 3, 4)
        rest = self.vertices_m
        if morph_weights is not None and self.morph_targets_m is not None:
            rest = rest + np.tensordot(morph_weights, self.morph_targets_m, axes=1)
        vertices = np.einsum("vij,vj->vi", per_vertex[:, :, :3], rest) + per_vertex[:, :, 3]
        normals = np.einsum("vij,vj->vi", per_vertex[:, :, :3], self.normals)
        return Surface(vertices, normals, self.faces, self.colours_bgr)


@dataclass(frozen=True, eq=False)
class Cast:
    """What is drawn of somebody whose meshes were kept, frame by frame."""

    rows: NDArray[np.intp]  # (W,), the vertices of a mesh that are drawn
    faces: NDArray[np.int32]  # (T,3)
    colours_bgr: NDArray[np.float64]  # (W,3), 0…255

    def posed(self, mesh_m: Array) -> Surface:
        """One frame's mesh (V,3), world, as a surface."""
        vertices = np.asarray(mesh_m, dtype=np.float64)[self.rows]
        return Surface(vertices, vertex_normals(vertices, self.faces), self.faces, self.colours_bgr)


def puppet(rig: Rig, colours_bgr: Array) -> Puppet:
    """All of a rig's skin, with a colour (3,) or one a vertex (V,3), 0…255."""
    colours = np.broadcast_to(np.asarray(colours_bgr, dtype=np.float64), (len(rig.vertices_m), 3))
    vertices, normals = rig.vertices_m.astype(np.float64), rig.normals.astype(np.float64)
    T_bind_world = np.asarray(np.linalg.inv(rig.bind_world))
    return Puppet(vertices, normals, rig.faces, colours, rig.skinning_matrix, T_bind_world, rig.morph_targets_m)


def coarse_puppet(rig: Rig, colours_bgr: Array, triangles: int) -> Puppet:
    """A rig's skin in about ``triangles`` triangles, for quick drawing.

    Corners stay where the rig has vertices and keep their weights and targets, so that the coarse skin moves as the fine one does.
    """
    full = puppet(rig, colours_bgr)
    kept, faces = decimate(full.vertices_m, full.faces, triangles)
    targets_m = None if full.morph_targets_m is None else full.morph_targets_m[:, kept]
    own = (full.vertices_m[kept], full.normals[kept], faces, full.colours_bgr[kept], full.weights[kept])
    return Puppet(*own, full.T_bind_world, targets_m)


def coarse_cast(rig: Rig, colours_bgr: Array, triangles: int) -> Cast:
    """Meshes of a rig's vertices in about ``triangles`` triangles, as `coarse_puppet` chooses them."""
    kept, faces = decimate(rig.vertices_m.astype(np.float64), rig.faces, triangles)
    return Cast(kept, faces, np.broadcast_to(np.asarray(colours_bgr, dtype=np.float64), (len(kept), 3)))


def decimate(vertices_m: Array, faces: NDArray[np.integer], triangles: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Choose vertices of a mesh (V,3) that carry a coarser one: their indices (W,) and faces (≤ about ``triangles``,3) into them."""
    welded, back = _weld(vertices_m)
    corners = back[faces]
    corners = corners[_is_triangle(corners)]
    points = vertices_m[welded]
    if len(corners) > triangles:
        coarse, corners = fast_simplification.simplify(points.astype(np.float32), corners.astype(np.int32), target_count=triangles)
        corners = cKDTree(points).query(coarse)[1][corners]
        corners = corners[_is_triangle(corners)]
    used, renumbered = np.unique(corners, return_inverse=True)
    return welded[used], renumbered.reshape(-1, 3).astype(np.int32)


def _weld(vertices_m: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first vertex at each place (W,), and for every vertex its place's number (V,)."""
    keys = np.round(vertices_m / _WELD_M).astype(np.int64)
    _, first, back = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, back.reshape(-1)


def _is_triangle(faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    return np.asarray((faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0]))
