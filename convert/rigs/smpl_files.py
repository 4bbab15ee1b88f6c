"""SMPL, SMPL-H and SMPL-X in the user's own licensed folder: which file is whose, and its arrays, with nothing executed.

The layouts are those of the official downloads and of the `smplx` package: ``SMPLX_NEUTRAL.npz``, ``SMPLH_male.pkl``,
``basicmodel_m_lbs_10_207_0_v1.1.0.pkl``, and ``male/model.npz`` as AMASS has its bodies; at any depth in the folder.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingPartError, ReadError
from ...ingest.recording import SMPL_JOINTS
from ...motion.smpl_joints import joint_parents
from .plain_pickle import read_plain_pickle

Floats = NDArray[np.float64]

SITES = {"smpl": "smpl.is.tue.mpg.de", "smplh": "mano.is.tue.mpg.de", "smplx": "smpl-x.is.tue.mpg.de"}
_TITLES = {"smpl": "SMPL", "smplh": "SMPL-H", "smplx": "SMPL-X"}
_LETTERS = {"male": "m", "female": "f", "neutral": "neutral"}
_SUFFIXES = (".npz", ".pkl")
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, SyntaxError, OSError, RuntimeError, MemoryError)
# SMPL-X's files hold shapes and expressions in one array: 10 of each, or 300 shapes before 100 expressions.
_SMPLX_SHAPES = {20: 10, 400: 300}
# Weights are painted and normalised in single precision or better; a row further off than this is no row of weights.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class SmplFile:
    """What a model's file holds of V vertices, J joints and S shapes: metres, +Y up, facing +Z, from the model's own origin."""

    path: Path
    model: str
    gender: str
    template_m: Floats  # (V,3)
    shapes_m: NDArray[np.floating[Any]]  # (V,3,S), for betas of 1
    regressor: Floats  # (J,V), from vertices to joints
    weights: Floats  # (V,J), rows that sum to 1
    faces: NDArray[np.int32]  # (T,3)


def find_smpl(folder: Path, model: str, gender: str) -> tuple[Path, str]:
    """Return the file of a model and its gender: the one asked for, else neutral.

    Raises `MissingPartError` where ``folder`` has neither.
    """
    if not Path(folder).is_dir():
        raise MissingPartError(f"{folder}: found no such folder, expected the one with your body models; name it with --smpl DIR")
    files = sorted(_files(Path(folder)), key=lambda path: (path.suffix.lower() != ".npz", len(path.parts), str(path)))
    wanted = list(dict.fromkeys((gender, "neutral")))
    for each in wanted:
        for path in files:
            if _is_of(path, model, each):
                return path, each
    names = " or ".join(", ".join(_names(model, each)) for each in wanted)
    raise MissingPartError(
        f"{folder}: found no {_TITLES[model]} model ({wanted[0]}), looked at any depth for {names}; ask for it at https://{SITES[model]}, "
        "which gives it to those who accept its licence: Rigdrop downloads nothing of it. Leave out --smpl to have the motion on a "
        "standard skeleton with fixed bone lengths"
    )


def read_smpl(path: Path, model: str, gender: str) -> SmplFile:
    """Read a model's file. Raises `ReadError`, with file and field, where it is cut, misshapen or would have to be executed."""
    arrays = _arrays(path, "v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f")
    template, joints = _numbers(path, arrays, "v_template", (None, 3)), SMPL_JOINTS[model]
    vertices = len(template)
    shapes = _numbers(path, arrays, "shapedirs", (vertices, 3, None))
    weights = _numbers(path, arrays, "weights", (vertices, joints)).astype(np.float64)
    sums = weights.sum(axis=1)
    worst = float(sums[np.argmax(np.abs(sums - 1))])
    if weights.min() < -_SUM_TOLERANCE or abs(worst - 1) > _SUM_TOLERANCE:
        raise ReadError(f"{path}: weights: found a row that sums to {worst:.4f}, the least weight {weights.min():.4g}, "
                        "expected rows that sum to 1, none below 0")
    weights = np.maximum(weights, 0.0)
    _check_tree(path, _numbers(path, arrays, "kintree_table", (2, joints)), model)
    count = _SMPLX_SHAPES.get(shapes.shape[2], shapes.shape[2]) if model == "smplx" else shapes.shape[2]
    return SmplFile(
        path, model, gender, template.astype(np.float64), shapes[:, :, :count],
        _numbers(path, arrays, "J_regressor", (joints, vertices)).astype(np.float64), weights / weights.sum(axis=1, keepdims=True),
        _numbers(path, arrays, "f", (None, 3)).astype(np.int32),
    )


