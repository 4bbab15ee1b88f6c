"""A GLB's skinned meshes as the body of a rig (glTF 2.0, section 3.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...motion.rig import Rig, Skeleton, vertex_normals
from .glb_file import GlbContent
from .skin_weights import packed_influences, together

Floats = NDArray[np.float64]

_TRIANGLES = 4


@dataclass(frozen=True, eq=False)
class SkinnedMesh:
    """A mesh of the file, and what brings it to the bind pose of the rig."""

    mesh: int
    T_world_mesh: Floats  # (4,4)
    joints: Sequence[int]  # of the rig, for each of the skin's


class CannotUseError(Exception):
    """Raised where a mesh is stored in a way that is not read; motion does not need it."""


def rig_of(content: GlbContent, name: str, skeleton: Skeleton, bind_world: Floats, meshes: Sequence[SkinnedMesh]) -> Rig:
    """Return the rig whose body is all primitives of ``meshes``, one after the other; morph targets and materials are left out.

    Raises `ReadError` for numbers that are not there, and `CannotUseError` for what is no list of triangles.
    """
    parts = [_primitive(content, mesh, f"meshes[{mesh.mesh}].primitives[{number}]", primitive)
             for mesh in meshes for number, primitive in enumerate(content.gltf.meshes[mesh.mesh].primitives)]
    starts = np.cumsum([0, *(len(part["vertices"]) for part in parts)])
    faces = np.concatenate([part["faces"] + start for part, start in zip(parts, starts, strict=False)])
    vertices = np.concatenate([part["vertices"] for part in parts])
    normals = together([part["normals"] for part in parts])
    joints, weights = packed_influences([(part["joints"], part["weights"]) for part in parts])
    uvs = [part["uvs"] for part in parts]
    if any(each is not None for each in uvs):
        uvs = [np.zeros((len(part["vertices"]), 2)) if part["uvs"] is None else part["uvs"] for part in parts]
    return Rig(
        name, skeleton, bind_world, vertices.astype(np.float32), faces.astype(np.int32),
        vertex_normals(vertices, faces) if normals is None else normals, joints, weights, together(uvs),
    )


def _primitive(content: GlbContent, mesh: SkinnedMesh, where: str, primitive: Any) -> Mapping[str, Any]:
    if primitive.mode not in (None, _TRIANGLES) or "KHR_draco_mesh_compression" in (primitive.extensions or {}):
        raise CannotUseError(f"{where}: found no plain list of triangles")
    attributes = primitive.attributes

    def attribute(name: str) -> NDArray[Any] | None:
        index = getattr(attributes, name, None)
        return None if index is None else content.accessor(index, f"{where}.{name}")

    places, normals, uvs = attribute("POSITION"), attribute("NORMAL"), attribute("TEXCOORD_0")
    if places is None or attribute("JOINTS_0") is None or attribute("WEIGHTS_0") is None:
        raise CannotUseError(f"{where}: found no POSITION, JOINTS_0 and WEIGHTS_0")
    sets = [number for number in range(8) if getattr(attributes, f"WEIGHTS_{number}", None) is not None]
    own = np.concatenate([np.asarray(attribute(f"JOINTS_{number}")) for number in sets], axis=1).astype(np.intp)
    weights = np.concatenate([np.asarray(attribute(f"WEIGHTS_{number}"), dtype=np.float64) for number in sets], axis=1)
    if own.max() >= len(mesh.joints):
        raise CannotUseError(f"{where}.JOINTS_0: found joint {own.max()} of {len(mesh.joints)}")
    indices = np.arange(len(places)) if primitive.indices is None else content.accessor(primitive.indices, f"{where}.indices")
    linear = mesh.T_world_mesh[:3, :3]
    return {
        "vertices": places.astype(np.float64) @ linear.T + mesh.T_world_mesh[:3, 3],
        "faces": np.asarray(indices, dtype=np.int64).reshape(-1, 3),
        "normals": None if normals is None else _unit(normals.astype(np.float64) @ linear.T),
        # glTF's origin is the upper left.
        "uvs": None if uvs is None else np.stack([uvs[:, 0], 1.0 - uvs[:, 1]], axis=1),
        "joints": np.asarray(mesh.joints)[own], "weights": weights,
    }


def _unit(normals: Floats) -> Floats:
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))
