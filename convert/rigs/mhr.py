"""The Momentum Human Rig in its default shape, from the folder in which the user keeps MHR's release (Apache-2.0, Meta)."""

from __future__ import annotations

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

MODEL_FILE = "mhr_model.pt"
_METRES_PER_UNIT = 0.01
# The file's float32 inverse bind and our kinematics of its offsets differ by rounding alone: 1e-6 seen.
_BIND_TOLERANCE_M = 1e-5


def load_mhr(folder: Path) -> Rig:
    """Return MHR in its rest pose, all parameters zero: its own vertices in their order, its 127 joints, no texture.

    The vertex count is the file's (18,439 at level of detail 1). The soles stand within a millimetre of y = 0, where the
    model puts them. Raises `MissingPartError` where ``folder`` holds no model and `ReadError` where it can't be used.
    """
    path = Path(folder) / MODEL_FILE
    if not path.is_file():
        raise MissingPartError(f"{path}: found no such file, expected MHR's release there; name its folder with --mhr DIR or RIGDROP_MHR")
    parts = _read(path)
    parents, names = np.asarray(parts["parents"], dtype=np.int32), tuple(str(name) for name in parts["names"])
    # Joint = T(offset) · preRotation · (Rz·Ry·Rx · 2^scale), and the last factor is 1 at rest.
    rest_local = local_matrices(parts["rotations_xyzw"], parts["offsets"] * _METRES_PER_UNIT).astype(np.float64)
    bind_world = local_to_world(parents, rest_local).astype(np.float64)
    _check_bind(path, bind_world, parts["inverse_bind"])
    vertices_m = parts["vertices"] * _METRES_PER_UNIT
    joints, weights = pack_weights(_dense_weights(parts, len(vertices_m), len(names)))
    return Rig(
        name="mhr",
        skeleton=Skeleton(names, parents, rest_local, semantic_indices("mhr", names)),
        bind_world=bind_world,
        vertices_m=vertices_m,
        faces=parts["faces"],
        normals=vertex_normals(vertices_m, parts["faces"]),
        skin_joints=joints,
        skin_weights=weights,
    )


def _read(path: Path) -> dict[str, Any]:
    """Read what a rig needs from the TorchScript file, without torch and without running any of its code."""
    try:
        character = ptloader.load(path, weights_only=True).character_torch
        skeleton, skinning = character.skeleton, character.linear_blend_skinning
        return {
            "names": skeleton.joint_names,
            "parents": skeleton.joint_parents,
            "offsets": np.asarray(skeleton.joint_translation_offsets, dtype=np.float64),
            "rotations_xyzw": np.asarray(skeleton.joint_prerotations, dtype=np.float64),
            "inverse_bind": np.asarray(skinning.inverse_bind_pose, dtype=np.float64),
            "vertex_of_weight": np.asarray(skinning.vert_indices_flattened),
            "joint_of_weight": np.asarray(skinning.skin_indices_flattened),
            "weight": np.asarray(skinning.skin_weights_flattened),
            "vertices": np.asarray(character.blend_shape.base_shape, dtype=np.float64),
            "faces": np.asarray(character.mesh.faces, dtype=np.int32),
        }
    except (AttributeError, KeyError, ValueError, OSError, RuntimeError) as error:
        raise ReadError(f"{path}: found no MHR model ({error}), expected {MODEL_FILE} of Meta's release v1.0") from error


def _check_bind(path: Path, bind_world: NDArray[np.floating], inverse_bind: NDArray[np.float64]) -> None:
    """Make sure that the pose of all zeros is the pose in which the weights were painted, unscaled."""
    inverse = local_matrices(inverse_bind[:, 3:7], inverse_bind[:, :3] * _METRES_PER_UNIT, inverse_bind[:, 7])
    apart_m = float(np.abs(bind_world @ inverse - np.eye(4)).max())
    if apart_m > _BIND_TOLERANCE_M:
        raise ReadError(f"{path}: inverse_bind_pose: found it {apart_m:.2g} m from the rest pose, expected none; use MHR's release v1.0")


def _dense_weights(parts: dict[str, Any], vertex_count: int, joint_count: int) -> NDArray[np.float32]:
    dense = np.zeros((vertex_count, joint_count), dtype=np.float32)
    np.add.at(dense, (parts["vertex_of_weight"], parts["joint_of_weight"]), parts["weight"])
    return dense
