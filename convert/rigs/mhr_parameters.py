"""From the parameters of the Momentum Human Rig to the local values of its joints, and to a rig of one person's shape.

Facts and formulas: Meta's MHR release v1.0 (Apache-2.0). A joint's local transform is
``T(offset + t) · preRotation · Rz·Ry·Rx · 2^sc``, and ``(t, r, sc)`` of all joints are linear in the model's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ...errors import ReadError
from ...ingest.recording import MHR_EXPRESSIONS, MHR_PARAMETERS, MHR_SHAPES
from ...motion.kinematics import local_matrices, local_to_world
from ...motion.rig import Rig, vertex_normals
from ...motion.rotations import quat_multiply, quat_normalize
from .mhr import METRES_PER_UNIT, MhrFile, default_rig, read_mhr

Floats = NDArray[np.float64]

BODY = slice(130, MHR_PARAMETERS)
"""The parameters that make one skeleton differ from another: six lengths, then 68 scales; all before move it."""


@dataclass(frozen=True, eq=False)
class MhrModel:
    """MHR's linear maps, in metres and radians, with the rig that they drive."""

    rig: Rig  # all parameters zero
    offsets_m: Floats  # (J,3), relative to the parent
    pre_quat_xyzw: Floats  # (J,4), before the joint's own turn
    transform: Floats  # (J,7,204), to tx ty tz metres, rx ry rz radians, log2 of scale
    shape_vectors_m: NDArray[np.float32]  # (45,V,3)
    expression_vectors_m: NDArray[np.float32]  # (72,V,3)
    folder: Path | None = None  # where it was read from: pose correctives lie beside it

    def joint_parameters(self, model_params: Floats) -> Floats:
        """Return tx ty tz (m) rx ry rz (rad) and log2 of scale (…,J,7) for parameters (…,204)."""
        params = np.asarray(model_params, dtype=np.float64)
        values = (self._sparse_transform @ params.reshape(-1, MHR_PARAMETERS).T).T
        return np.ascontiguousarray(values).reshape(*params.shape[:-1], len(self.offsets_m), 7)

    @cached_property
    def _sparse_transform(self) -> csr_matrix:
        """The transform (7J,204): a joint's value hangs on two of the parameters or three."""
        return csr_matrix(self.transform.reshape(-1, MHR_PARAMETERS))

    def local(self, model_params: Floats) -> tuple[Floats, Floats, Floats]:
        """Return quat_xyzw (…,J,4), translation_m (…,J,3) and scale (…,J), relative to the parents, for parameters (…,204)."""
        values = self.joint_parameters(model_params)
        quat = quat_multiply(self.pre_quat_xyzw, _euler_to_quat(values[..., 3:6]))
        return quat, self.offsets_m + values[..., :3], np.exp2(values[..., 6])

    def joints_m(self, model_params: Floats) -> Floats:
        """Return the places (…,J,3) of the joints, the model's own axes (+Y up, facing +Z), for parameters (…,204)."""
        return local_to_world(self.rig.joint_parents, local_matrices(*self.local(model_params)))[..., :3, 3]

    def person_rig(self, shape_params: Floats, model_params: Floats) -> Rig:
        """Return the rig of a person of shape (45,) whose lengths and scales are in ``model_params`` (204,).

        Vertices carry the shape and stay in the model's bind pose; the rest pose is the model's with the person's lengths
        and scales, so that it stands as the person would.
        """
        vertices_m = self.rig.vertices_m + np.tensordot(np.asarray(shape_params, np.float64), self.shape_vectors_m, axes=1)
        body = np.zeros(MHR_PARAMETERS)
        body[BODY] = np.asarray(model_params)[BODY]
        return replace(
            self.rig, skeleton=replace(self.rig.skeleton, rest_local=local_matrices(*self.local(body))),
            vertices_m=vertices_m.astype(np.float32), normals=vertex_normals(vertices_m, self.rig.faces),
        )


def load_mhr_model(folder: Path) -> MhrModel:
    """Return the model from the folder of MHR's release; the vertex count is the file's.

    Raises `MissingPartError` where ``folder`` holds no model and `ReadError` where it can't be used.
    """
    return model_of(read_mhr(folder))


def model_of(parts: MhrFile) -> MhrModel:
    """Return the model of a file that was read, as `load_mhr_model` does."""
    _check_sizes(parts)
    rig = default_rig(parts)
    transform = parts.parameter_transform[:, :MHR_PARAMETERS].reshape(len(rig.joint_names), 7, MHR_PARAMETERS).copy()
    transform[:, :3] *= METRES_PER_UNIT
    return MhrModel(rig, parts.offsets * METRES_PER_UNIT, quat_normalize(parts.rotations_xyzw), transform,
                    parts.shape_vectors * np.float32(METRES_PER_UNIT), parts.expression_vectors * np.float32(METRES_PER_UNIT),
                    parts.path.parent)


def _check_sizes(parts: MhrFile) -> None:
    rows, columns = parts.parameter_transform.shape
    wanted = 7 * len(parts.names)
    # Columns beyond the parameters are for shapes, which move no joint.
    if rows != wanted or columns < MHR_PARAMETERS:
        raise ReadError(f"{parts.path}: parameter_transform: found {(rows, columns)}, expected ({wanted}, {MHR_PARAMETERS} or more)")
    for name, vectors, count in (
        ("shape_vectors", parts.shape_vectors, MHR_SHAPES), ("expression_vectors", parts.expression_vectors, MHR_EXPRESSIONS),
    ):
        expected = (count, len(parts.vertices), 3)
        if vectors.shape != expected:
            raise ReadError(f"{parts.path}: {name}: found {vectors.shape}, expected {expected}")


def _euler_to_quat(angles_rad: Floats) -> Floats:
    """Return Rz·Ry·Rx as xyzw quaternions (…,4) for the angles rx, ry, rz (…,3)."""
    half = 0.5 * angles_rad
    (sx, sy, sz), (cx, cy, cz) = (np.moveaxis(function(half), -1, 0) for function in (np.sin, np.cos))
    quat = np.empty((*half.shape[:-1], 4))
    quat[..., 0], quat[..., 1] = sx * cy * cz - cx * sy * sz, cx * sy * cz + sx * cy * sz
    quat[..., 2], quat[..., 3] = cx * cy * sz - sx * sy * cz, cx * cy * cz + sx * sy * sz
    return quat
