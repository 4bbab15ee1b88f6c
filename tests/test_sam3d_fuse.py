from __future__ import annotations

from dataclasses import replace

import torch

from rigdrop.ingest.pose.sam3d_body.conversions import angle_between
from rigdrop.ingest.pose.sam3d_body.fuse import fused
from rigdrop.ingest.pose.sam3d_body.wrist import body_wrists, hand_wrists

from .sam3d_fixture import no_gradients, recorded_network  # noqa: F401
from .sam3d_network import Recorded


def _fused(recorded: Recorded, valid: list[list[bool]], threshold: float = 4.0):
    body, head = recorded.look(0), recorded.network().body.head_pose
    hands = recorded.hands()
    arguments = (body.joints.rotations, hands, torch.tensor(valid), body_wrists(body.params), head.joint_rotation, threshold)
    return body, hands, fused(body.params, *arguments)


def test_a_fused_hand_is_the_hand_branch_s_and_its_wrist_makes_the_body_agree(recorded):
    body, hands, (params, put, angles) = _fused(recorded, [[True, True], [False, True]])
    assert put.tolist() == [[True, True], [False, True]]
    assert torch.equal(params.hand[:, 54:], hands.right.hand[:, 54:]) and torch.equal(params.hand[0, :54], hands.left.hand[0, :54])
    assert torch.equal(params.hand[1, :54], body.params.hand[1, :54])
    assert params.scale[0, 9] == hands.left.scale[0, 9] and params.scale[1, 9] == body.params.scale[1, 9]
    assert torch.equal(params.scale[:, 8], hands.right.scale[:, 8])
    network = recorded.network()
    joints = network.mhr.joints(network.body.head_pose.model_params(params))
    turned = joints.rotations[:, [78, 42]]
    # The wrist's angles bring the body's hand into the turn that the hand branch saw.
    assert float(angle_between(turned, hands.rotations)[put].max()) < 2e-3
    wanted = hand_wrists(body.joints.rotations, hands.rotations, network.body.head_pose.joint_rotation)
    assert float((body_wrists(params) - wanted)[put].abs().max()) < 1e-5
    assert float((angles - angle_between(body_wrists(body.params), wanted)).abs().max()) < 1e-5


def test_fingers_and_hands_shapes_are_the_mean_of_the_hands_that_were_put_on(recorded):
    body, hands, (params, _, _) = _fused(recorded, [[True, True], [False, False]])
    assert torch.allclose(params.scale[0, 18:], (hands.left.scale[0, 18:] + hands.right.scale[0, 18:]) / 2, atol=1e-6)
    assert torch.allclose(params.shape[0, 40:], (hands.left.shape[0, 40:] + hands.right.shape[0, 40:]) / 2, atol=1e-6)
    for mine, before in ((params, body.params),):
        assert all(torch.equal(getattr(mine, name)[1], getattr(before, name)[1]) for name in ("body", "hand", "scale", "shape"))
        assert torch.equal(mine.shape[:, :40], before.shape[:, :40]) and torch.equal(mine.scale[:, :8], before.scale[:, :8])


def test_a_wrist_that_now_turns_too_far_is_left_alone(recorded):
    body, _, (params, put, angles) = _fused(recorded, [[True, True], [True, True]], threshold=1.5)
    assert torch.equal(put, angles < 1.5) and put.any() and not put.all()
    assert torch.equal(params.body[:, [41, 42, 43]][~put[:, 0]], body.params.body[:, [41, 42, 43]][~put[:, 0]])


def test_a_hand_that_is_no_number_spoils_neither_body_nor_the_other_hand(recorded):
    body, head, hands = recorded.look(0), recorded.network().body.head_pose, recorded.hands()
    nan = replace(hands.left, hand=hands.left.hand * torch.nan, scale=hands.left.scale * torch.nan, shape=hands.left.shape * torch.nan)
    lost = replace(hands, left=nan, rotations=hands.rotations * torch.tensor([torch.nan, 1])[:, None, None])
    valid = torch.ones(2, 2, dtype=torch.bool)
    params, put, _ = fused(body.params, body.joints.rotations, lost, valid, body_wrists(body.params), head.joint_rotation, 4.0)
    assert put.tolist() == [[False, True], [False, True]]
    assert all(torch.isfinite(getattr(params, name)).all() for name in ("body", "hand", "scale", "shape"))


def test_nothing_is_changed_in_place(recorded):
    body = recorded.look(0)
    before = replace(body.params, body=body.params.body.clone(), hand=body.params.hand.clone(), scale=body.params.scale.clone())
    _fused(recorded, [[True, True], [True, True]])
    assert all(torch.equal(getattr(before, name), getattr(recorded.look(0).params, name)) for name in ("body", "hand", "scale"))
