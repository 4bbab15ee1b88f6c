"""What bending does to MHR's skin beside skinning: a small network from the joints' turns to the rest vertices.

Formulas from Meta's MHR release v1.0 (Apache-2.0). Some files have none: then skinning alone is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# The first two joints place the body and bend nothing.
_FIRST_JOINT = 2
_NUMBERS = 6


@dataclass(frozen=True, eq=False)
class CorrectiveArrays:
    """H hidden units between 6 numbers of each bending joint and V vertices."""

    hidden: NDArray[np.float32]  # (H,6(J−2))
    basis_cm: NDArray[np.float32]  # (3V,H)


class Bends(nn.Module):
    """How far each hidden unit answers to a pose."""

    hidden: Tensor

    def __init__(self, arrays: CorrectiveArrays) -> None:
        super().__init__()
        self.register_buffer("hidden", torch.from_numpy(arrays.hidden), persistent=False)

    def forward(self, turns: Tensor) -> Tensor:
        """Return the units' answers (B,H) to the joints' own turns (B,J,3,3)."""
        bent = turns[:, _FIRST_JOINT:] - torch.eye(3, device=turns.device)
        columns = torch.cat([bent[..., 0], bent[..., 1]], dim=-1).flatten(1)
        return (columns @ self.hidden.T).relu()


def read_correctives(model: Any, joints: int, vertices: int) -> CorrectiveArrays | None:
    """Return the correctives of a file that was read, None where it has none.

    Raises `ValueError` for some that are not as in MHR's release: leaving them out unsaid would move every keypoint.
    """
    correctives = getattr(model, "pose_correctives_model", None)
    if correctives is None:
        return None
    layers = correctives.pose_dirs_predictor
    first, last = getattr(layers, "0"), getattr(layers, "2")
    rows, columns = np.asarray(first.sparse_indices, dtype=np.int64)
    basis = np.array(last.weight, dtype=np.float32)
    hidden = np.zeros((basis.shape[1], _NUMBERS * (joints - _FIRST_JOINT)), np.float32)
    if basis.shape[0] != 3 * vertices or rows.max(initial=0) >= hidden.shape[0] or columns.max(initial=0) >= hidden.shape[1]:
        raise ValueError(f"pose correctives of shapes {basis.shape} and {rows.shape} do not belong to {vertices} vertices")
    hidden[rows, columns] = np.asarray(first.sparse_weight, dtype=np.float32)
    return CorrectiveArrays(hidden, basis)
