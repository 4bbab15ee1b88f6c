from __future__ import annotations

import torch

from rigdrop.ingest.pose.sam3d_body.backbone import Backbone, MaskedBiasLinear, Rope
from rigdrop.ingest.pose.sam3d_body.config import BackboneConfig

from .sam3d_fixture import no_gradients, recorded_network  # noqa: F401
from .sam3d_network import apart


def _heard(network, crops):
    """Return what each block says of crops."""
    said = {}
    blocks = network.backbone.encoder.blocks
    hooks = [
        block.register_forward_hook(lambda _, __, out, number=number: said.update({number: out}))
        for number, block in enumerate(blocks)
    ]
    said["out"] = network.backbone(crops)
    for hook in hooks:
        hook.remove()
    return said


def test_every_stage_is_the_recorded_one(recorded):
    body = recorded.body
    said = _heard(recorded.network(), body["full_all/backbone/0/in0"])
    patches = recorded.network().backbone.encoder.patch_embed(body["full_all/backbone/0/in0"])
    assert apart(patches.permute(0, 2, 3, 1), body["full_all/patch_embed/0/out"]) < 1e-5
    for number in (0, 1):
        assert apart(said[number], body[f"full_all/backbone_block{number}/0/out"]) < 1e-5
    assert apart(said["out"], body["full_all/backbone/0/out"]) < 1e-5


def test_a_map_that_is_not_square_is_the_recorded_one(recorded):
    network, units = recorded.network(), recorded.units
    assert apart(network.backbone(units["backbone_128x96_in"]), units["backbone_128x96_out"]) < 1e-5
    turns = network.backbone.encoder.rope_embed(8, 6)
    assert apart(turns.sine.tile(2), units["rope_8x6_sin"]) < 1e-6 and apart(turns.cosine.tile(2), units["rope_8x6_cos"]) < 1e-6


def test_tokens_without_a_place_do_not_turn():
    rope = Rope(32)
    placed, patches = rope(3, 2, extra=5), rope(3, 2)
    assert torch.equal(placed.sine[5:], patches.sine) and torch.equal(placed.cosine[5:], patches.cosine)
    assert (placed.sine[:5] == 0).all() and (placed.cosine[:5] == 1).all()


def test_the_stored_periods_are_used_and_not_recomputed(recorded):
    rope = Rope(32)
    assert apart(rope.periods, recorded.state["backbone.encoder.rope_embed.periods"]) < 1e-6
    before = rope(4, 4).sine
    rope.periods[1] = 3.0
    assert not torch.equal(rope(4, 4).sine, before)


def test_keys_have_no_bias_whatever_is_stored():
    layer = MaskedBiasLinear(8, 24)
    values = torch.randn(3, 8)
    before = layer(values)
    layer.bias[8:16] += 5
    assert torch.equal(layer(values), before)
    layer.bias[:8] += 5
    assert torch.allclose(layer(values)[:, :8], before[:, :8] + 5, atol=1e-5)


def test_one_crop_and_many_agree(recorded):
    network, crops = recorded.network(), recorded.body["full_all/backbone/0/in0"]
    assert apart(network.backbone(crops[:1]), network.backbone(crops)[:1]) < 1e-5


def test_bfloat16_stands_off_as_far_as_the_original_does(recorded):
    network, crops = recorded.network(), recorded.body["full_all/backbone/0/in0"]
    exact = network.backbone(crops)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = network.backbone(crops).float()
    assert float((rough - exact).square().mean().sqrt()) < 0.02  # the outputs' own deviation is 1


def test_the_official_size_has_the_official_count(recorded):
    with torch.device("meta"):
        backbone = Backbone(BackboneConfig())
    assert sum(value.numel() for value in backbone.state_dict().values()) == 994576 + 839761920 - 1280  # the mask token is not kept
