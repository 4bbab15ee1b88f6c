"""A skeleton, and the body that it moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ..errors import ReadError
from .origin import Origin

MAX_INFLUENCES = 8


def _check(condition: bool, field_name: str, found: object, expected: str) -> None:
    if not condition:
        raise ReadError(f"rig: {field_name}: found {found}, expected {expected}")


def _finite(values: Any, kind: Any, field_name: str) -> NDArray[Any]:
    array = np.asarray(values)
    _check(bool(np.isfinite(array).all()), field_name, "NaN or infinity", "finite numbers")
    return np.ascontiguousarray(array, dtype=kind)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Named joints in a parent-first tree, with the transforms in which they rest.

    ``semantic`` maps what a joint means in a body (the values of ``body_models.Joint``, and ``spine_1`` … ``spine_3``,
    ``left_clavicle``, ``right_clavicle``) to its index, so that any rig can be driven without knowing its own names.
    """

    joint_names: tuple[str, ...]
    joint_parents: NDArray[np.int32]  # (J,), the root has -1
    rest_local: NDArray[np.float64]  # (J,4,4), T_parent_joint at rest, metres
    semantic: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.joint_names)
        object.__setattr__(self, "joint_names", tuple(str(name) for name in self.joint_names))
        object.__setattr__(self, "joint_parents", _finite(self.joint_parents, np.int32, "joint_parents"))
        object.__setattr__(self, "rest_local", _finite(self.rest_local, np.float64, "rest_local"))
        object.__setattr__(self, "semantic", dict(self.semantic))
        _check(count > 0 and len(set(self.joint_names)) == count, "joint_names", self.joint_names[:5], "one or more names, each once")
        _check(self.joint_parents.shape == (count,), "joint_parents", self.joint_parents.shape, f"({count},)")
        _check(self.rest_local.shape == (count, 4, 4), "rest_local", self.rest_local.shape, f"({count}, 4, 4)")
        in_order = all(-1 <= parent < joint for joint, parent in enumerate(self.joint_parents))
        _check(in_order, "joint_parents", self.joint_parents.tolist(), "each parent before its children, the root's -1")
        _check(int((self.joint_parents < 0).sum()) == 1, "joint_parents", int((self.joint_parents < 0).sum()), "exactly one root")
        bad = {name: index for name, index in self.semantic.items() if not 0 <= index < count}
        _check(not bad, "semantic", bad, f"joint indices from 0 to {count - 1}")


