"""Two linear layers with something bent between them, under the names that checkpoints give them."""

from __future__ import annotations

from torch import Tensor, nn


class FeedForward(nn.Module):
    """Linear, bend, linear: keys ``layers.0.0`` and ``layers.1``."""

    def __init__(self, inputs: int, hidden: int, outputs: int, bend: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(inputs, hidden), bend), nn.Linear(hidden, outputs)])

    def forward(self, values: Tensor) -> Tensor:
        """Return (…,outputs) of (…,inputs)."""
        for layer in self.layers:
            values = layer(values)
        return values


class Ladder(nn.Module):
    """Three linear layers with ReLU between them: keys ``layers.0`` to ``layers.2``."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, outputs)])

    def forward(self, values: Tensor) -> Tensor:
        """Return (…,outputs) of (…,width)."""
        for layer in self.layers[:-1]:
            values = layer(values).relu()
        last: Tensor = self.layers[-1](values)
        return last
