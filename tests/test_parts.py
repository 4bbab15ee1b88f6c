"""Parts of the small humanoid, and of a rig that names next to nothing."""

from __future__ import annotations

import numpy as np

from rigdrop.convert.body import BODY_JOINTS
from rigdrop.convert.cleaning.parts import body_places, hand_joints, joints_above, root_joints
from rigdrop.convert.performance import Performance, rest_performance

from .bodies import humanoid
from .synthetic import small_take
from .tumbling import shaken


def _names(rig, joints) -> set[str]:
    return {rig.joint_names[joint] for joint in joints}


def test_the_root_is_the_pelvis_and_what_is_above_it():
    rig = humanoid()
    assert _names(rig, root_joints(rig)) == {"bone_root", "bone_pelvis"}


def test_a_hand_is_everything_below_its_wrist():
    rig = humanoid()
    left = _names(rig, hand_joints(rig, "left"))
    assert len(left) == 15
    assert {"bone_left_thumb_cmc", "bone_left_pinky_dip"} <= left
    assert not any("right" in name or "wrist" in name for name in left)


def test_a_rig_that_names_no_wrist_has_no_hands():
    rig = small_take().people[0].rig
    assert len(hand_joints(rig, "left")) == len(hand_joints(rig, "right")) == 0
    assert _names(rig, root_joints(rig)) == {"root"}


def test_joints_above_come_parents_first():
    rig = humanoid()
    above = joints_above(rig, np.array([rig.skeleton.semantic["left_wrist"]]))
    assert [rig.joint_names[joint].removeprefix("bone_") for joint in above] == [
        "root", "pelvis", "spine_1", "spine_2", "spine_3",
        "left_clavicle", "left_shoulder", "left_upper_helper", "left_elbow", "left_wrist",
    ]


def test_body_places_are_those_of_the_whole_skeleton():
    rig = humanoid()
    rest = rest_performance(rig, np.arange(20) / 30)
    scale = np.random.default_rng(0).uniform(0.9, 1.1, rest.quat_xyzw.shape[:2])
    performance = Performance(rig, rest.times_s, shaken(rest.quat_xyzw, 0.5), rest.translation_m, rest.visible, rest.confidence, rest.known,
                              scale)
    named = sorted(rig.skeleton.semantic[name] for name in BODY_JOINTS)
    assert np.abs(body_places(performance) - performance.joints_m[:, named]).max() < 1e-12


def test_a_rig_without_names_is_judged_by_all_its_joints():
    take = small_take()
    performance = Performance.of_motion(take.people[0].rig, take.times_s, take.people[0].motion)
    assert np.abs(body_places(performance) - performance.joints_m).max() < 1e-12
