"""Layer norm over the channels of a map."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-6


class ChannelNorm(nn.Module):
    """Each pixel of a map (B,C,H,W) normalised over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the map (B,C,H,W), normalised."""
        last = maps.permute(0, 2, 3, 1)
        return functional.layer_norm(last, self.weight.shape, self.weight, self.bias, EPS).permute(0, 3, 1, 2)
