"""Normal equations of a clip: each frame's unknowns meet those of two frames to either side, and a few shared ones.

The Hessian is block-banded (two blocks of the frame's size below the diagonal's) with a border for the shared unknowns,
which the Schur complement takes out; one Cholesky factorisation, a frame at a time, solves for all right-hand sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solve
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf

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

    def part(self, frames: slice) -> NormalEquations:
        """Return equations of some frames that share this one's memory; what they know of all frames together is for `settle`."""
        part = NormalEquations(0, self.gradient.shape[1], len(self.corner))
        part.near = [blocks[frames.start:max(frames.stop - lag, frames.start)] for lag, blocks in enumerate(self.near)]
        part.border, part.gradient = self.border[frames], self.gradient[frames]
        return part

    def settle(self, part: NormalEquations) -> None:
        """Add what a part has found of the cost and of the shared unknowns."""
        self.corner += part.corner
        self.shared_gradient += part.shared_gradient
        self.cost += part.cost

    def add(self, residual: Array, by_pose: Array, by_shared: Array | None = None) -> None:
        """Add whitened residuals (G,M) of the first G frames, and their change with each frame's and the shared unknowns (G,M,…)."""
        self.cost += float((residual**2).sum())
        transposed, count = np.swapaxes(by_pose, 1, 2), len(residual)
        self.near[0][:count] += transposed @ by_pose
        self.gradient[:count] += (transposed @ residual[..., None])[..., 0]
        if by_shared is not None:
            self.border[:count] += transposed @ by_shared
            flat = by_shared.reshape(-1, by_shared.shape[-1])
            self.corner += flat.T @ flat
            self.shared_gradient += flat.T @ residual.ravel()

    def add_between(self, residual: Array, by_pose: Array, weight: Array) -> None:
        """Add whitened residuals (G-n,M) that span n + 1 neighbouring frames, from the first frame on.

        Each is a weighted sum of M values of its frames, which change with their frame's unknowns by ``by_pose`` (G,M,size);
        ``weight`` (n+1,G-n,M) is that of frame t + i in residual t.
        """
        self.cost += float((residual**2).sum())
        span, (count, width) = len(weight), residual.shape
        transposed = np.swapaxes(by_pose, 1, 2)
        pull = np.zeros((len(by_pose), width))
        for i in range(span):
            pull[i:i + count] += weight[i] * residual
        self.gradient[:len(by_pose)] += (transposed @ pull[..., None])[..., 0]
        for lag in range(min(span, len(by_pose))):
            # All residuals that know frames t and t + lag are taken together: one product for each pair of frames.
            pairs = len(by_pose) - lag
            both = np.zeros((pairs, width))
            for i in range(span - lag):
                both[i:i + count] += weight[i] * weight[i + lag]
            self.near[lag][:pairs] += transposed[lag:] @ (by_pose[:pairs] * both[..., None])

    def add_diagonal(self, residual: Array, weight: Array, columns: slice) -> None:
        """Add residuals (G,M) that are the first G frames' unknowns in ``columns`` themselves, each times ``weight`` (G,M) or (M,)."""
        weight = np.broadcast_to(weight, residual.shape)
        self.cost += float(((weight * residual) ** 2).sum())
        index = np.arange(columns.start, columns.stop)
        self.near[0][:len(residual), index, index] += weight**2
        self.gradient[:len(residual), columns] += weight**2 * residual

    def add_shared(self, residual: Array, weight: Array) -> None:
        """Add a prior on the shared unknowns: residual (shared,) times weight (shared,)."""
        self.cost += float(((weight * residual) ** 2).sum())
        self.corner += np.diag(weight**2)
        self.shared_gradient += weight**2 * residual

    def step(self, damping: float) -> tuple[Array, Array]:
        """Return the damped Gauss-Newton step (F,size) and (shared,); ``damping`` scales the diagonal (Marquardt)."""
        right = np.concatenate([self.gradient[..., None], self.border], axis=2)
        solved = _solve(self.near, right, damping).reshape(self.gradient.size, -1)
        border = self.border.reshape(len(solved), -1)
        corner = self.corner + damping * np.diag(np.diag(self.corner)) - border.T @ solved[:, 1:]
        shared_step = -solve(corner, self.shared_gradient - border.T @ solved[:, 0], assume_a="sym")
        step = -(solved[:, 0] + solved[:, 1:] @ shared_step)
        return step.reshape(self.gradient.shape), shared_step


def _solve(near: list[Array], right: Array, damping: float) -> Array:
    """Return the solution (F,size,K) for right-hand sides (F,size,K) of the damped equations.

    Cholesky's L·Lᵀ a frame at a time: its own block, then what that leaves of the next two frames' blocks and right-hand sides.
    """
    frames, size, width = right.shape
    # What meets a frame: the blocks of frames t, t + 1 and t + 2 below one another, then the right-hand sides, transposed.
    columns = np.zeros((frames + 2, 3 * size + width, size))
    for lag, blocks in enumerate(near):
        columns[:len(blocks), lag * size:(lag + 1) * size] = blocks
    columns[:frames, 3 * size:] = np.swapaxes(right, 1, 2)
    # Marquardt's damping; the small constant keeps an unknown that no term touches solvable.
    diagonal = np.arange(size)
    columns[:frames, diagonal, diagonal] += damping * columns[:frames, diagonal, diagonal] + 1e-9
    for t in range(frames):
        below, after = columns[t, size:], columns[t + 1:]
        # LAPACK's order of columns is that of the transpose here, so that nothing is copied: its U is our L.
        upper, failed = dpotrf(columns[t, :size].T, lower=0, overwrite_a=1)
        if failed:
            raise LinAlgError(f"frame {t}: the equations are not positive definite")
        dtrsm(1.0, upper, below.T, trans_a=1, overwrite_b=1)
        left = below @ below[:size].T
        after[0, :2 * size] -= left[:2 * size]
        after[0, 3 * size:] -= left[2 * size:]
        left = below[size:] @ below[size:2 * size].T
        after[1, :size] -= left[:size]
        after[1, 3 * size:] -= left[size:]
    solved = np.zeros((frames + 2, width, size))
    for t in reversed(range(frames)):
        known = columns[t, 3 * size:] - solved[t + 1] @ columns[t, size:2 * size] - solved[t + 2] @ columns[t, 2 * size:3 * size]
        solved[t] = dtrsm(1.0, columns[t, :size].T, known.T).T
    return np.swapaxes(solved[:frames], 1, 2)
