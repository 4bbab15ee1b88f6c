from __future__ import annotations

import torch

from rigdrop.ingest.pose.sam3d_body.conversions import xzy_to_matrix
from rigdrop.ingest.pose.sam3d_body.heads import BodyParams
from rigdrop.ingest.pose.sam3d_body.wrist import body_wrists, nearer_limits, with_wrists, wrist_angles

from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import apart


def _params(body: torch.Tensor) -> BodyParams:
    nothing = torch.zeros(len(body), 0)
    return BodyParams(nothing, nothing, body, nothing, nothing, nothing, nothing)


def test_the_nearer_way_of_writing_a_wrist_is_the_recorded_one(recorded):
    assert apart(nearer_limits(recorded.units["wrist_xzy_in"]), recorded.units["wrist_xzy_fixed"]) < 1e-6


def test_either_way_is_the_same_turn():
    angles = (torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 6
    assert torch.allclose(xzy_to_matrix(nearer_limits(angles)), xzy_to_matrix(angles), atol=1e-5)
    assert torch.allclose(xzy_to_matrix(wrist_angles(xzy_to_matrix(angles))), xzy_to_matrix(angles), atol=1e-5)


def test_wrists_go_in_and_come_out_on_the_sides_that_are_named():
    body = torch.rand(2, 133, generator=torch.Generator().manual_seed(2)) - 0.5
    angles = torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(3)) - 0.5
    where = torch.tensor([[True, False], [False, False]])
    changed = with_wrists(_params(body), angles, where)
    assert torch.allclose(body_wrists(_params(changed))[0, 0], xzy_to_matrix(angles[0, 0]))
    assert (changed != body).nonzero().tolist() == [[0, 41], [0, 42], [0, 43]]
    assert changed[0, [41, 43, 42]].tolist() == angles[0, 0].tolist()


def test_a_wrist_inside_its_limits_stays_as_it_is():
    inside = torch.tensor([[0.5, -1.0, 0.2]])
    assert torch.equal(nearer_limits(inside), inside)
