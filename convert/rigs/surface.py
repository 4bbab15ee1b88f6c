"""A mesh as renderers want it: triangles, and one texture coordinate a vertex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles whose vertices are split where the texture has a seam."""

    source_vertices: NDArray[np.intp]  # (V,), the vertex of the mesh before the split that each one is
    uvs: NDArray[np.float32]  # (V,2)
    faces: NDArray[np.int32]  # (T,3) into the split vertices


def triangulate(quads: NDArray[np.integer]) -> NDArray[np.intp]:
    """Cut quads (Q,4) along their first diagonal into triangles (2Q,3), turning the same way."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.intp)


def split_at_seams(quads: NDArray[np.integer], quad_uvs: NDArray[np.integer], uvs: NDArray[np.floating]) -> Surface:
    """Give each vertex of the quads (Q,4) one texture coordinate: a vertex with two becomes two vertices.

    Vertices that no quad uses are left out; the others keep their order.
    """
    pairs = np.stack([quads.ravel(), quad_uvs.ravel()], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    faces = triangulate(inverse.reshape(quads.shape))
    return Surface(unique[:, 0].astype(np.intp), uvs[unique[:, 1]].astype(np.float32), faces.astype(np.int32))
