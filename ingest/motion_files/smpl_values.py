"""From a file's axis-angles and translations to a person of the SMPL family, every fault named with its file and field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.rotations import rotvec_to_quat
from ...motion.smpl_joints import JOINT_NAMES, SIDES, fingers
from ..recording import Actor, SmplMotion

Floats = NDArray[np.float64]


def rows_of(where: str, value: Any, *widths: int) -> Floats:
    """Return numbers (F,…) as (F,W) float64, W one of ``widths``, infinity as NaN; raises `ReadError` that begins with ``where``."""
    array = np.asarray(value)
    expected = " or ".join(f"(frames, {width})" for width in widths)
    if array.dtype.kind not in "iuf":
        raise ReadError(f"{where}: found {array.dtype} values, expected numbers {expected}")
    width = int(np.prod(array.shape[1:])) if array.ndim > 1 else 0
    if width not in widths:
        raise ReadError(f"{where}: found {array.shape}, expected {expected}")
    rows = array.reshape(len(array), width).astype(np.float64)
    rows[~np.isfinite(rows)] = np.nan
    return rows


def check_frames(path: Path, fields: Mapping[str, Floats]) -> int:
    """Return how many frames all of the fields have; raises `ReadError` with both counts where two differ, or for none."""
    (first, array), *others = fields.items()
    frames = len(array)
    for name, other in others:
        if len(other) != frames:
            raise ReadError(f"{path}: {name}: found {len(other)} frames, expected {frames}, as {first} has")
    if frames == 0:
        raise ReadError(f"{path}: {first}: found 0 frames, expected one or more")
    return frames


def betas_of(where: str, value: Any) -> Floats:
    """Return the whole clip's betas (B,) from (B,), (1,B) or (F,B): the median over frames."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2) or array.size == 0:
        raise ReadError(f"{where}: found {array.dtype} {array.shape}, expected numbers (B,) or (frames, B)")
    rows = np.atleast_2d(array).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        raise ReadError(f"{where}: found NaN or infinity, expected finite numbers")
    return np.asarray(np.median(rows, axis=0))


def as_model(model: str, names: tuple[str, ...], rotvec: Floats) -> Floats:
    """Return axis-angles (F,J,3) of all of a model's joints from those of ``names`` (F,N,3); joints that have none rest."""
    full = np.zeros((len(rotvec), len(JOINT_NAMES[model]), 3))
    shared = [name for name in names if name in JOINT_NAMES[model]]
    full[:, [JOINT_NAMES[model].index(name) for name in shared]] = rotvec[:, [names.index(name) for name in shared]]
    return full


def hands_seen(names: tuple[str, ...], rotvec: Floats) -> NDArray[np.bool_]:
    """Tell whether each hand was measured, (F,2), from axis-angles (F,N,3) of the joints ``names``.

    A file without fingers measured none; and AMASS gives hands that had no markers one pose for the whole clip.
    """
    seen = np.zeros((len(rotvec), 2), dtype=bool)
    for side, label in enumerate(SIDES):
        columns = [names.index(name) for name in fingers(label) if name in names]
        if columns:
            ways = rotvec[:, columns]
            ways = ways[np.isfinite(ways).all(axis=(1, 2))]
            seen[:, side] = len(rotvec) == 1 or bool(len(ways) and (ways != ways[0]).any())
    return seen


def smpl_actor(
    path: Path, name: str, model: Any, rotvec: Floats, translation_m: Floats, R_world_source: Floats, betas: Floats | None = None,
    gender: str = "neutral", seen: NDArray[np.bool_] | None = None,
) -> tuple[Actor, tuple[str, ...]]:
    """Return the person of axis-angles (F,J,3) and translations (F,3), and warnings.

    A frame that holds NaN or infinity anywhere is one in which the person is absent. Raises `ReadError` where that is
    every frame.
    """
    there = np.asarray(np.isfinite(rotvec).all(axis=(1, 2)) & np.isfinite(translation_m).all(axis=1))
    if not there.any():
        raise ReadError(f"{path}: found NaN or infinity in each of {len(there)} frames, expected finite numbers in one or more")
    quat = rotvec_to_quat(np.where(there[:, None, None], rotvec, 0.0))
    quat[~there] = np.nan
    motion = SmplMotion(
        model, quat, np.where(there[:, None], translation_m, np.nan), R_world_source, betas, gender,
        None if seen is None else seen & there[:, None],
    )
    return Actor(0, name, motion, there, there.astype(np.float32)), _gap_warning(path, there)


def _gap_warning(path: Path, there: NDArray[np.bool_]) -> tuple[str, ...]:
    if there.all():
        return ()
    gone = np.flatnonzero(~there)
    return (f"{path}: found NaN or infinity in {len(gone)} of {len(there)} frames, frame {gone[0]} the first; they count as not seen",)
