from __future__ import annotations

import torch

from .sam3d_fixture import no_gradients, recorded_network  # noqa: F401
from .sam3d_network import apart


def test_prompts_of_every_label_are_the_recorded_vectors(recorded):
    encoder, units = recorded.network().prompt_encoder, recorded.units
    assert set(units["prompt_in"][..., 2].flatten().tolist()) >= {-2, -1, *range(70)}
    assert apart(encoder(units["prompt_in"]), units["prompt_out"]) < 1e-5


def test_the_code_of_places_is_the_recorded_one(recorded):
    network, units = recorded.network(), recorded.units
    code = network.prompt_encoder.pe_layer
    assert apart(code.dense(8, 8), units["dense_pe_8x8"][0]) < 1e-5
    assert apart(code.dense(5, 7), units["dense_pe_5x7"][0]) < 1e-5
    assert apart(network.hand_pe_layer.dense(8, 8), units["dense_pe_hand_8x8"]) < 1e-5


def test_masks_are_the_recorded_maps(recorded):
    encoder, units = recorded.network().prompt_encoder, recorded.units
    assert apart(encoder.mask_downscaling(units["mask_down_in"]), units["mask_down_out"]) < 1e-5
    batch = "full_all/batch/0"
    found = encoder.mask(recorded.body[f"{batch}/mask"][0], recorded.body[f"{batch}/mask_score"][0], 8, 8)
    assert apart(found, recorded.body["full_all/mask_embedding/0/out"]) < 1e-5


def test_no_mask_is_a_vector_of_its_own_everywhere(recorded):
    encoder = recorded.network().prompt_encoder
    none = encoder.mask(None, torch.zeros(2), 8, 8)
    assert apart(none, recorded.body["full_all/mask_embedding/1/out"]) < 1e-6
    masks = torch.ones(2, 1, 128, 128, dtype=torch.uint8)
    mixed = encoder.mask(masks, torch.tensor([0.0, 1.0]), 8, 8)
    assert torch.equal(mixed[0], none[0]) and not torch.equal(mixed[1], none[1])


def test_a_narrower_map_leaves_out_the_mask_s_margins(recorded):
    encoder = recorded.network().prompt_encoder
    masks = (torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(1)) > 0.5).to(torch.uint8)
    assert torch.equal(encoder.mask(masks, torch.ones(1), 8, 6), encoder.mask(masks, torch.ones(1), 8, 8)[..., 1:7])
