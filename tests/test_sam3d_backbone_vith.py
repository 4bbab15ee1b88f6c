from __future__ import annotations

import torch

from rigdrop.ingest.pose.sam3d_body.backbone_vith import VitBackbone
from rigdrop.ingest.pose.sam3d_body.config import BackboneConfig

from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import apart


def test_the_plain_transformer_says_what_was_recorded(recorded):
    backbone = VitBackbone(BackboneConfig("vit", width=64, depth=2, heads=4, hidden=256, extra_tokens=0, patches=48))
    backbone.load_state_dict({key.removeprefix("state/"): value for key, value in recorded.vit.items() if key.startswith("state/")})
    with torch.no_grad():
        assert apart(backbone(recorded.vit["input"]), recorded.vit["output"]) < 1e-5