@dataclass(frozen=True, eq=False)
class Rig:
    """A skeleton with a skinned mesh in its bind pose: Y up, facing +Z, left on +X, metres."""

    name: str
    skeleton: Skeleton
    bind_world: NDArray[np.float64]  # (J,4,4), T_world_joint in the bind pose
    vertices_m: NDArray[np.float32]  # (V,3)
    faces: NDArray[np.int32]  # (T,3), counter-clockwise from outside
    normals: NDArray[np.float32]  # (V,3), unit
    skin_joints: NDArray[np.uint16]  # (V,K), K <= 8, descending by weight
    skin_weights: NDArray[np.float32]  # (V,K), each row sums to 1
    uvs: NDArray[np.float32] | None = None  # (V,2), origin at the lower left as in OBJ and USD
    origin: Origin | None = None  # the file of somebody's own character
    morph_targets_m: NDArray[np.float32] | None = None  # (M,V,3), what a motion's weights add to the vertices before the skin moves them

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = {"bind_world": np.float64, "vertices_m": np.float32, "faces": np.int32, "normals": np.float32,
                                 "skin_joints": np.uint16, "skin_weights": np.float32}
        kinds |= {name: np.float32 for name in ("uvs", "morph_targets_m") if getattr(self, name) is not None}
        for name, kind in kinds.items():
            object.__setattr__(self, name, _finite(getattr(self, name), kind, name))
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        joints, vertices = len(self.skeleton.joint_names), len(self.vertices_m)
        _check(self.bind_world.shape == (joints, 4, 4), "bind_world", self.bind_world.shape, f"({joints}, 4, 4)")
        _check(self.vertices_m.shape == (vertices, 3) and vertices > 0, "vertices_m", self.vertices_m.shape, "(V, 3)")
        _check(self.faces.ndim == 2 and self.faces.shape[1] == 3, "faces", self.faces.shape, "(T, 3)")
        _check(self.normals.shape == (vertices, 3), "normals", self.normals.shape, f"({vertices}, 3)")
        influences = self.skin_joints.shape[-1]
        _check(self.skin_joints.shape == (vertices, influences) and 0 < influences <= MAX_INFLUENCES, "skin_joints",
               self.skin_joints.shape, f"({vertices}, 1 to {MAX_INFLUENCES})")
        _check(self.skin_weights.shape == self.skin_joints.shape, "skin_weights", self.skin_weights.shape, f"{self.skin_joints.shape}")
        if self.uvs is not None:
            _check(self.uvs.shape == (vertices, 2), "uvs", self.uvs.shape, f"({vertices}, 2)")
        if self.morph_targets_m is not None:
            fits = self.morph_targets_m.shape[1:] == (vertices, 3) and len(self.morph_targets_m) > 0
            _check(fits, "morph_targets_m", self.morph_targets_m.shape, f"(M, {vertices}, 3), one target or more")
            _check(self.origin is None, "morph_targets_m", "targets", "none on somebody's own character, whose file is kept as it is")
        if self.origin is not None:
            sizes = (len(self.origin.joints), len(self.origin.points), len(self.origin.face_materials))
            _check(sizes == (joints, vertices, len(self.faces)), "origin", sizes, f"{(joints, vertices, len(self.faces))}, as the rig has")

    def _check_values(self) -> None:
        joints, vertices = len(self.skeleton.joint_names), len(self.vertices_m)
        _check(bool(((self.faces >= 0) & (self.faces < vertices)).all()), "faces", "an index out of range", f"0 to {vertices - 1}")
        _check(bool((self.skin_joints < joints).all()), "skin_joints", int(self.skin_joints.max()), f"0 to {joints - 1}")
        # float32 rows of up to eight weights sum to 1 within a few ulp; 1e-5 is far above that and far below a real fault.
        sums = self.skin_weights.sum(axis=1)
        worst = float(sums[np.argmax(np.abs(sums - 1))])
        _check(abs(worst - 1) < 1e-5, "skin_weights", f"a row that sums to {worst:.6f}", "rows that sum to 1")
        _check(bool((np.diff(self.skin_weights, axis=1) <= 1e-7).all()), "skin_weights", "a rising row", "weights in descending order")
        _check(bool((self.skin_weights >= 0).all()), "skin_weights", float(self.skin_weights.min()), "0 or more")

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints, parents first."""
        return self.skeleton.joint_names

    @property
    def joint_parents(self) -> NDArray[np.int32]:
        """Parents (J,) of the joints; the root has -1."""
        return self.skeleton.joint_parents

    @property
    def morph_count(self) -> int:
        """Number of morph targets, M; mostly none."""
        return 0 if self.morph_targets_m is None else len(self.morph_targets_m)

    @cached_property
    def skinning_matrix(self) -> csr_matrix:
        """The weights as a sparse (V,J) matrix, so that blending a frame is one product."""
        vertices, influences = self.skin_joints.shape
        rows = np.repeat(np.arange(vertices), influences)
        entries = (self.skin_weights.ravel().astype(np.float64), (rows, self.skin_joints.ravel()))
        return csr_matrix(entries, shape=(vertices, len(self.joint_names)))


def with_influences(rig: Rig, influences: int) -> Rig:
    """Return ``rig`` with at most ``influences`` joints a vertex: the largest kept, their weights scaled to sum to 1."""
    if rig.skin_joints.shape[1] <= influences:
        return rig
    weights = rig.skin_weights[:, :influences].astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    return replace(rig, skin_joints=rig.skin_joints[:, :influences], skin_weights=weights.astype(np.float32))


def vertex_normals(vertices_m: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return unit normals (…,V,3) float32 of a mesh: the sum of its faces' normals, each weighted by the face's area."""
    corners = np.asarray(vertices_m, dtype=np.float64)[..., faces, :]
    face_normals = np.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])
    vertices, rows = vertices_m.shape[-2], faces.ravel()
    spread = csr_matrix((np.ones(len(rows)), (rows, np.repeat(np.arange(len(faces)), 3))), shape=(vertices, len(faces)))
    flat = face_normals.reshape(-1, len(faces), 3)
    normals = np.stack([spread @ normal for normal in flat]).reshape(vertices_m.shape)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1.0), [0.0, 1.0, 0.0]).astype(np.float32)
