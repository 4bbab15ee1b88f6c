"""Normal equations of a clip: each frame's unknowns meet those of two frames to either side, and a few shared ones.

The Hessian is block-banded (three blocks of the frame's size below the diagonal) with a border for the shared unknowns,
which the Schur complement takes out; one banded Cholesky factorisation solves for all right-hand sides.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve, solveh_banded

Array = NDArray[np.float64]


class NormalEquations:
    """Sums of JᵀJ and Jᵀr for F frames of ``size`` unknowns and ``shared`` unknowns that all frames see."""

    def __init__(self, frames: int, size: int, shared: int) -> None:
        self.near = [np.zeros((max(frames - lag, 0), size, size)) for lag in range(3)]  # near[lag][t] couples t + lag (rows) with t
        self.border = np.zeros((frames, size, shared))
        self.corner = np.zeros((shared, shared))
        self.gradient = np.zeros((frames, size))
        self.shared_gradient = np.zeros(shared)
        self.cost = 0.0

    def add(self, residual: Array, by_pose: Array, by_shared: Array | None = None) -> None:
        """Add whitened residuals (F,M), their change with the frame's (F,M,size) and with the shared unknowns (F,M,shared)."""
        self.cost += float((residual**2).sum())
        transposed = np.swapaxes(by_pose, 1, 2)
        self.near[0] += transposed @ by_pose
        self.gradient += (transposed @ residual[..., None])[..., 0]
        if by_shared is not None:
            self.border += transposed @ by_shared
            flat = by_shared.reshape(-1, by_shared.shape[-1])
            self.corner += flat.T @ flat
            self.shared_gradient += flat.T @ residual.ravel()

    def add_between(self, residual: Array, parts: list[Array]) -> None:
        """Add whitened residuals (F-n,M) that span n + 1 neighbouring frames; ``parts[i]`` (F-n,M,size) is the change with frame t + i."""
        self.cost += float((residual**2).sum())
        span, count = len(parts), len(residual)
        for i, part in enumerate(parts):
            transposed = np.swapaxes(part, 1, 2)
            self.gradient[i:i + count] += (transposed @ residual[..., None])[..., 0]
            for j in range(i + 1):
                self.near[i - j][j:j + count] += transposed @ parts[j]
        assert span <= len(self.near)

    def add_diagonal(self, residual: Array, weight: Array, columns: slice) -> None:
        """Add residuals (F,M) that are the unknowns in ``columns`` themselves, each times ``weight`` (F,M) or (M,)."""
        weight = np.broadcast_to(weight, residual.shape)
        self.cost += float(((weight * residual) ** 2).sum())
        index = np.arange(columns.start, columns.stop)
        self.near[0][:, index, index] += weight**2
        self.gradient[:, columns] += weight**2 * residual

    def add_shared(self, residual: Array, weight: Array) -> None:
        """Add a prior on the shared unknowns: residual (shared,) times weight (shared,)."""
        self.cost += float(((weight * residual) ** 2).sum())
        self.corner += np.diag(weight**2)
        self.shared_gradient += weight**2 * residual

    def step(self, damping: float) -> tuple[Array, Array]:
        """Return the damped Gauss-Newton step (F,size) and (shared,); ``damping`` scales the diagonal (Marquardt)."""
        frames, size = self.gradient.shape
        band = _to_band(self.near, damping)
        right = np.concatenate([self.gradient.reshape(-1, 1), self.border.reshape(frames * size, -1)], axis=1)
        solved = solveh_banded(band, right, lower=True, overwrite_ab=True, overwrite_b=True, check_finite=False)
        border = self.border.reshape(frames * size, -1)
        corner = self.corner + damping * np.diag(np.diag(self.corner)) - border.T @ solved[:, 1:]
        shared_step = -solve(corner, self.shared_gradient - border.T @ solved[:, 0], assume_a="sym")
        step = -(solved[:, 0] + solved[:, 1:] @ shared_step)
        return step.reshape(frames, size), shared_step


@lru_cache(maxsize=4)
def _block_indices(size: int, lag: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    row, column = np.indices((size, size))
    keep = (row >= column) if lag == 0 else np.ones((size, size), dtype=bool)
    return row[keep], column[keep]


def _to_band(near: list[Array], damping: float) -> Array:
    """Lay the blocks out as `scipy.linalg.solveh_banded` wants them: band[i - j, j] = H[i, j]."""
    frames, size = near[0].shape[:2]
    band = np.zeros((len(near) * size, frames, size))
    for lag, blocks in enumerate(near):
        if len(blocks) == 0:
            continue
        row, column = _block_indices(size, lag)
        band[lag * size + row - column, :len(blocks), column] = blocks[:, row, column].T
    # Marquardt's damping; the small constant keeps an unknown that no term touches solvable.
    band[0] += damping * band[0] + 1e-9
    return band.reshape(len(near) * size, frames * size)
