from __future__ import annotations

import math

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body import conversions as turns

from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import apart

# float32 and another order of adding.
TOLERANCE = 1e-6
ORDERS = [("zyx", "ZYX"), ("xzy", "XZY"), ("xyz", "xyz")]


def test_body_and_hand_numbers_become_the_recorded_angles(recorded):
    units = recorded.units
    assert apart(turns.body_angles(units["body260_in"]), units["body133_out"]) < TOLERANCE
    assert apart(turns.hand_angles(units["hand54_in"]), units["hand27_out"]) < TOLERANCE


def test_angles_become_the_recorded_numbers(recorded):
    units = recorded.units
    assert apart(turns.body_numbers(units["body133_in"]), units["body260_out"]) < TOLERANCE
    assert apart(turns.hand_numbers(units["hand27_in"]), units["hand54_out"]) < TOLERANCE
    assert torch.equal(turns.zero_pose(), units["zero_pose_init_519"][0])


def test_six_numbers_become_the_recorded_matrices(recorded):
    assert apart(turns.six_to_matrix(recorded.units["rot6d_in"]), recorded.units["rot6d_mat"]) < TOLERANCE
    assert apart(turns.angle_between(recorded.units["angle_A"], recorded.units["angle_B"]), recorded.units["angle_out"]) < TOLERANCE


@pytest.mark.parametrize(("order", "name"), ORDERS)
def test_euler_angles_are_the_recorded_ones(recorded, order, name):
    units = recorded.units
    from_matrix, to_matrix = getattr(turns, f"matrix_to_{order}"), getattr(turns, f"{order}_to_matrix")
    assert apart(from_matrix(units["rot6d_mat"]), units[f"mat_to_euler_{name}"]) < TOLERANCE
    assert apart(to_matrix(units[f"euler_in_{name}"]), units[f"euler_to_mat_{name}"]) < TOLERANCE


@pytest.mark.parametrize(("order", "name"), ORDERS)
def test_gimbal_lock_is_resolved_as_recorded(recorded, order, name):
    units = recorded.units
    found = getattr(turns, f"matrix_to_{order}")(units[f"gimbal_mat_{name}"])
    locked = [0, 1, 3]
    assert apart(found[locked], units[f"gimbal_euler_{name}"][locked]) < TOLERANCE
    # A tenth of a milliradian off the lock the recording has three digits left; ours still make the same matrix.
    assert apart(getattr(turns, f"{order}_to_matrix")(found), units[f"gimbal_mat_{name}"]) < TOLERANCE


@pytest.mark.parametrize(("order", "name"), ORDERS)
def test_euler_angles_come_back(order, name):
    angles = (torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * torch.tensor([6.2, 3.1, 6.2])
    back = getattr(turns, f"matrix_to_{order}")(getattr(turns, f"{order}_to_matrix")(angles))
    assert float((back - angles).abs().max()) < 1e-4  # near the lock float32 loses digits


def test_body_and_hand_angles_come_back():
    generator = torch.Generator().manual_seed(2)
    body, hand = ((torch.rand(20, count, generator=generator) - 0.5) * 3 for count in (133, 27))
    assert float((turns.body_angles(turns.body_numbers(body)) - body).abs().max()) < 1e-5
    assert float((turns.hand_angles(turns.hand_numbers(hand)) - hand).abs().max()) < 1e-5


def test_a_quaternion_turns_as_its_matrix_does():
    half = torch.tensor([0.0, 0.3, math.pi / 2])
    quat = torch.stack([torch.sin(half), torch.zeros(3), torch.zeros(3), torch.cos(half)], dim=-1)
    assert torch.allclose(turns.quat_to_matrix(quat), turns.turn(2 * half, 0), atol=1e-6)


def test_a_turn_by_nothing_and_by_a_half_are_that_far_apart():
    still, around = torch.eye(3), turns.turn(torch.tensor(math.pi), 1)
    assert float(turns.angle_between(still, still)) == 0
    assert math.isclose(float(turns.angle_between(still, around)), math.pi, rel_tol=1e-6)
