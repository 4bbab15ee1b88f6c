from __future__ import annotations

from dataclasses import replace

import torch

from rigdrop.ingest.pose.sam3d_body.hands import Hands, believed, boxes_of, hand_crops
from rigdrop.ingest.pose.sam3d_body.wrist import body_wrists, hand_wrists

from .sam3d_fixture import no_gradients, recorded_network  # noqa: F401
from .sam3d_network import apart


def test_hand_boxes_are_the_recorded_ones(recorded):
    network, crops = recorded.network(), recorded.crops(0)
    found = recorded.look(0)
    assert apart(network.hand_boxes(found), recorded.body["full_all/hand_box/0/norm"]) < 1e-5
    boxes = boxes_of(network, found, crops)
    truth = torch.stack([recorded.body[f"full_all/hand_box/0/{side}_xyxy"] for side in ("left", "right")], dim=1)
    assert float((boxes - truth).abs().max()) < 1e-3


def test_hand_crops_are_the_recorded_ones(recorded):
    truth = torch.stack([recorded.body[f"full_all/hand_box/0/{side}_xyxy"] for side in ("left", "right")], dim=1)
    crops = hand_crops(truth, recorded.crops(0), exact_upstream=True)
    assert crops.mirrored.tolist() == [True, True, False, False]
    for first, number in ((0, 1), (2, 2)):
        own, theirs = crops.pick(torch.arange(first, first + 2)), recorded.crops(number)
        for field in ("centre_px", "side_px", "scale", "offset", "K"):
            assert apart(getattr(own, field), getattr(theirs, field)) < 1e-6, field
    right = hand_crops(truth, recorded.crops(0), exact_upstream=False)
    assert right.K[0, 0, 2] == 480 - 1 - crops.K[0, 0, 2] and torch.equal(right.K[2:], crops.K[2:])


def test_left_hands_are_turned_back_as_recorded(recorded):
    hands = recorded.hands()
    for side, name in (("left", "lhand"), ("right", "rhand")):
        own, truth = getattr(hands, side), f"full_all/{name}"
        assert apart(own.scale, recorded.body[f"{truth}/scale"]) < 1e-5
        assert apart(own.shape, recorded.body[f"{truth}/shape"]) < 1e-5
        half = slice(54) if side == "left" else slice(54, None)
        assert apart(own.hand[:, half], recorded.body[f"{truth}/hand"][:, half]) < 1e-5
    left = recorded.body["full_all/lhand/joint_global_rots"][:, 78]
    right = recorded.body["full_all/rhand/joint_global_rots"][:, 42]
    assert apart(hands.rotations, torch.stack([left, right], dim=1)) < 1e-5
    for number, name in enumerate(("lhand", "rhand")):
        assert apart(hands.centres_px[:, number], recorded.body[f"full_all/{name}_bbox_center"][0]) < 1e-5
        assert apart(hands.sides_px[:, number], recorded.body[f"full_all/{name}_bbox_scale"][0, :, 0]) < 1e-5


def test_wrists_turn_as_recorded(recorded):
    body, hands, head = recorded.look(0), recorded.hands(), recorded.network().body.head_pose
    truth = "full_all/angle/0"
    assert apart(body_wrists(body.params), recorded.body[f"{truth}/ori_local_wrist"]) < 1e-5
    turns = hand_wrists(body.joints.rotations, hands.rotations, head.joint_rotation)
    assert apart(turns, recorded.body[f"{truth}/fused_local_wrist"]) < 1e-5
    _, angles = believed(body, hands, head, 4.0, exact_upstream=True)
    assert float((angles - recorded.body[f"{truth}/diff"]).abs().max()) < 1e-5


def test_each_gate_alone_can_say_no(recorded):
    body, hands, head = recorded.look(0), recorded.hands(), recorded.network().body.head_pose

    def valid(threshold: float = 4.0, **changed: torch.Tensor) -> list[list[bool]]:
        return believed(body, replace(hands, **changed), head, threshold, exact_upstream=False)[0].tolist()

    none = [[False, False], [False, False]]
    assert valid() == [[True, True], [True, True]]
    assert valid(threshold=-1) == none
    assert valid(sides_px=torch.full((2, 2), 64.0)) == none
    assert valid(reach=torch.full((2, 2), 0.5)) == none
    assert valid(wrists_px=hands.wrists_px + 1000) == none
    assert valid(reach=torch.tensor([[0.5, 0.1], [0.1, 0.1]])) == [[False, True], [True, True]]


def test_a_wrist_s_distance_is_measured_in_its_own_crop_and_upstream_in_the_other(recorded):
    body, head = recorded.look(0), recorded.network().body.head_pose
    wrists = body.view.pixels[:, [62, 41]] + torch.tensor([30.0, 0])
    hands: Hands = replace(recorded.hands(), wrists_px=wrists, sides_px=torch.tensor([[200.0, 100], [200, 100]]))
    assert believed(body, hands, head, 4.0, exact_upstream=False)[0].tolist() == [[True, False]] * 2
    assert believed(body, hands, head, 4.0, exact_upstream=True)[0].tolist() == [[False, True]] * 2
