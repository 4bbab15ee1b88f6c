from __future__ import annotations

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body.branch import Found, Sight

from .sam3d_fixture import no_gradients, recorded_network  # noqa: F401
from .sam3d_network import apart

PARAMS = {"raw": "pred_pose_raw", "global_rot": "global_rot", "body": "body_pose", "shape": "shape", "scale": "scale", "hand": "hand"}
BRANCHES = [("body", 0, ""), ("hand", 1, "_hand"), ("hand", 2, "_hand")]


def _look(recorded, name, number) -> tuple[dict[str, list[torch.Tensor]], list[Found], Found]:
    """Look at a recorded feature map; return each layer's tokens, each layer's body, and what is found at last."""
    network, hand = recorded.network(), name == "hand"
    branch = network.hands if hand else network.body
    maps = recorded.maps(number)
    said, found = {"layer": [], "norm_final": []}, []
    hooks = [layer.register_forward_hook(lambda _, __, out: said["layer"].append(out)) for layer in branch.decoder.layers]
    hooks.append(branch.decoder.norm_final.register_forward_hook(lambda _, __, out: said["norm_final"].append(out)))
    placed = branch.placed
    branch.placed = lambda *arguments: found.append(placed(*arguments)) or found[-1]
    try:
        last = network.look(network.sight(maps, recorded.crops(number), hand), hand=hand)
    finally:
        del branch.placed
        for hook in hooks:
            hook.remove()
    return said, found, last


@pytest.mark.parametrize(("name", "number", "ending"), BRANCHES[:2])
def test_tokens_after_every_layer_are_the_recorded_ones(recorded, name, number, ending):
    said, _, _ = _look(recorded, name, number)
    for layer in range(3):
        assert apart(said["layer"][layer], recorded.body[f"full_all/decoder{ending}_layer{layer}/0/out0"]) < 1e-5
        assert apart(said["norm_final"][layer], recorded.body[f"full_all/decoder{ending}_norm_final/{layer}/out"]) < 1e-5


@pytest.mark.parametrize(("name", "number", "ending"), BRANCHES)
def test_the_body_after_every_layer_is_the_recorded_one(recorded, name, number, ending):
    _, found, last = _look(recorded, name, number)
    assert len(found) == 3 and last is found[-1]
    for layer, body in enumerate(found):
        truth = f"full_all/interm_{name}/{3 * max(number - 1, 0) + layer}"
        pairs = {key: getattr(body.params, mine) for mine, key in PARAMS.items()} | {
            "pred_cam": body.camera, "pred_keypoints_3d": body.keypoints_m, "pred_cam_t": body.view.translation_m,
            "pred_keypoints_2d": body.view.pixels, "pred_keypoints_2d_depth": body.view.depths_m,
            "joint_global_rots": body.joints.rotations,
        }
        for key, mine in pairs.items():
            assert apart(mine, recorded.body[f"{truth}/{key}"]) < 1e-5, (layer, key)


def test_the_first_tokens_are_the_recorded_ones(recorded):
    for name, number, ending in BRANCHES[:2]:
        network = recorded.network()
        branch = network.hands if number else network.body
        nothing = network.told(torch.tensor([0.0, 0.0, -2.0]).expand(2, 1, 3))
        assert apart(nothing.tokens, recorded.body[f"full_all/prompt_to_token/{number}/out"]) < 1e-5
        tokens, places = branch._tokens(recorded.crops(number), nothing, network.hand_box_embedding.weight)
        layer = f"full_all/decoder{ending}_layer0/0"
        assert apart(tokens, recorded.body[f"{layer}/in0"]) < 1e-5, name
        assert apart(places, recorded.body[f"{layer}/in2"]) < 1e-5, name


def test_one_body_and_many_agree(recorded):
    network, crops = recorded.network(), recorded.crops(0)
    maps = recorded.maps(0)
    both = network.look(network.sight(maps, crops, hand=False))
    second = torch.tensor([1])
    alone = network.look(network.sight(maps[second], crops.pick(second), hand=False))
    assert apart(alone.keypoints_m, both.keypoints_m[1:]) < 1e-5


def test_keypoints_outside_the_crop_tell_the_bias_alone(recorded):
    network = recorded.network()
    sight: Sight = network.sight(recorded.maps(0), recorded.crops(0), hand=False)
    found = network.look(sight)
    cropped = torch.full_like(found.view.cropped, 3.0)
    outside = Found(found.params, found.camera, found.joints, found.keypoints_m,
                    type(found.view)(found.view.translation_m, found.view.pixels, found.view.depths_m, cropped), found.box_tokens)
    tokens = torch.zeros(2, 145, 96)
    updated, places = network.body._updated(tokens, torch.ones(2, 145, 96), outside, sight.context)
    assert torch.allclose(updated[:, 5:75], network.body.keypoint_feat_linear.bias.expand(2, 70, -1), atol=1e-6)
    assert not places[:, 5:75].any() and torch.equal(places[:, :5], torch.ones(2, 5, 96))
