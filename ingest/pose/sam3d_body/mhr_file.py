"""MHR's ``mhr_model.pt`` as arrays, read without running any of the TorchScript inside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import MissingPartError, ReadError
from .mhr_correctives import CorrectiveArrays, read_correctives

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

PARAMETERS = 204
SHAPES = 45
EXPRESSIONS = 72


@dataclass(frozen=True, eq=False)
class MhrArrays:
    """J joints, V vertices, T triangles, N skin weights, in the file's own units: centimetres and radians."""

    parents: Indices  # (J,), parents first, -1 for none
    offsets_cm: Floats  # (J,3), relative to the parent
    pre_quat_xyzw: Floats  # (J,4), before the joint's own turn
    parameter_transform: Floats  # (7J,204), to tx ty tz rx ry rz and log2 of scale of each joint
    bind_offset_cm: Floats  # (J,3), of the inverse bind pose
    bind_quat_xyzw: Floats  # (J,4), of the inverse bind pose
    skin_vertices: Indices  # (N,)
    skin_joints: Indices  # (N,)
    skin_weights: Floats  # (N,)
    base_cm: Floats  # (V,3)
    shape_vectors_cm: Floats  # (45,V,3)
    expression_vectors_cm: Floats  # (72,V,3)
    faces: Indices  # (T,3)
    correctives: CorrectiveArrays | None = None  # None in files without them


def read_mhr_arrays(path: Path) -> MhrArrays:
    """Read ``mhr_model.pt``. Raises `MissingPartError` where there is none and `ReadError` for one that can't be used."""
    import ptloader

    if not path.is_file():
        raise MissingPartError(f"{path}: found no such file, expected MHR's model in the checkpoint's assets folder")
    try:
        model = ptloader.load(path, weights_only=True)
        arrays = _arrays(model)
    # Whatever a file that is cut, older or made to do harm sets off.
    except Exception as error:
        raise ReadError(f"{path}: found no MHR model ({error}), expected the checkpoint's assets/mhr_model.pt") from error
    _check(path, arrays)
    return arrays


def _arrays(model: Any) -> MhrArrays:
    character = model.character_torch
    skeleton, skinning = character.skeleton, character.linear_blend_skinning
    bind, base = _floats(skinning.inverse_bind_pose), _floats(character.blend_shape.base_shape)
    return MhrArrays(
        parents=_indices(skeleton.joint_parents),
        offsets_cm=_floats(skeleton.joint_translation_offsets),
        pre_quat_xyzw=_floats(skeleton.joint_prerotations),
        # Columns beyond the parameters are for shapes, which move no joint.
        parameter_transform=_floats(character.parameter_transform.parameter_transform)[:, :PARAMETERS].copy(),
        bind_offset_cm=bind[:, :3].copy(),
        bind_quat_xyzw=bind[:, 3:7].copy(),
        skin_vertices=_indices(skinning.vert_indices_flattened),
        skin_joints=_indices(skinning.skin_indices_flattened),
        skin_weights=_floats(skinning.skin_weights_flattened),
        base_cm=base,
        shape_vectors_cm=_floats(character.blend_shape.shape_vectors),
        expression_vectors_cm=_floats(model.face_expressions_model.shape_vectors),
        faces=_indices(character.mesh.faces),
        correctives=read_correctives(model, len(bind), len(base)),
    )


def _check(path: Path, arrays: MhrArrays) -> None:
    joints, vertices, weights = len(arrays.parents), len(arrays.base_cm), len(arrays.skin_weights)
    wanted = {
        "offsets_cm": (joints, 3), "pre_quat_xyzw": (joints, 4), "parameter_transform": (7 * joints, PARAMETERS),
        "bind_offset_cm": (joints, 3), "bind_quat_xyzw": (joints, 4), "skin_vertices": (weights,), "skin_joints": (weights,),
        "base_cm": (vertices, 3), "shape_vectors_cm": (SHAPES, vertices, 3), "expression_vectors_cm": (EXPRESSIONS, vertices, 3),
    }
    for name, shape in wanted.items():
        found = getattr(arrays, name).shape
        if found != shape:
            raise ReadError(f"{path}: {name}: found {found}, expected {shape}")
    if (arrays.parents >= np.arange(joints)).any():
        raise ReadError(f"{path}: joint_parents: found a joint before its parent, expected parents first")


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float32, order="C")


def _indices(values: Any) -> Indices:
    return np.array(values, dtype=np.int64, order="C")
