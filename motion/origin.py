"""Where a rig comes from: the file of somebody's own character, whole, and which part of it each part of the rig is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError

Floats = NDArray[np.float64]

# A bind pose that differs by more than float64's grain over a few metres was changed since.
_SAME_M = 1e-6


def _check(condition: bool, field_name: str, found: object, expected: str) -> None:
    if not condition:
        raise ReadError(f"origin: {field_name}: found {found}, expected {expected}")


@dataclass(frozen=True, eq=False)
class Origin:
    """A character's file, and the way from the rig back into it.

    The file's own joints, in our world, follow from the rig's: ``T_file = T_world · bind_world⁻¹ · T_world_joint_bind``. So a
    writer can move the file's skeleton and leave its meshes, materials and textures as they are.
    """

    format: Literal["glb", "usd"]
    file_name: str
    content: bytes  # the file; a USD stage that names other files is packed with them as usdz
    skeleton: str  # path of USD's Skeleton; nothing for a GLB
    joints: tuple[str, ...]  # (J,) number of a GLB's node; token of a USD joint, nothing for a root that the reader added
    T_world_joint_bind: Floats  # (J,4,4) how the file binds its joints, scale and all, where the rig stands
    meshes: tuple[str, ...]  # (M,) "node/primitive" of a GLB, path of a USD mesh, in the order of the rig's vertices
    vertex_counts: NDArray[np.int32]  # (M,) how many of the rig's vertices each mesh has
    points: NDArray[np.int32]  # (V,) which point of its mesh each vertex is; more than one where a seam splits it
    materials: tuple[str, ...]  # number of a GLB's material, path of USD's
    face_materials: NDArray[np.int32]  # (T,) which of them each triangle has, -1 for none
    sha256: str = ""  # of content; worked out where it is not given

    def __post_init__(self) -> None:
        for name in ("joints", "meshes", "materials"):
            object.__setattr__(self, name, tuple(str(each) for each in getattr(self, name)))
        for name in ("vertex_counts", "points", "face_materials", "T_world_joint_bind"):
            kind: Any = np.float64 if name == "T_world_joint_bind" else np.int32
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=kind))
        digest = hashlib.sha256(self.content).hexdigest()
        _check(self.sha256 in ("", digest), "sha256", digest, f"{self.sha256}, as was noted")
        object.__setattr__(self, "sha256", digest)
        _check(self.format in ("glb", "usd"), "format", repr(self.format), "glb or usd")
        shape = (len(self.joints), 4, 4)
        _check(self.T_world_joint_bind.shape == shape, "T_world_joint_bind", self.T_world_joint_bind.shape, str(shape))
        _check(bool(np.isfinite(self.T_world_joint_bind).all()), "T_world_joint_bind", "NaN or infinity", "finite numbers")
        _check(self.vertex_counts.shape == (len(self.meshes),), "vertex_counts", self.vertex_counts.shape, f"({len(self.meshes)},)")
        _check(self.points.shape == (int(self.vertex_counts.sum()),), "points", self.points.shape, f"({self.vertex_counts.sum()},)")
        materials = self.face_materials
        _check(bool(((materials >= -1) & (materials < len(self.materials))).all()), "face_materials", "a material that is not there",
               f"-1 to {len(self.materials) - 1}")

    def moved(self, T_new_old: Floats) -> Origin:
        """Return the origin of the rig when all of it is moved by ``T_new_old`` (4,4)."""
        return replace(self, T_world_joint_bind=T_new_old @ self.T_world_joint_bind)

    def fits(self, bind_world: Floats) -> bool:
        """Say whether a rig with ``bind_world`` (J,4,4) is bound as the file is; where not, the file's meshes can't show its motion."""
        linear, place = self.T_world_joint_bind[:, :3, :3], self.T_world_joint_bind[:, :3, 3]
        if bind_world.shape != self.T_world_joint_bind.shape or np.abs(place - bind_world[:, :3, 3]).max() > _SAME_M:
            return False
        size = np.linalg.norm(linear, axis=(1, 2), keepdims=True) / np.sqrt(3)
        # Matrices that came through float32 are turned by less than a thousandth.
        return bool(np.abs(linear / size - bind_world[:, :3, :3]).max() < 1e-3)

    def file_transforms(self, T_world_joint: Floats, bind_world: Floats) -> Floats:
        """Return the file's own joints (…,J,4,4) in our world for the rig's ``T_world_joint`` (…,J,4,4)."""
        return np.asarray(T_world_joint @ (np.linalg.inv(bind_world) @ self.T_world_joint_bind))