def read_pose_shapes(parts: SmplFile) -> NDArray[np.floating[Any]] | None:
    """Return the file's pose blend shapes (V,3,9(J-1)), metres; nothing where it has none."""
    arrays = _arrays(parts.path, "posedirs")
    if "posedirs" not in arrays:
        return None
    return _numbers(parts.path, arrays, "posedirs", (len(parts.template_m), 3, 9 * (SMPL_JOINTS[parts.model] - 1)))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


def _names(model: str, gender: str) -> list[str]:
    """The names that a file may have, in the words of the error that none has."""
    names = [f"{model.upper()}_{gender.upper()}{suffix}" for suffix in _SUFFIXES]
    if model == "smpl":
        names.append(f"basicModel_{_LETTERS[gender]}_lbs_*.pkl")
    return [*names, f"{gender}/model.npz"]


def _is_of(path: Path, model: str, gender: str) -> bool:
    """Tell whether a file is the model of a gender, by its name; ``male/model.npz`` is told by its number of joints."""
    stem = path.stem.lower()
    if re.fullmatch(rf"{model}_{gender}(_\d+)?", stem):
        return True
    if model == "smpl" and re.fullmatch(rf"basicmodel_{_LETTERS[gender]}_lbs_.*", stem):
        return True
    return stem == "model" and path.parent.name.lower() == gender and _joint_count(path) == SMPL_JOINTS[model]


def _joint_count(path: Path) -> int:
    try:
        table = _arrays(path, "kintree_table").get("kintree_table")
    except ReadError:
        return 0  # another model's folder may hold anything
    return table.shape[-1] if table is not None and table.ndim == 2 else 0


def _arrays(path: Path, *keys: str) -> Mapping[str, NDArray[Any]]:
    """The arrays of a file that ``keys`` name, as far as it has them."""
    if path.suffix.lower() == ".pkl":
        return read_plain_pickle(path)
    try:
        with zipfile.ZipFile(path) as archive:
            there = [key for key in keys if f"{key}.npy" in archive.namelist()]
            return {key: _member(archive, path, key) for key in there}
    except _FAULTS as error:
        raise ReadError(f"{path}: found no whole .npz ({error}), expected NumPy's zip of arrays; copy it again") from error


def _member(archive: zipfile.ZipFile, path: Path, key: str) -> NDArray[Any]:
    try:
        with archive.open(f"{key}.npy") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except _FAULTS as error:
        raise ReadError(f"{path}: {key}: found no plain array ({error}), expected numbers; nothing of it was run. "
                        "Copy the file again, or take the official one") from error


def _numbers(path: Path, arrays: Mapping[str, NDArray[Any]], key: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    expected = "(" + ", ".join("any" if want is None else str(want) for want in shape) + ")"
    if key not in arrays:
        raise ReadError(f"{path}: {key}: found no such array, expected numbers {expected}")
    array = arrays[key]
    fits = array.ndim == len(shape) and array.size > 0 and all(want in (None, got) for want, got in zip(shape, array.shape))
    if array.dtype.kind not in "iuf" or not fits:
        raise ReadError(f"{path}: {key}: found {array.dtype} {array.shape}, expected numbers {expected}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ReadError(f"{path}: {key}: found NaN or infinity, expected finite numbers")
    return array


def _check_tree(path: Path, table: NDArray[Any], model: str) -> None:
    """Make sure that the joints are the model's, in its order: the first row has each one's parent, the root's is any number."""
    parents = table[0].astype(np.int64)[1:]
    expected = joint_parents(model)[1:]
    if (parents != expected).any():
        joint = int(np.argmax(parents != expected)) + 1
        raise ReadError(f"{path}: kintree_table: found parent {parents[joint - 1]} of joint {joint}, expected {expected[joint - 1]}, "
                        f"as in {_TITLES[model]}")
