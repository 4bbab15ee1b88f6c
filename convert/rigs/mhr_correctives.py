"""MHR's own mesh: the skin with the pose correctives that the folder of its release holds, and how far skinning is from it.

Layout and formula as body-models reads them (Apache-2.0), of Meta's MHR release v1.0 (Apache-2.0): the first two columns of
125 joints' turns, less the identity's, times a sparse matrix, what is negative cut off, times a basis of displacements in
the bind pose, centimetres.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from ...errors import ReadError
from ...motion.kinematics import local_matrices, local_to_world
from ...motion.rig import Rig
from ...motion.rotations import quat_inverse, quat_multiply, quat_to_matrix
from ..performance import Performance
from .mhr import METRES_PER_UNIT
from .mhr_parameters import MhrModel

Floats = NDArray[np.float64]

ACTIVATION_FILE = "corrective_activation.npz"
_BASIS_FILE, _BASIS_KEY = r"corrective_blendshapes_lod\d+\.npz", "corrective_blendshapes"
_FIRST_JOINT = 2  # body_world and root bend nothing
_PER_JOINT_IN, _PER_JOINT_OUT = 6, 24
# Components of the basis read at a time: at LOD 1 a dense basis has 660 MB, of which few percent are not zero.
_BLOCK_COMPONENTS = 64
_BLOCK_FRAMES = 16
_FAULTS = (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False)
class MhrCorrectives:
    """What poses do to MHR's mesh beyond skinning; J joints, V vertices, H hidden values."""

    pre_quat_xyzw: Floats  # (J,4), before the joint's own turn
    activation: csr_matrix  # (6·(J-2),H)
    basis: csr_matrix  # (H,3V), metres

    def activations(self, quat_xyzw: Floats) -> Floats:
        """Return the hidden values (F,H), none negative, of local turns (F,J,4)."""
        own = quat_multiply(quat_inverse(self.pre_quat_xyzw), quat_xyzw)[:, _FIRST_JOINT:]
        columns = quat_to_matrix(own)[..., :2] - np.eye(3)[:, :2]
        features = np.swapaxes(columns, -1, -2).reshape(len(quat_xyzw), -1)
        return np.asarray(np.maximum(features @ self.activation, 0.0))

    def offsets_m(self, quat_xyzw: Floats) -> Floats:
        """Return the displacements (F,V,3) in the bind pose, before skinning, of local turns (F,J,4), metres."""
        return np.asarray((self.activations(quat_xyzw) @ self.basis).reshape(len(quat_xyzw), -1, 3))


@lru_cache(maxsize=1)
def load_correctives(model: MhrModel) -> MhrCorrectives | None:
    """Return the correctives that lie beside ``model``; nothing where there are none, or none that isn't zero.

    Raises `ReadError` where the files can't be used.
    """
    folder = model.folder
    if folder is None or not (folder / ACTIVATION_FILE).is_file():
        return None
    joints, vertices = len(model.rig.joint_names), len(model.rig.vertices_m)
    hidden = (joints - _FIRST_JOINT) * _PER_JOINT_OUT
    paths = [path for path in sorted(folder.iterdir()) if re.fullmatch(_BASIS_FILE, path.name)]
    path = next((path for path in paths if _basis_shape(path)[1:] == (vertices, 3)), None)
    if path is None:
        return None
    basis = _read_basis(path, hidden)
    if not basis.nnz:
        return None
    activation = _read_activation(folder / ACTIVATION_FILE, (joints - _FIRST_JOINT) * _PER_JOINT_IN, hidden)
    return MhrCorrectives(model.pre_quat_xyzw, activation, basis)


def model_vertices(correctives: MhrCorrectives, performance: Performance, frames: Sequence[int]) -> Iterator[Floats]:
    """Yield the model's own mesh (V,3) in the world for each of ``frames`` of somebody on MHR's rig, metres."""
    for T_world_joint, offsets_m in posed_offsets(correctives, performance, frames):
        yield skinned(performance.rig, T_world_joint, offsets_m)


def skinning_distance_mm(model: MhrModel, performance: Performance, rig: Rig, frames: Sequence[int]) -> dict[str, float] | None:
    """Return how far ``rig``'s skin stands from the model's own mesh over ``frames``: mean, median, p95 and max, millimetres.

    ``performance`` is on MHR's rig with all its weights; ``rig`` is the same one as it is written, with fewer weights
    perhaps. Nothing where the model's folder holds no correctives, since then nobody knows.
    """
    correctives = load_correctives(model)
    if correctives is None:
        return None
    apart_m = [np.linalg.norm(skinned(rig, T_world_joint) - skinned(performance.rig, T_world_joint, offsets_m), axis=-1)
               for T_world_joint, offsets_m in posed_offsets(correctives, performance, frames)]
    return figures_mm(1000 * np.concatenate(apart_m))


