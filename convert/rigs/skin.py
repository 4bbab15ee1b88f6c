"""Skin weights as a rig wants them: few joints a vertex, heaviest first, rows that sum to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.rig import MAX_INFLUENCES


def pack_weights(dense: NDArray[np.floating]) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Turn weights (V,J) into the heaviest joints (V,K) and their weights (V,K), descending; K is at most 8.

    What is cut off is shared out in proportion. Slots without weight name the vertex's heaviest joint, so that a reader
    that ignores weights of 0 and one that does not agree.
    """
    used = int((dense > 0).sum(axis=1).max())
    order = np.argsort(-dense, axis=1, kind="stable")[:, : min(used, MAX_INFLUENCES)]
    weights = np.take_along_axis(dense, order, axis=1).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    joints = np.where(weights > 0, order, order[:, :1])
    return joints.astype(np.uint16), weights.astype(np.float32)
