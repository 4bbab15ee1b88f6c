"""Meshes that UsdSkel binds to a skeleton, as the body of a rig: split where their texture has a seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, UsdShade

from ...errors import ReadError
from ...motion.rig import Rig, Skeleton, vertex_normals
from .skin_weights import packed_influences

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_UV_TYPES = (Sdf.ValueTypeNames.TexCoord2fArray, Sdf.ValueTypeNames.TexCoord2dArray, Sdf.ValueTypeNames.TexCoord2hArray,
             Sdf.ValueTypeNames.Float2Array)


@dataclass(frozen=True, eq=False)
class UsdBody:
    """A rig, and where its parts lie in the stage; as `motion.origin.Origin` has them."""

    rig: Rig
    meshes: tuple[str, ...]
    vertex_counts: NDArray[np.int32]
    points: NDArray[np.int32]
    materials: tuple[str, ...]
    face_materials: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Mesh:
    """One mesh in our world; ``points`` (v,) says which of the stage's points each vertex is."""

    path: str
    vertices: Floats
    normals: NDArray[np.float32]
    faces: Indices  # (t,3)
    uvs: Floats | None
    joints: Indices  # (v,K)
    weights: Floats
    points: Indices
    materials: list[str]  # (t,) path, nothing for none


def body_of(
    where: str, name: str, skeleton: Skeleton, bind_world: Floats, T_world_skel: Floats, joints: Sequence[str], added: int,
    skins: Sequence[Any],
) -> UsdBody | None:
    """Return the rig whose body is all meshes of ``skins`` (UsdSkel.SkinningQuery), one after the other; nothing without one.

    ``joints`` are the skeleton's tokens, before which the rig has ``added`` joints; points are brought to the world by
    ``T_world_skel`` (4,4). Raises `ReadError` for faces and weights that do not fit the points.
    """
    skinned = [skin for skin in skins if skin.GetPrim().IsA(UsdGeom.Mesh) and skin.HasJointInfluences()]
    if not skinned:
        return None
    parts = [_mesh(f"{where}: {skin.GetPrim().GetPath()}", skin, T_world_skel, joints, added) for skin in skinned]
    counts = [len(part.points) for part in parts]
    faces = np.concatenate([part.faces + start for part, start in zip(parts, np.cumsum([0, *counts]), strict=False)])
    skin_joints, skin_weights = packed_influences([(part.joints, part.weights) for part in parts])
    uvs = None
    if any(part.uvs is not None for part in parts):
        uvs = np.concatenate([np.zeros((len(part.points), 2)) if part.uvs is None else part.uvs for part in parts]).astype(np.float32)
    rig = Rig(
        name, skeleton, bind_world, np.concatenate([part.vertices for part in parts]).astype(np.float32), faces.astype(np.int32),
        np.concatenate([part.normals for part in parts]), skin_joints, skin_weights, uvs,
    )
    face_materials = [material for part in parts for material in part.materials]
    materials = tuple(dict.fromkeys(material for material in face_materials if material))
    number = {"": -1} | {material: place for place, material in enumerate(materials)}
    points = np.concatenate([part.points for part in parts]).astype(np.int32)
    numbers = np.array([number[material] for material in face_materials], np.int32)
    return UsdBody(rig, tuple(part.path for part in parts), np.array(counts, np.int32), points, materials, numbers)


def _mesh(where: str, skin: Any, T_world_skel: Floats, joints: Sequence[str], added: int) -> _Mesh:
    mesh, earliest = UsdGeom.Mesh(skin.GetPrim()), Usd.TimeCode.EarliestTime()
    points = np.array(mesh.GetPointsAttr().Get(earliest) or [], dtype=np.float64).reshape(-1, 3)
    T_world_mesh = T_world_skel @ np.array(skin.GetGeomBindTransform()).T
    corners, fans, face_of = _triangles(where, mesh, earliest, len(points))
    influences = skin.ComputeVaryingJointInfluences(len(points), earliest)
    if not influences or len(points) == 0 or len(influences[0]) % len(points):
        raise ReadError(f"{where}: primvars:skel:jointIndices: found weights that do not fit {len(points)} points, expected some for each")
    own, weights = (np.array(each).reshape(len(points), -1) for each in influences)
    order = [str(joint) for joint in (skin.GetJointOrder() or joints)]
    index = np.array([joints.index(joint) if joint in joints else -1 for joint in order])
    if (own < 0).any() or (own >= len(index)).any() or (index[own[weights > 0]] < 0).any():
        raise ReadError(f"{where}: primvars:skel:jointIndices: found joint {own.max()} of {len(index)}, expected joints of the skeleton")
    places = points @ T_world_mesh[:3, :3].T + T_world_mesh[:3, 3]
    point_of, vertex_of, uvs = _split(mesh, corners, len(points))
    return _Mesh(
        str(mesh.GetPath()), places[point_of], vertex_normals(places, corners[fans])[point_of], vertex_of[fans], uvs,
        (np.maximum(index[own], 0) + added)[point_of], weights.astype(np.float64)[point_of], point_of,
        _materials(mesh, face_of),
    )


