from __future__ import annotations

import torch

from rigdrop.ingest.pose.sam3d_body.refine import look_again, prompts_of

from .sam3d_fixture import no_gradients, recorded_network  # noqa: F401
from .sam3d_network import apart

BOTH = torch.ones(2, 2, dtype=torch.bool)


def test_prompts_are_the_recorded_ones(recorded):
    prompts, from_hand = prompts_of(recorded.look(0), recorded.hands(), BOTH, recorded.crops(0))
    assert apart(prompts, recorded.body["full_all/keypoint_prompt/0/in"]) < 1e-5
    assert from_hand.all()


def test_a_hand_that_is_not_believed_says_nothing(recorded):
    valid = torch.tensor([[False, True], [False, False]])
    prompts, from_hand = prompts_of(recorded.look(0), recorded.hands(), valid, recorded.crops(0))
    assert prompts[..., 2].tolist() == [[41, -2, 8, -2], [-2] * 4]
    assert from_hand.tolist() == [[True, False, True, False], [False] * 4]
    assert not prompts[1, :, :2].any()


def test_the_second_look_finds_the_recorded_body(recorded):
    network, sight = recorded.network(), recorded.sight(0)
    second, counts = look_again(network, sight, recorded.look(0), recorded.hands(), BOTH, torch.tensor([True, True]))
    truth = "full_all/interm_body/5"
    assert apart(second.keypoints_m, recorded.body[f"{truth}/pred_keypoints_3d"]) < 1e-5
    assert apart(second.params.body, recorded.body[f"{truth}/body_pose"]) < 1e-5
    assert apart(second.camera, recorded.body[f"{truth}/pred_cam"]) < 1e-5
    assert counts.all()


def test_who_has_nothing_new_to_be_told_does_not_count_but_where_a_frame_is_shared(recorded):
    network, sight = recorded.network(), recorded.sight(0)
    one = torch.tensor([[True, False], [False, False]])
    _, counts = look_again(network, sight, recorded.look(0), recorded.hands(), one)
    assert counts.tolist() == [True, False]
    _, counts = look_again(network, sight, recorded.look(0), recorded.hands(), one, torch.tensor([True, True]))
    assert counts.tolist() == [True, True]
