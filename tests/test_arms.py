"""Forearms from a body's turns, against a chain walked joint by joint."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from rigdrop.ingest.motion_files.arms import forearms
from rigdrop.motion.smpl_joints import BODY

IDENTITY = [0.0, 0, 0, 1]


def test_arms_of_the_zero_pose_reach_out_to_the_sides():
    pelvis_m = np.array([[0.3, 1.0, 2.0]])
    turns, wrists = forearms(BODY, np.tile(IDENTITY, (1, 22, 1)), pelvis_m)
    np.testing.assert_allclose(turns[0], [IDENTITY, IDENTITY], atol=1e-15)
    left, right = wrists[0] - pelvis_m
    np.testing.assert_allclose(right, left * [-1, 1, 1], atol=1e-12)
    # An adult's arm span without hands is about 1.4 m, the shoulders lie 0.4 to 0.55 m above the pelvis.
    assert 1.2 < left[0] - right[0] < 1.6 and 0.35 < left[1] < 0.6


def test_elbows_turn_as_the_chain_above_them_does():
    rng = np.random.default_rng(4)
    rotvec = rng.normal(0, 0.8, (6, 22, 3))
    turns, wrists = forearms(BODY, Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_quat().reshape(6, 22, 4), rng.normal(0, 1, (6, 3)))
    for side, chain in enumerate(((0, 3, 6, 9, 13, 16, 18), (0, 3, 6, 9, 14, 17, 19))):  # SMPL's places of both arms
        expected = Rotation.identity(6)
        for joint in chain:
            expected = expected * Rotation.from_rotvec(rotvec[:, joint])
        assert (expected.inv() * Rotation.from_quat(turns[:, side])).magnitude().max() < 1e-12
    assert wrists.shape == (6, 2, 3)


def test_a_bent_elbow_moves_the_wrist_about_the_elbow():
    quat = np.tile(IDENTITY, (1, 22, 1))
    straight = forearms(BODY, quat, np.zeros((1, 3)))[1][0, 0]
    quat[0, 18] = Rotation.from_rotvec([0, -np.pi / 2, 0]).as_quat()  # left elbow: the forearm comes to the front
    bent = forearms(BODY, quat, np.zeros((1, 3)))[1][0, 0]
    forearm = 0.25
    np.testing.assert_allclose(bent - straight, [-forearm, 0, forearm], atol=0.001)
