"""MHR's pose correctives as a few morph targets with a weight a frame, for files that can't compute what poses do to a mesh.

The targets are the directions in which the displacements of a clip vary most (singular value decomposition): no other so
many bring them nearer, in the bind pose, where file formats apply morph targets before the skin moves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..performance import Performance
from .mhr_correctives import Floats, MhrCorrectives, figures_mm, posed_offsets, sample_frames, skinned

MOST_TARGETS = 32
# As many frames, evenly over the clip, tell which way a mesh is displaced; all of them get weights.
_SAMPLED_FRAMES = 256
_BLOCK_FRAMES = 256
# A target that never displaces any vertex by more tells nothing that a float32 file keeps.
_LEAST_M = 1e-6


@dataclass(frozen=True, eq=False)
class MhrMorphs:
    """K morph targets in the bind pose, their weights over F frames, and how far the skin is from MHR's own mesh."""

    targets_m: NDArray[np.float32]  # (K,V,3), displacements at a weight of 1
    weights: NDArray[np.float32]  # (F,K), each target's from 0 to 1
    before_mm: dict[str, float]  # mean, median, p95 and max, skin alone
    after_mm: dict[str, float]  # with the targets

    @property
    def size_bytes(self) -> int:
        """What the targets and weights take in a file of single precision."""
        return self.targets_m.nbytes + self.weights.nbytes


def correction_morphs(correctives: MhrCorrectives, performance: Performance, most: int = MOST_TARGETS) -> MhrMorphs:
    """Return up to ``most`` targets that bring the skin of somebody on MHR's rig to MHR's own mesh.

    The error is that over up to 32 frames of the clip. No pose correctives give no targets.
    """
    directions = _directions(correctives, performance, most)  # (K,3V), orthonormal
    of_hidden = np.asarray(correctives.basis @ directions.T)
    starts = range(0, performance.frame_count, _BLOCK_FRAMES)
    shares = np.concatenate([correctives.activations(performance.quat_xyzw[start:start + _BLOCK_FRAMES]) @ of_hidden for start in starts])
    directions, shares = _from_zero_up(directions, shares, most)
    largest = shares.max(axis=0)
    targets = (directions * largest[:, None]).reshape(len(largest), -1, 3)
    told = np.linalg.norm(targets, axis=-1).max(axis=1, initial=0.0) > _LEAST_M
    targets, weights = targets[told].astype(np.float32), (shares[:, told] / largest[told]).astype(np.float32)
    return MhrMorphs(targets, weights, *_errors(correctives, performance, targets, weights))


def _from_zero_up(directions: Floats, shares: Floats, most: int) -> tuple[Floats, Floats]:
    """Turn shares (F,K) of directions (K,3V) into such that are never negative: Blender and engines cut weights off at 0.

    One more direction, against all others at once, takes the place of the last of ``most``: what is lacking most at a
    frame is added to every share, and that much of it takes it back.
    """
    turned = np.where(shares.sum(axis=0) < 0, -1.0, 1.0)
    directions, shares = directions * turned[:, None], shares * turned
    # Shares of a millionth of a displacement are rounding, on either side of 0.
    if (shares >= -_LEAST_M).all():
        return directions, np.maximum(shares, 0.0)
    directions, shares = directions[:most - 1], shares[:, :most - 1]
    lacking = np.maximum(-shares.min(axis=1, initial=0.0), 0.0)[:, None]
    return np.concatenate([directions, -directions.sum(axis=0, keepdims=True)]), np.concatenate([shares + lacking, lacking], axis=1)


def _directions(correctives: MhrCorrectives, performance: Performance, most: int) -> Floats:
    """The right singular vectors (K,3V) of a sample of displacements, largest first, by way of the frames' inner products."""
    sample = performance.quat_xyzw[sample_frames(performance.frame_count, _SAMPLED_FRAMES)]
    offsets_m = correctives.offsets_m(sample).reshape(len(sample), -1)
    squares, frames = np.linalg.eigh(offsets_m @ offsets_m.T)
    # Inner products hold half of a number's digits: what is below a millionth of the largest is rounding.
    kept = [row for row in np.argsort(-squares)[:most] if squares[row] > 1e-12 * max(squares[-1], 1e-30)]
    return np.asarray(frames[:, kept].T @ offsets_m / np.sqrt(squares[kept])[:, None])


def _errors(
    correctives: MhrCorrectives, performance: Performance, targets_m: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[dict[str, float], dict[str, float]]:
    """Distances from MHR's own mesh in the world, millimetres, over a sample of frames: skin alone, and with targets."""
    before, after = [], []
    frames = sample_frames(performance.frame_count)
    for frame, (T_world_joint, offsets_m) in zip(frames, posed_offsets(correctives, performance, frames), strict=True):
        truth = skinned(performance.rig, T_world_joint, offsets_m)
        morphed = skinned(performance.rig, T_world_joint, np.tensordot(weights[frame].astype(np.float64), targets_m, axes=1))
        before.append(np.linalg.norm(skinned(performance.rig, T_world_joint) - truth, axis=-1))
        after.append(np.linalg.norm(morphed - truth, axis=-1))
    return figures_mm(1000 * np.concatenate(before)), figures_mm(1000 * np.concatenate(after))
