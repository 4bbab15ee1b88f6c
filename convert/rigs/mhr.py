"""The Momentum Human Rig in its default shape, from the folder in which the user keeps MHR's release (Apache-2.0, Meta)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ptloader
from numpy.typing import NDArray

from ...errors import MissingPartError, ReadError
from ...motion.kinematics import local_matrices, local_to_world
from ...motion.rig import Rig, Skeleton, vertex_normals
from .semantics import semantic_indices
from .skin import pack_weights

Floats = NDArray[np.float64]

MODEL_FILE = "mhr_model.pt"
METRES_PER_UNIT = 0.01
HOW_TO_GET = "get assets.zip of facebookresearch/MHR's release v1.0 and name its folder with --mhr DIR"
"""What to do where the model isn't there."""
# The file's float32 inverse bind and our kinematics of its offsets differ by rounding alone: 1e-6 seen.
_BIND_TOLERANCE_M = 1e-5


@dataclass(frozen=True, eq=False)
class MhrFile:
    """What ``mhr_model.pt`` holds of J joints, V vertices, T triangles and N weights, in its own units: centimetres, radians."""

    path: Path
    names: tuple[str, ...]
    parents: NDArray[np.int32]  # (J,)
    offsets: Floats  # (J,3), relative to the parent
    rotations_xyzw: Floats  # (J,4), before the joint's own turn
    parameter_transform: Floats  # (7J,P), from parameters to each joint's tx ty tz rx ry rz and log2 of scale
    inverse_bind: Floats  # (J,8): translation, quaternion, scale
    vertex_of_weight: NDArray[np.intp]  # (N,)
    joint_of_weight: NDArray[np.intp]  # (N,)
    weight: NDArray[np.float32]  # (N,)
    vertices: Floats  # (V,3)
    faces: NDArray[np.int32]  # (T,3)
    shape_vectors: NDArray[np.float32]  # (45,V,3)
    expression_vectors: NDArray[np.float32]  # (72,V,3)


def load_mhr(folder: Path) -> Rig:
    """Return MHR in its rest pose, all parameters zero: its own vertices in their order, its 127 joints, no texture.

    The vertex count is the file's (18,439 at level of detail 1). The soles stand within a millimetre of y = 0, where the
    model puts them. Raises `MissingPartError` where ``folder`` holds no model and `ReadError` where it can't be used.
    """
    return default_rig(read_mhr(folder))


def read_mhr(folder: Path) -> MhrFile:
    """Read MHR's file without torch and without running any of its code. Raises as `load_mhr` does."""
    path = Path(folder) / MODEL_FILE
    if not path.is_file():
        raise MissingPartError(f"{path}: found no such file, expected MHR's release there; {HOW_TO_GET} or RIGDROP_MHR")
    try:
        return MhrFile(path, **_arrays(ptloader.load(path, weights_only=True)))
    except (AttributeError, KeyError, ValueError, OSError, RuntimeError) as error:
        raise ReadError(f"{path}: found no MHR model ({error}), expected {MODEL_FILE} of Meta's release v1.0") from error


def default_rig(parts: MhrFile) -> Rig:
    """Return the rig of a file that was read, as `load_mhr` does."""
    # Joint = T(offset) · preRotation · (Rz·Ry·Rx · 2^scale), and the last factor is 1 at rest.
    rest_local = local_matrices(parts.rotations_xyzw, parts.offsets * METRES_PER_UNIT)
    bind_world = local_to_world(parts.parents, rest_local)
    _check_bind(parts, bind_world)
    vertices_m = parts.vertices * METRES_PER_UNIT
    joints, weights = pack_weights(_dense_weights(parts))
    return Rig(
        name="mhr",
        skeleton=Skeleton(parts.names, parts.parents, rest_local, semantic_indices("mhr", parts.names)),
        bind_world=bind_world,
        vertices_m=vertices_m.astype(np.float32),
        faces=parts.faces,
        normals=vertex_normals(vertices_m, parts.faces),
        skin_joints=joints,
        skin_weights=weights,
    )


def _arrays(model: Any) -> dict[str, Any]:
    character = model.character_torch
    skeleton, skinning = character.skeleton, character.linear_blend_skinning
    return {
        "names": tuple(str(name) for name in skeleton.joint_names),
        "parents": np.asarray(skeleton.joint_parents, dtype=np.int32),
        "offsets": np.asarray(skeleton.joint_translation_offsets, dtype=np.float64),
        "rotations_xyzw": np.asarray(skeleton.joint_prerotations, dtype=np.float64),
        "parameter_transform": np.asarray(character.parameter_transform.parameter_transform, dtype=np.float64),
        "inverse_bind": np.asarray(skinning.inverse_bind_pose, dtype=np.float64),
        "vertex_of_weight": np.asarray(skinning.vert_indices_flattened),
        "joint_of_weight": np.asarray(skinning.skin_indices_flattened),
        "weight": np.asarray(skinning.skin_weights_flattened),
        "vertices": np.asarray(character.blend_shape.base_shape, dtype=np.float64),
        "faces": np.asarray(character.mesh.faces, dtype=np.int32),
        "shape_vectors": np.asarray(character.blend_shape.shape_vectors, dtype=np.float32),
        "expression_vectors": np.asarray(model.face_expressions_model.shape_vectors, dtype=np.float32),
    }


def _check_bind(parts: MhrFile, bind_world: Floats) -> None:
    """Make sure that the pose of all zeros is the pose in which the weights were painted, unscaled."""
    bind = parts.inverse_bind
    inverse = local_matrices(bind[:, 3:7], bind[:, :3] * METRES_PER_UNIT, bind[:, 7])
    apart_m = float(np.abs(bind_world @ inverse - np.eye(4)).max())
    if apart_m > _BIND_TOLERANCE_M:
        raise ReadError(f"{parts.path}: inverse_bind_pose: found it {apart_m:.2g} m from the rest pose, expected none; "
                        "use MHR's release v1.0")


def _dense_weights(parts: MhrFile) -> NDArray[np.float32]:
    dense = np.zeros((len(parts.vertices), len(parts.names)), dtype=np.float32)
    np.add.at(dense, (parts.vertex_of_weight, parts.joint_of_weight), parts.weight)
    return dense
