from __future__ import annotations

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body.heads import without_raw

from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import apart

FIELDS = {
    "raw": "pred_pose_raw", "global_rot": "global_rot", "body": "body_pose", "shape": "shape", "scale": "scale", "hand": "hand",
    "face": "face",
}


@pytest.mark.parametrize("name", ["body", "hand"])
def test_a_token_means_the_recorded_body(recorded, name):
    network, units = recorded.network(), recorded.units
    head = (network.hands if name == "hand" else network.body).head_pose
    params = head(units["head_token_in"], units["head_init_in"])
    for mine, theirs in FIELDS.items():
        assert apart(getattr(params, mine), units[f"head_{name}/{theirs}"]) < 1e-5, mine
    assert apart(head.model_params(params), units[f"head_{name}/mhr_model_params"]) < 1e-5


def test_a_lone_hand_has_no_body(recorded):
    head = recorded.network().hands.head_pose
    params = head(recorded.units["head_token_in"], recorded.units["head_init_in"])
    kept = (head.model_params(params) != 0).any(0)
    assert int(kept.sum()) <= 59


def test_bodies_are_picked_and_mixed(recorded):
    head = recorded.network().body.head_pose
    params = head(recorded.units["head_token_in"], recorded.units["head_init_in"])
    turned = params.pick(torch.tensor([2, 1, 0]))
    mixed = params.where(torch.tensor([True, False, False]), turned)
    assert torch.equal(mixed.hand, torch.stack([params.hand[0], params.hand[1], params.hand[0]]))
    assert params.estimate(torch.zeros(3, 3)).shape == (3, 522)
    assert not without_raw(params).raw.any()
