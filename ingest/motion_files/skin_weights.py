"""Skin weights of other programs as a rig holds them: at most eight a vertex, the largest first, each row summing to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...motion.rig import MAX_INFLUENCES


def packed_influences(parts: Sequence[tuple[NDArray[np.integer], NDArray[np.floating]]]) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Return joints (V,K) and weights (V,K) of meshes put together, from each one's joints (v,k) and weights (v,k).

    Weights below 0 count as 0; a vertex without any hangs on its first joint.
    """
    used = max(max(1, int((weights > 0).sum(axis=1).max())) for _, weights in parts)
    width = min(MAX_INFLUENCES, used)
    packed = [_packed(joints, np.maximum(weights, 0.0), width) for joints, weights in parts]
    joints, weights = (np.concatenate(each) for each in zip(*packed, strict=True))
    return joints.astype(np.uint16), weights.astype(np.float32)


def together(parts: Sequence[NDArray[Any] | None]) -> NDArray[np.float32] | None:
    """Return the arrays (v,…) of meshes put together; nothing where one of them has none."""
    there = [part for part in parts if part is not None]
    return np.concatenate(there).astype(np.float32) if len(there) == len(parts) else None


def _packed(joints: NDArray[np.integer], weights: NDArray[np.floating], width: int) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    missing = max(0, width - weights.shape[1])
    joints, weights = np.pad(joints, ((0, 0), (0, missing))), np.pad(weights.astype(np.float64), ((0, 0), (0, missing)))
    order = np.argsort(-weights, axis=1, kind="stable")[:, :width]
    joints, weights = np.take_along_axis(joints, order, 1), np.take_along_axis(weights, order, 1)
    weights[weights[:, 0] <= 0, 0] = 1.0
    return np.where(weights > 0, joints, 0), weights / weights.sum(axis=1, keepdims=True)
