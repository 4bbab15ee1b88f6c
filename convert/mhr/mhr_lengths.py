"""Lengths and scales of a person's MHR skeleton from where its joints are, whatever the pose.

Joints that one bone carries stay at fixed distances from each other and from that bone's own joint. These distances are
smooth in the lengths, so a few Gauss–Newton steps from the default body find them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...ingest.recording import MHR_PARAMETERS
from .mhr_tree import MhrTree

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

KNEE_KNOCK = 151
"""The one among the scales that turns joints: no distance tells of it."""
# The six lengths before 136 are sums of the scales after it, so they stay 0.
_FREE = np.array([number for number in range(136, MHR_PARAMETERS) if number != KNEE_KNOCK], dtype=np.intp)
_STEPS = 30
_LONGEST_STEP = 0.3
# Far below what float32 joints tell; it only decides where they tell nothing, such as on which side of its axis a thumb sits.
_PULL = 1e-6
# Distances count by their relative error down to this length, below which rounding would decide.
_SHORTEST_M = 0.01


def solve_lengths(tree: MhrTree, joints_m: Floats, one_body: bool = True) -> Floats:
    """Return parameters (F,204) that hold lengths and scales alone, for places (F,J,3) of joints, finite.

    ``one_body`` says that all frames show the same skeleton: its distances are the medians over the frames.
    """
    pairs = _rigid_pairs(tree)
    seen = _distances(joints_m, pairs)
    if one_body:
        return np.repeat(_fitted(tree, pairs, np.median(seen, axis=0, keepdims=True)), len(joints_m), axis=0)
    return _fitted(tree, pairs, seen)


def _rigid_pairs(tree: MhrTree) -> Indices:
    """Pairs (N,2) of joints at fixed distances: those that one joint carries, with each other and with it."""
    groups = [np.append(np.flatnonzero(tree.carrier == bone), bone) for bone in np.unique(tree.carrier[tree.carrier >= 0])]
    return np.concatenate([group[np.column_stack(np.triu_indices(len(group), 1))] for group in groups])


def _distances(joints_m: Floats, pairs: Indices) -> Floats:
    return np.asarray(np.linalg.norm(joints_m[..., pairs[:, 0], :] - joints_m[..., pairs[:, 1], :], axis=-1))


def _fitted(tree: MhrTree, pairs: Indices, seen_m: Floats) -> Floats:
    """Find lengths (B,204) for distances (B,N): squares, which are smooth at 0, each weighted by its own length."""
    params = np.zeros((len(seen_m), MHR_PARAMETERS))
    everything = np.arange(len(tree.carrier))
    weight = 1 / np.maximum(seen_m, _SHORTEST_M)
    for _ in range(_STEPS):
        T_world_joint = tree.world(params)
        places = T_world_joint[..., :3, 3]
        apart = places[:, pairs[:, 0]] - places[:, pairs[:, 1]]
        residual = weight * (seen_m**2 - (apart**2).sum(-1))
        by_place = tree.gradient(params, T_world_joint, everything, _FREE).reshape(*places.shape, -1)
        jacobian = 2 * weight[..., None] * np.einsum("fnc,fncp->fnp", apart, by_place[:, pairs[:, 0]] - by_place[:, pairs[:, 1]])
        back = np.swapaxes(jacobian, 1, 2)
        step = np.linalg.solve(back @ jacobian + _PULL**2 * np.eye(len(_FREE)), back @ residual[..., None])[..., 0]
        params[:, _FREE] += np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < 1e-9:
            break
    return params
