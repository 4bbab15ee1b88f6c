from __future__ import annotations

import pytest
import torch

from .sam3d_fixture import no_gradients, recorded_network  # noqa: F401
from .sam3d_network import apart


@pytest.mark.parametrize("name", ["decoder", "decoder_hand"])
def test_the_first_layer_says_what_was_recorded(recorded, name):
    network, body, case = recorded.network(), recorded.body, f"full_all/{name}_layer0/0"
    decoder = (network.hands if name == "decoder_hand" else network.body).decoder
    found = decoder.layers[0](*(body[f"{case}/in{number}"] for number in range(4)))
    assert apart(found, body[f"{case}/out0"]) < 1e-5
    assert torch.equal(body[f"{case}/in1"], body[f"{case}/out1"])  # the map is only read


def test_a_token_that_is_not_heard_is_as_if_not_there(recorded):
    layer = recorded.network().body.decoder.layers[1]
    tokens, context, places, code = (recorded.body[f"full_all/decoder_layer0/0/in{number}"] for number in range(4))
    heard = torch.ones(tokens.shape[:2], dtype=torch.bool)
    heard[:, 2] = False
    without = [torch.cat([part[:, :2], part[:, 3:]], dim=1) for part in (tokens, places)]
    masked = layer(tokens, context, places, code, heard)
    dropped = layer(without[0], context, without[1], code)
    assert apart(torch.cat([masked[:, :2], masked[:, 3:]], dim=1), dropped) < 1e-5
    assert apart(layer(tokens, context, places, code, torch.ones_like(heard)), layer(tokens, context, places, code)) < 1e-6
