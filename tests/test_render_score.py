"""Scores: poses at their times, and ground covered as told."""

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.render.key_pose import Pose
from rigdrop.render.score import Path, Score, minimum_jerk

LOW = Pose(crouch_m=0.4, lean=0.5)


def test_key_poses_are_reached_at_their_times_and_left_gently():
    score = Score()
    score.to(LOW, 1.0)
    score.hold(0.5)
    score.to(Pose(), 1.0)
    times = np.array([0.0, 1.0, 1.25, 1.5, 2.5, 9.0])
    quats, amounts = score.sample(times)
    for row, pose in enumerate((Pose(), LOW, LOW, LOW, Pose(), Pose())):
        np.testing.assert_allclose(np.abs(np.sum(quats[row] * pose.body_quats(), axis=-1)), 1, atol=1e-12)
        np.testing.assert_allclose(amounts[row], pose.amounts(), atol=1e-12)
    speed = np.gradient(score.sample(np.linspace(0, 1, 101))[1][:, 1])
    assert abs(speed[0]) < 0.02 * abs(speed[50]) and abs(speed[-1]) < 0.02 * abs(speed[50])


def test_minimum_jerk_goes_from_rest_to_rest():
    share = np.linspace(0, 1, 1001)
    eased = minimum_jerk(share)
    speed, acceleration = np.gradient(eased, share), np.gradient(np.gradient(eased, share), share)
    assert (eased[0], eased[500], eased[-1]) == (0, pytest.approx(0.5), pytest.approx(1))
    assert (np.diff(eased) >= 0).all() and speed.max() == pytest.approx(1.875, rel=1e-3)
    assert max(abs(acceleration[2]), abs(acceleration[-3])) < 0.2


def test_a_drive_goes_as_far_and_turns_as_much_as_told():
    score = Score()
    score.drive(2.0, 0.0, 0.5, 5)
    score.drive(0.0, -1.2, 0.5, 4)
    path = Path.of(score, 0.3, score.now_s)
    start, end = path.at(0.0), path.at(score.now_s)
    assert np.hypot(*(end - start)[:2]) == pytest.approx(2.0, rel=0.01)
    np.testing.assert_allclose((end - start)[:2] / 2.0, [np.sin(0.3), np.cos(0.3)], atol=0.01)
    assert (end - start)[2] == pytest.approx(-1.2, rel=0.01)


def test_the_ground_that_is_covered_lies_about_the_origin():
    score = Score()
    score.drive(3.0, 1.0, 0.5, 6)
    until = score.now_s / 2
    covered = Path.of(score, 0.0, until).at(np.linspace(0, until, 200))[:, :2]
    np.testing.assert_allclose(covered.min(axis=0) + covered.max(axis=0), 0, atol=0.02)


def test_a_drive_waits_until_the_last_foot_is_down():
    score = Score()
    score.drive(1.0, 0.0, 0.5, 3)
    score.to(replace(Pose(), look=0.2), 0.05)
    score.drive(1.0, 0.0, 0.5, 3)
    assert score.drives[1].start_s - score.drives[0].end_s >= 0.3
