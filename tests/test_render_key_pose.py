"""Key poses do what their words say."""

import numpy as np
import pytest

from rigdrop.convert.body import body_joint
from rigdrop.motion.rotations import quat_apply, quat_multiply
from rigdrop.render.key_pose import Arm, Pose


def world(quats, *chain):
    turn = np.array([0.0, 0, 0, 1])
    for joint in chain:
        turn = quat_multiply(turn, quats[body_joint(joint)])
    return turn


def arm_directions(arm, side):
    """Directions of the upper arm, the forearm and the palm's inside in the chest's axes."""
    quats = Pose(left=arm, right=arm).body_quats()
    outward = np.array([1.0 if side == "left" else -1.0, 0, 0])
    shoulder = world(quats, f"{side}_clavicle", f"{side}_shoulder")
    elbow = quat_multiply(shoulder, quats[body_joint(f"{side}_elbow")])
    wrist = quat_multiply(elbow, quats[body_joint(f"{side}_wrist")])
    return quat_apply(shoulder, outward), quat_apply(elbow, outward), quat_apply(wrist, np.array([0.0, -1, 0]))


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_an_arm_points_and_folds_where_it_is_told(side, sign):
    upper, fore, _ = arm_directions(Arm(upper=(1, 0, 0), fold=(0, 1, 0), flexion=np.pi / 2), side)
    np.testing.assert_allclose(upper, [sign, 0, 0], atol=1e-9)
    np.testing.assert_allclose(fore, [0, 1, 0], atol=1e-9)
    upper, fore, _ = arm_directions(Arm(upper=(0, -2, 0), fold=(0, 0, 1), flexion=0.5), side)
    np.testing.assert_allclose(upper, [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(fore, [0, -np.cos(0.5), np.sin(0.5)], atol=1e-9)


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_a_hanging_arm_has_its_palm_to_the_thigh_and_a_turned_one_to_the_front(side, sign):
    hanging = Arm(upper=(0, -1, 0), fold=(0, 0, 1), flexion=0.0, wrist=0.0)
    np.testing.assert_allclose(arm_directions(hanging, side)[2], [-sign, 0, 0], atol=1e-9)
    turned = Arm(upper=(0, -1, 0), fold=(0, 0, 1), flexion=0.0, wrist=0.0, twist=np.pi / 2)
    np.testing.assert_allclose(arm_directions(turned, side)[2], [0, 0, 1], atol=1e-9)


def test_an_arm_as_in_the_t_pose_turns_nothing_but_the_shoulder_girdle():
    quats = Pose(left=Arm(upper=(1, 0, 0), fold=(0, 0, 1), flexion=0.0, wrist=0.0)).body_quats()
    np.testing.assert_allclose(world(quats, "left_clavicle", "left_shoulder", "left_elbow", "left_wrist"), [0, 0, 0, 1], atol=1e-9)


def test_the_trunk_leans_forward_bends_and_turns_to_the_left():
    up, front, spine = np.array([0.0, 1, 0]), np.array([0.0, 0, 1]), ("spine_1", "spine_2", "spine_3")
    assert quat_apply(world(Pose(lean=0.4).body_quats(), *spine), up)[2] == pytest.approx(np.sin(0.4))
    assert quat_apply(world(Pose(lean=0, side=0.4).body_quats(), *spine), up)[0] == pytest.approx(np.sin(0.4))
    assert quat_apply(world(Pose(lean=0, twist=0.4).body_quats(), *spine), front)[0] == pytest.approx(np.sin(0.4))
    assert quat_apply(world(Pose(nod=0.3).body_quats(), "neck", "head"), front)[1] == pytest.approx(-np.sin(0.3))
    assert quat_apply(world(Pose(look=0.3).body_quats(), "neck", "head"), front)[0] == pytest.approx(np.sin(0.3))
    assert quat_apply(world(Pose(tip=0.3).body_quats(), "pelvis"), up)[2] == pytest.approx(np.sin(0.3))


def test_hips_move_left_down_and_back():
    np.testing.assert_allclose(Pose(shift_m=0.1, crouch_m=0.2, back_m=0.3).amounts()[:3], [0.1, -0.2, -0.3])
