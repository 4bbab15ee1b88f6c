from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest

from rigdrop.ingest.pose.blazepose.body import BodyNet, _agree, _Reading
from rigdrop.ingest.pose.body_pose import LIMBS, SWAPPED, WRISTS
from rigdrop.ingest.pose.roi import Roi
from rigdrop.ingest.video import VideoOptions, open_clip


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def net(threads):
    return BodyNet("full", mirror=True, threads=threads)


@pytest.fixture(scope="module")
def signer(shared):
    return next(open_clip(shared / "videos" / "intel_asl_book.mkv", VideoOptions(start_s=1.7)).frames()).image_bgr


HER = Roi(315, 427, 764, 0.0)


def test_left_and_right_are_the_persons_own(net, signer):
    pose = net(signer, HER)
    assert pose.score > 0.9
    # She faces the camera: her left shoulder, eye and ear are on the picture's right, and metres go the same way.
    for left, right in ((11, 12), (2, 5), (7, 8), (13, 14)):
        assert pose.points_px[left, 0] > pose.points_px[right, 0] + 5
        assert pose.points_m[left, 0] > pose.points_m[right, 0]
    # Her watch is on her left wrist, near (314, 248).
    assert np.linalg.norm(pose.points_px[WRISTS[0]] - (314, 248)) < 25


def test_metres_are_from_the_hips_and_of_human_size(net, signer):
    pose = net(signer, HER)
    np.testing.assert_allclose((pose.points_m[23] + pose.points_m[24]) / 2, 0, atol=0.03)
    shoulders = np.linalg.norm(pose.points_m[11] - pose.points_m[12])
    assert 0.25 < shoulders < 0.45
    assert pose.points_m[0, 1] < -0.45 and pose.points_m[0, 2] < 0  # the nose is above the hips, and nearer


def test_what_is_out_of_the_picture_is_not_visible(net, signer):
    pose = net(signer, HER)
    assert pose.visibility[list(WRISTS)].min() > 0.5 and pose.visibility[[27, 28]].max() < 0.3


@pytest.mark.parametrize("angle_deg", [90, 35, -120])
def test_a_turned_picture_gives_turned_landmarks(net, signer, angle_deg):
    straight = net(signer, HER)
    M = cv2.getRotationMatrix2D((320, 240), -angle_deg, 1.0)  # OpenCV turns to the left, y down
    turned = cv2.warpAffine(signer, M, (640, 480))
    x, y = M @ (HER.x_px, HER.y_px, 1)
    pose = net(turned, Roi(x, y, HER.size_px, np.deg2rad(angle_deg)))
    back = (np.column_stack([straight.points_px, np.ones(33)]) @ M.T)[:17]
    # The turn cuts off corners of the picture, and sampling is another: 1 % of the square.
    assert np.median(np.linalg.norm(pose.points_px[:17] - back, axis=1)) < 0.01 * HER.size_px
    R = M[:, :2]
    assert np.median(np.linalg.norm(pose.points_m[:17, :2] - straight.points_m[:17, :2] @ R.T, axis=1)) < 0.03


def test_the_mirror_image_is_the_same_person_mirrored(net, signer):
    pose = net(signer, HER)
    mirrored = net(np.ascontiguousarray(signer[:, ::-1]), Roi(640 - HER.x_px, HER.y_px, HER.size_px, 0.0))
    expected = pose.points_px[SWAPPED] * (-1, 1) + (640, 0)
    # Both readings are averages of the same two; what is left is the crop's rounding.
    assert np.abs(mirrored.points_px - expected).max() < 0.01 * HER.size_px
    np.testing.assert_allclose(mirrored.points_m, pose.points_m[SWAPPED] * (-1, 1, 1), atol=0.02)


def test_somebody_in_one_reading_is_near_the_averaged_one(threads, net, signer):
    once = BodyNet("full", mirror=False, threads=threads)(signer, HER)
    assert np.median(np.linalg.norm(once.points_px - net(signer, HER).points_px, axis=1)[:23]) < 0.01 * HER.size_px


def test_nobody_scores_nothing(net):
    assert net(np.full((480, 640, 3), 127, dtype=np.uint8), HER).score < 0.1


def reading(shift=0.0):
    rng = np.random.default_rng(5)
    points = rng.uniform(0.2, 0.8, (35, 2)) + shift
    return _Reading(0.9, points, rng.normal(size=(33, 3)), np.full(33, 0.8))


def test_readings_of_one_pose_are_averaged_and_trusted_less_where_they_part():
    one, other = reading(), reading()
    other.points[15] += (0.04, 0)
    mean = _agree(one, other, None)
    np.testing.assert_allclose(mean.points, (one.points + other.points) / 2)
    assert mean.visibility[15] == pytest.approx(0.4) and mean.visibility[14] == pytest.approx(0.8)


def test_readings_that_only_call_the_sides_otherwise_follow_the_last_pose():
    one = reading()
    turned = one.other_sides()
    for last in (one, turned):
        np.testing.assert_allclose(_agree(one, turned, last.points[:33]).points, last.points)
    assert _agree(one, turned, None).score == pytest.approx(0.9)


def test_readings_of_different_poses_are_not_averaged():
    one, other = reading(), replace(reading(), points=np.random.default_rng(6).uniform(0.2, 0.8, (35, 2)))
    chosen = _agree(one, other, other.points[:33])
    np.testing.assert_array_equal(chosen.points, other.points)
    assert chosen.score == pytest.approx(0.45)
    assert one.apart(other.points) > 0.06 and len(LIMBS) == 12
