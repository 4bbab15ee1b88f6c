"""Fixed numbers and indices on a device, made once: a copy from the host in every pass would stall a GPU."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

Indices = tuple[int, ...] | tuple[tuple[int, ...], ...]


@cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return numbers as float32."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)


@cache
def indices(values: Indices, device: torch.device) -> Tensor:
    """Return whole numbers as int64, to pick with."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.int64, device=device)
