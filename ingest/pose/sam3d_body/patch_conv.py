"""Convolutions whose windows do not overlap, as matrix products.

A GPU's convolutions round float32 to ten bits unless the whole process forbids it; matrix products do not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchConv(nn.Conv2d):
    """A convolution that steps by its own size; weights and keys are a convolution's."""

    def __init__(self, inputs: int, outputs: int, size: int, padding: int = 0, bias: bool = True) -> None:
        super().__init__(inputs, outputs, size, stride=size, padding=padding, bias=bias)
        self.size, self.border = size, padding

    def forward(self, input: Tensor) -> Tensor:
        """Return (B,outputs,H/size,W/size) of (B,inputs,H,W); what is left over at the end is left out."""
        size, border = self.size, self.border
        padded = functional.pad(input, (border,) * 4) if border else input
        rows, columns = padded.shape[-2] // size, padded.shape[-1] // size
        windows = padded[..., :rows * size, :columns * size]
        windows = torch.unflatten(torch.unflatten(windows, -1, (columns, size)), -3, (rows, size))
        patches = windows.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return functional.linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
