from __future__ import annotations

import numpy as np

from rigdrop.convert.body import BODY_JOINTS, body_joint
from rigdrop.convert.fitting.landmarks import TORSO, evidence_of_joints, landmark_table


def test_landmarks_come_once_in_blazeposes_order():
    landmark = landmark_table().landmark
    assert (np.diff(landmark) > 0).all()
    assert 0 <= landmark[0] <= landmark[-1] < 33


def test_the_right_side_is_the_left_ones_mirror_image():
    table = landmark_table()
    rows = {int(landmark): row for row, landmark in enumerate(table.landmark)}
    for left in range(11, 33, 2):  # BlazePose: odd numbers from the shoulders down are the left side
        if left not in rows:
            continue
        a, b = rows[left], rows[left + 1]
        assert np.allclose(table.offset_m[b], table.offset_m[a] * [-1, 1, 1])
        for joints in (table.carrier, table.origin):
            assert BODY_JOINTS[joints[b]] == BODY_JOINTS[joints[a]].replace("left", "right")
        assert table.weight[a] == table.weight[b]


def test_landmarks_lie_near_the_joints_that_carry_them():
    table = landmark_table()
    assert np.linalg.norm(table.offset_m, axis=1).max() < 0.15  # the nose is furthest from its joint
    assert ((table.weight > 0) & (table.weight <= 1)).all()
    rows = {int(landmark): row for row, landmark in enumerate(table.landmark)}
    for landmark, name in ((13, "left_elbow"), (14, "right_elbow"), (25, "left_knee"), (28, "right_ankle")):
        assert table.carrier[rows[landmark]] == body_joint(name)


def test_the_torso_is_both_shoulders_and_both_hips():
    table = landmark_table()
    assert table.landmark[table.torso].tolist() == sorted(TORSO)


def test_a_joint_is_seen_as_well_as_what_it_moves():
    weight = np.ones((2, 33))
    weight[0, [14, 16, 17, 19, 31]] = 0.1, 0.3, 0.2, 0.4, 0.0
    seen = evidence_of_joints(weight)
    expected = {"right_shoulder": 0.1, "right_elbow": 0.3, "left_wrist": 1.0, "left_foot": 0.0, "left_ankle": 1.0, "left_shoulder": 1.0}
    assert {name: seen[0, body_joint(name)] for name in expected} == expected  # the thumb and the heel are seen
    assert (seen[1] == 1).all()
    assert (evidence_of_joints(np.zeros((1, 33)))[0, body_joint("spine_2")]) == 1  # the trunk needs no help
