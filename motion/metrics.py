"""Figures that say how good a motion is: some against a truth, some from the motion alone.

Positions are (F,N,3) in metres, +Y up, of the same points in every frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# A foot that truly stands moves less than 10 mm a frame at 30 frames a second.
TRUE_CONTACT_M_S = 0.3
# Without a truth a foot stands where it is near the ground and no faster than a foot that slips.
CONTACT_HEIGHT_M = 0.05
CONTACT_SPEED_M_S = 0.6


def mpjpe_mm(positions_m: Array, truth_m: Array, hips: Sequence[int]) -> float:
    """Mean distance of joints from the truth in millimetres, each frame moved so that the middles of the ``hips`` agree."""
    return float(np.linalg.norm(_centred(positions_m, hips) - _centred(truth_m, hips), axis=-1).mean() * 1000)


def pa_mpjpe_mm(positions_m: Array, truth_m: Array) -> float:
    """Mean distance of joints from the truth in millimetres, each frame turned, moved and scaled to fit it best.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991).
    """
    source = np.asarray(positions_m, dtype=np.float64) - np.mean(positions_m, axis=1, keepdims=True)
    target = np.asarray(truth_m, dtype=np.float64) - np.mean(truth_m, axis=1, keepdims=True)
    u, singular, vt = np.linalg.svd(np.swapaxes(source, 1, 2) @ target)
    mirrored = np.linalg.det(u @ vt) < 0
    singular[mirrored, -1] *= -1
    u[mirrored, :, -1] *= -1
    spread = np.maximum(np.sum(source**2, axis=(1, 2)), np.finfo(float).tiny)
    scale = singular.sum(axis=1) / spread
    aligned = scale[:, None, None] * (source @ (u @ vt))
    return float(np.linalg.norm(aligned - target, axis=-1).mean() * 1000)


def acceleration_error_mm_f2(positions_m: Array, truth_m: Array) -> float:
    """Mean length of the second difference's error, millimetres a frame²; 0 for fewer than three frames."""
    return _mean_length(np.diff(np.asarray(positions_m, dtype=np.float64) - truth_m, n=2, axis=0)) * 1000


def jitter_10m_s3(positions_m: Array, fps: float) -> float:
    """Mean jerk of the points in units of 10 m/s³: third difference × fps³ ÷ 10; 0 for fewer than four frames."""
    return _mean_length(np.diff(np.asarray(positions_m, dtype=np.float64), n=3, axis=0)) * fps**3 / 10


def true_contact(feet_m: Array, fps: float) -> NDArray[np.bool_]:
    """Tell for each step between frames (F-1,N) whether a foot's point of the truth stands on the ground."""
    return np.asarray(np.linalg.norm(np.diff(feet_m, axis=0), axis=-1) * fps < TRUE_CONTACT_M_S)


def likely_contact(feet_m: Array, fps: float) -> NDArray[np.bool_]:
    """Tell for each step between frames (F-1,N) whether a foot's point seems to stand: near the ground y = 0, and slow."""
    height = np.maximum(feet_m[1:, :, 1], feet_m[:-1, :, 1])
    speed = np.linalg.norm(np.diff(feet_m, axis=0), axis=-1) * fps
    return np.asarray((height < CONTACT_HEIGHT_M) & (speed < CONTACT_SPEED_M_S))


def foot_slide_mm_f(feet_m: Array, contact: NDArray[np.bool_]) -> float | None:
    """Mean way over the ground of the feet's points (F,N,3) while in ``contact`` (F-1,N), millimetres a frame; None without any."""
    if not contact.any():
        return None
    step = np.diff(np.asarray(feet_m, dtype=np.float64), axis=0)[..., [0, 2]]
    return float(np.linalg.norm(step, axis=-1)[contact].mean() * 1000)


def bone_drift(positions_m: Array, parents: Sequence[int] | NDArray[np.integer]) -> float:
    """Largest change of a bone's length against the first frame, as a share of it; bones of no length are left out."""
    parent = np.asarray(parents)
    child = np.flatnonzero(parent >= 0)
    length = np.linalg.norm(np.asarray(positions_m, dtype=np.float64)[:, child] - positions_m[:, parent[child]], axis=-1)
    length = length[:, length[0] > 1e-6]
    return float(np.abs(length / length[0] - 1).max()) if length.size else 0.0


def _centred(positions_m: Array, hips: Sequence[int]) -> Array:
    return np.asarray(positions_m - np.mean(positions_m[:, list(hips)], axis=1, keepdims=True, dtype=np.float64))


def _mean_length(vectors: Array) -> float:
    return float(np.linalg.norm(vectors, axis=-1).mean()) if vectors.size else 0.0