def sample_frames(frame_count: int, most: int = 32) -> list[int]:
    """Return up to ``most`` frames, evenly over a clip, both ends among them."""
    return [int(frame) for frame in np.unique(np.linspace(0, frame_count - 1, min(most, frame_count)).round())]


def figures_mm(apart_mm: Floats) -> dict[str, float]:
    """Return mean, median, 95th percentile and maximum of distances, for the report."""
    median, p95 = np.percentile(apart_mm, (50, 95))
    return {"mean": float(apart_mm.mean()), "median": float(median), "p95": float(p95), "max": float(apart_mm.max())}


def posed_offsets(correctives: MhrCorrectives, performance: Performance, frames: Sequence[int]) -> Iterator[tuple[Floats, Floats]]:
    """Yield the joints in the world (J,4,4) and the displacements in the bind pose (V,3) for each of ``frames``."""
    rows = np.asarray(frames, np.intp)
    for start in range(0, len(rows), _BLOCK_FRAMES):
        some = rows[start:start + _BLOCK_FRAMES]
        quat = performance.quat_xyzw[some]
        scale = None if performance.scale is None else performance.scale[some]
        T_world_joint = local_to_world(performance.rig.joint_parents, local_matrices(quat, performance.translation_m[some], scale))
        yield from zip(T_world_joint, correctives.offsets_m(quat), strict=True)


def skinned(rig: Rig, T_world_joint: Floats, offsets_m: Floats | None = None) -> Floats:
    """Return the rig's mesh (V,3), displaced in the bind pose, for joints (J,4,4) in the world."""
    vertices_m = rig.vertices_m if offsets_m is None else rig.vertices_m + offsets_m
    moves = (rig.skinning_matrix @ (T_world_joint @ np.linalg.inv(rig.bind_world))[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    return np.asarray(np.einsum("vij,vj->vi", moves[..., :3], vertices_m) + moves[..., 3])


def _read_activation(path: Path, inputs: int, hidden: int) -> csr_matrix:
    """Return the sparse matrix (inputs,hidden); the file has its rows and columns the other way round."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            to, of = np.asarray(archive["0.sparse_indices"], np.intp)
            return csr_matrix((np.asarray(archive["0.sparse_weight"], np.float64), (of, to)), shape=(inputs, hidden))
    except _FAULTS as error:
        keys = "0.sparse_indices, 0.sparse_weight"
        raise ReadError(f"{path}: {keys}: found none ({error}), expected a matrix ({hidden}, {inputs})") from error


def _read_basis(path: Path, hidden: int) -> csr_matrix:
    """Return the displacements (hidden,3V), metres, read in blocks, of which only what isn't zero is kept."""
    shape = _basis_shape(path)
    if shape[0] != hidden:
        raise ReadError(f"{path}: {_BASIS_KEY}: found {shape}, expected {(hidden, *shape[1:])}")
    row, blocks = int(np.prod(shape[1:])), []
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{_BASIS_KEY}.npy") as file:
            kind = _header(file)[1]
            for start in range(0, hidden, _BLOCK_COMPONENTS):
                count = min(_BLOCK_COMPONENTS, hidden - start) * row
                block = np.frombuffer(file.read(count * kind.itemsize), kind, count).reshape(-1, row)
                blocks.append(csr_matrix(block.astype(np.float32)))
    except _FAULTS as error:
        raise ReadError(f"{path}: {_BASIS_KEY}: found it cut ({error}), expected {shape}") from error
    return csr_matrix(vstack(blocks) * METRES_PER_UNIT)


def _basis_shape(path: Path) -> tuple[int, ...]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{_BASIS_KEY}.npy") as file:
            return _header(file)[0]
    except _FAULTS as error:
        raise ReadError(f"{path}: {_BASIS_KEY}: found none ({error}), expected displacements (H,V,3)") from error


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read an .npy's header. Raises ValueError for one whose rows don't lie one after the other, or aren't numbers."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read(file)
    if by_columns or kind.kind not in "fiu":
        raise ValueError(f"rows of {kind} expected, by rows")
    return shape, kind
