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
# A normal shorter than this says nothing: exporters leave zeros where faces are flat to a line.
_NO_NORMAL = 1e-6


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

    Primitives of a mesh that share their vertices have them once in the rig too.
    Raises `ReadError` for numbers that are not there, and `CannotUseError` for what is no list of triangles.
    """
    parts, triangles = list[Mapping[str, Any]](), list[NDArray[np.int64]]()
    for mesh in meshes:
        primitives, starts = content.gltf.meshes[mesh.mesh].primitives, list[int]()
        for number, (primitive, first) in enumerate(zip(primitives, first_with_vertices(primitives), strict=True)):
            where = f"meshes[{mesh.mesh}].primitives[{number}]"
            _check_plain(where, primitive)
            starts.append(starts[first] if first < number else sum(len(part["vertices"]) for part in parts))
            if first == number:
                parts.append(_vertices(content, mesh, where, primitive))
            triangles.append(_triangles(content, where, primitive) + starts[-1])
    faces = np.concatenate(triangles)
    vertices = np.concatenate([part["vertices"] for part in parts])
    normals = _whole_normals(together([part["normals"] for part in parts]), vertices, faces)
    joints, weights = packed_influences([(part["joints"], part["weights"]) for part in parts])
    uvs = [part["uvs"] for part in parts]
    if any(each is not None for each in uvs):
        uvs = [np.zeros((len(part["vertices"]), 2)) if part["uvs"] is None else part["uvs"] for part in parts]
    return Rig(
        name, skeleton, bind_world, vertices.astype(np.float32), faces.astype(np.int32),
        normals, joints, weights, together(uvs),
    )


def first_with_vertices(primitives: Sequence[Any]) -> list[int]:
    """Return for each primitive of a mesh the first that has its vertices: those of several materials often share theirs."""
    vertices = [(vars(primitive.attributes), primitive.targets) for primitive in primitives]
    return [vertices.index(each) for each in vertices]


def _check_plain(where: str, primitive: Any) -> None:
    if primitive.mode not in (None, _TRIANGLES) or "KHR_draco_mesh_compression" in (primitive.extensions or {}):
        raise CannotUseError(f"{where}: found no plain list of triangles")


def _triangles(content: GlbContent, where: str, primitive: Any) -> NDArray[np.int64]:
    """Return the triangles (T,3) of a primitive, counted from its own first vertex."""
    if primitive.indices is None:
        indices = np.arange(content.gltf.accessors[primitive.attributes.POSITION].count)
    else:
        indices = content.accessor(primitive.indices, f"{where}.indices")
    return np.asarray(indices, dtype=np.int64).reshape(-1, 3)


def _vertices(content: GlbContent, mesh: SkinnedMesh, where: str, primitive: Any) -> Mapping[str, Any]:
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
    linear = mesh.T_world_mesh[:3, :3]
    return {
        "vertices": places.astype(np.float64) @ linear.T + mesh.T_world_mesh[:3, 3],
        "normals": None if normals is None else _unit(normals.astype(np.float64), linear),
        # glTF's origin is the upper left.
        "uvs": None if uvs is None else np.stack([uvs[:, 0], 1.0 - uvs[:, 1]], axis=1),
        "joints": np.asarray(mesh.joints)[own], "weights": weights,
    }


def _unit(normals: Floats, linear: Floats) -> Floats:
    """Return normals (V,3) turned by ``linear`` (3,3), of length 1; 0 for those that say nothing."""
    turned = normals @ linear.T
    length = np.where(np.linalg.norm(normals, axis=1) < _NO_NORMAL, np.inf, np.linalg.norm(turned, axis=1))
    return np.asarray(turned / length[:, None])


def _whole_normals(normals: NDArray[np.float32] | None, vertices: Floats, faces: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the file's normals (V,3), and where it has none those of the faces around."""
    if normals is None:
        return vertex_normals(vertices, faces)
    there = np.any(normals, axis=1, keepdims=True)
    return normals if there.all() else np.where(there, normals, vertex_normals(vertices, faces))
