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
    growth: NDArray[np.float64]  # (V,1), what a displacement of the rest mesh, a morph target's, must grow by
    translation_m: NDArray[np.float32]  # (F,J,3)
    scale: NDArray[np.float16]  # (F,J)


def half_scale(rig: Rig, translation_m: NDArray[np.float32], scale: NDArray[np.float32] | None) -> HalfScale:
    """Round local scales (F,J) to halves, and correct translations (F,J,3) and the rest mesh for what that takes away.

    With W the store's scale of a joint in the world and H the written one: local half = W / H_parent, translation ·
    W_parent / H_parent, and a vertex moves by Σ w (W − H)(vertex − joint) / Σ w H, which makes up for a rounding that
    is constant over the clip. No scale, or 1 everywhere, changes nothing.
    """
    if scale is None or (scale == 1).all():
        unscaled = np.ones(translation_m.shape[:2], np.float16)
        return HalfScale(rig.vertices_m, np.ones((len(rig.vertices_m), 1)), translation_m, unscaled)
    chain = half_chain(rig.joint_parents, translation_m, scale)
    vertices_m, growth = _corrected_mesh(rig, (chain.world - chain.written).mean(axis=0), chain.written.mean(axis=0))
    return HalfScale(vertices_m, growth, chain.translation, chain.scale)


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


def _corrected_mesh(
    rig: Rig, lost: NDArray[np.float64], written: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the rest mesh (V,3) with each joint's lost scale (J,) given back around the joint, and how it grew (V,1) by that."""
    if not lost.any():
        return rig.vertices_m, np.ones((len(rig.vertices_m), 1))
    weights = rig.skinning_matrix
    share = ((weights @ lost) / (weights @ written))[:, None]
    around = weights @ (lost[:, None] * rig.bind_world[:, :3, 3]) / (weights @ written)[:, None]
    return (rig.vertices_m + rig.vertices_m * share - around).astype(np.float32), 1 + share
