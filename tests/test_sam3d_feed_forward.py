from __future__ import annotations

import torch
from torch import nn

from rigdrop.ingest.pose.sam3d_body.feed_forward import FeedForward, Ladder


def test_keys_are_the_checkpoint_s_and_layers_come_in_their_order():
    layer = FeedForward(2, 5, 3, nn.ReLU())
    assert list(layer.state_dict()) == ["layers.0.0.weight", "layers.0.0.bias", "layers.1.weight", "layers.1.bias"]
    first, last = layer.layers[0][0], layer.layers[1]
    values = torch.randn(4, 2)
    assert torch.allclose(layer(values), last(first(values).relu()))


def test_a_ladder_bends_between_its_steps_and_not_after():
    ladder = Ladder(6, 4)
    assert list(ladder.state_dict()) == [f"layers.{number}.{part}" for number in range(3) for part in ("weight", "bias")]
    values = torch.randn(3, 6)
    first, second, third = ladder.layers
    assert torch.allclose(ladder(values), third(second(first(values).relu()).relu()))