def _triangles(where: str, mesh: UsdGeom.Mesh, time: Usd.TimeCode, points: int) -> tuple[Indices, Indices, Indices]:
    """Return the points of all corners (C,), fans of corners (T,3), counter-clockwise from outside, and the face (T,) of each."""
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get(time) or [], dtype=np.intp)
    corners = np.array(mesh.GetFaceVertexIndicesAttr().Get(time) or [], dtype=np.intp)
    if counts.sum() != len(corners) or len(corners) == 0 or corners.min() < 0 or corners.max() >= points:
        raise ReadError(f"{where}: faceVertexIndices: found {len(corners)} corners for {counts.sum()}, "
                        f"expected as many, each one of {points} points")
    starts = np.cumsum(counts) - counts
    large_enough = [(step, np.flatnonzero(counts > step + 1)) for step in range(1, counts.max() - 1)]
    fans = np.concatenate([np.stack([starts[faces] + at for at in (0, step, step + 1)], axis=1) for step, faces in large_enough])
    face_of = np.concatenate([faces for _, faces in large_enough])
    return corners, fans[:, ::-1] if mesh.GetOrientationAttr().Get(time) == UsdGeom.Tokens.leftHanded else fans, face_of


def _split(mesh: UsdGeom.Mesh, corners: Indices, points: int) -> tuple[Indices, Indices, Floats | None]:
    """Return the point of each vertex (V,), the vertex of each corner (C,), and texture coordinates (V,2) where there are any.

    Where each corner has coordinates of its own, a point has as many vertices as it has different ones.
    """
    primvar = _uv_primvar(mesh)
    values = np.array(primvar.ComputeFlattened() or [], dtype=np.float64).reshape(-1, 2) if primvar else np.zeros((0, 2))
    whole: Indices = np.arange(points)
    if primvar and primvar.GetInterpolation() == UsdGeom.Tokens.faceVarying and len(values) == len(corners):
        keys, first, vertex_of = np.unique(np.column_stack([corners, values]), axis=0, return_index=True, return_inverse=True)
        return keys[:, 0].astype(np.intp), vertex_of.reshape(-1), values[first]
    if primvar and primvar.GetInterpolation() in (UsdGeom.Tokens.vertex, UsdGeom.Tokens.varying) and len(values) == points:
        return whole, corners, values
    return whole, corners, None


def _uv_primvar(mesh: UsdGeom.Mesh) -> UsdGeom.Primvar | None:
    """Return the texture coordinates: ``st``, or the first that there are."""
    primvars = UsdGeom.PrimvarsAPI(mesh)
    named = primvars.GetPrimvar("st")
    if named and named.HasValue():
        return named
    return next((each for each in primvars.GetPrimvarsWithValues() if each.GetTypeName() in _UV_TYPES), None)


def _materials(mesh: UsdGeom.Mesh, face_of: Indices) -> list[str]:
    """Return the path of each triangle's material: that of its subset, else that of the mesh."""
    api = UsdShade.MaterialBindingAPI(mesh.GetPrim())

    def path(bound: UsdShade.MaterialBindingAPI) -> str:
        material = bound.ComputeBoundMaterial()[0]
        return str(material.GetPath()) if material else ""

    faces = dict.fromkeys(face_of.tolist(), path(api))
    for subset in api.GetMaterialBindSubsets():
        own = path(UsdShade.MaterialBindingAPI(subset.GetPrim()))
        faces |= dict.fromkeys(np.array(subset.GetIndicesAttr().Get() or [], dtype=np.intp).tolist(), own)
    return [faces[face] for face in face_of.tolist()]
