"""Joint scales for UsdSkel, which stores them as 16-bit halves: what rounding takes away is given back elsewhere.

Scales multiply down a chain, so roundings would add up, and every joint below would drift from its place. Here each
half is chosen against what the joints above left over, translations are divided by their parent's rounding, and what
remains of the body's size, at most 2⁻¹¹ of it, is given back to the rest mesh.

Folding a constant scale into the bind transform would be exact in USD's own arithmetic, but Blender rests its bones
without scale and rounds the animation's to halves itself: measured there, it costs millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..motion.kinematics import depth_levels
from ..motion.rig import Rig


@dataclass(frozen=True, eq=False)
class HalfScale:
    """Values to write instead of the rig's and the motion's own; vertices come out the same within the rounding."""

    vertices_m: NDArray[np.float32]  # (V,3), rest mesh
    translation_m: NDArray[np.float32]  # (F,J,3)
    scale: NDArray[np.float16]  # (F,J)


def half_scale(rig: Rig, translation_m: NDArray[np.float32], scale: NDArray[np.float32] | None) -> HalfScale:
    """Round local scales (F,J) to halves, and correct translations (F,J,3) and the rest mesh for what that takes away.

    With W the store's scale of a joint in the world and H the written one: local half = W / H_parent, translation ·
    W_parent / H_parent, and a vertex moves by Σ w (W − H)(vertex − joint) / Σ w H, which makes up for a rounding that
    is constant over the clip. No scale, or 1 everywhere, changes nothing.
    """
    if scale is None or (scale == 1).all():
        return HalfScale(rig.vertices_m, translation_m, np.ones(translation_m.shape[:2], np.float16))
    chain = half_chain(rig.joint_parents, translation_m, scale)
    lost = (chain.world - chain.written).mean(axis=0)
    return HalfScale(_corrected_mesh(rig, lost, chain.written.mean(axis=0)), chain.translation, chain.scale)


@dataclass(frozen=True, eq=False)
class HalfChain:
    """Scales rounded to halves down a tree, so that no rounding adds up."""

    translation: NDArray[np.float32]  # (F,J,3)
    scale: NDArray[np.float16]  # (F,J)
    world: NDArray[np.float64]  # (F,J), what the scales in the world should be
    written: NDArray[np.float64]  # (F,J), what they are


def half_chain(joint_parents: NDArray[np.integer], translation: NDArray[np.floating], scale: NDArray[np.floating]) -> HalfChain:
    """Round local scales (F,J) to halves, each against what those above it left over, and correct translations (F,J,3) for it."""
    world = np.array(scale, dtype=np.float64)
    written = np.ones_like(world)
    halves = np.empty(world.shape, np.float16)
    moved = np.array(translation, dtype=np.float64)
    for depth, level in enumerate(depth_levels(joint_parents)):
        parents = joint_parents[level]
        above = written[:, parents] if depth > 0 else np.ones((len(world), len(level)))
        if depth > 0:
            world[:, level] *= world[:, parents]
            moved[:, level] *= (world[:, parents] / above)[..., None]
        halves[:, level] = world[:, level] / above
        written[:, level] = above * halves[:, level]
    return HalfChain(moved.astype(np.float32), halves, world, written)


def _corrected_mesh(rig: Rig, lost: NDArray[np.float64], written: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the rest mesh (V,3) with each joint's lost scale (J,) given back around the joint."""
    if not lost.any():
        return rig.vertices_m
    weights = rig.skinning_matrix
    away = rig.vertices_m * (weights @ lost)[:, None] - weights @ (lost[:, None] * rig.bind_world[:, :3, 3])
    return np.asarray(rig.vertices_m + away / (weights @ written)[:, None], dtype=np.float32)
