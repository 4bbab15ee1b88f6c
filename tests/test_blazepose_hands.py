from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rigdrop.ingest.pose.blazepose.body import BodyNet
from rigdrop.ingest.pose.blazepose.hands import NO_MEMORY, HandsLog, HandsNet, _distinct, remember
from rigdrop.ingest.pose.body_pose import WRISTS
from rigdrop.ingest.pose.roi import Roi
from rigdrop.ingest.video import VideoOptions, open_clip

from .test_blazepose_hand import body, hand_at


def test_one_hand_is_never_both():
    pose = body()
    left, right = (pose.points_px[point] for point in WRISTS)
    far = _distinct(hand_at(left), hand_at(right, rightness=1.0), pose)
    assert all(far)
    kept = _distinct(hand_at(left), hand_at(left + 2, rightness=0.1), pose)
    assert kept[0] is not None and kept[1] is None
    kept = _distinct(hand_at(right, rightness=0.9), hand_at(right, rightness=0.9), pose)
    assert kept[0] is None and kept[1] is not None


def test_hands_come_back_by_the_body_that_they_belong_to():
    log, left, right = HandsLog(), hand_at(np.array([3.0, 4.0]), rightness=0.25), hand_at(np.array([5.0, 6.0]), rightness=0.75)
    log.add(7, (left, None))
    log.add(8, (None, None))
    log.add(4, (left, right))
    bodies = np.array([4, 7, 8])
    points_px = log.column("points_px", bodies)
    assert points_px.shape == (3, 2, 21, 2) and points_px.dtype == np.float32 and points_px.base is None
    np.testing.assert_array_equal(points_px[0], np.stack([left.points_px, right.points_px]).astype(np.float32))
    np.testing.assert_array_equal(np.isnan(points_px[:, :, 0, 0]), [[False, False], [False, True], [True, True]])
    np.testing.assert_allclose(log.column("score", bodies), [[left.score, right.score], [left.score, 0], [0, 0]])
    np.testing.assert_allclose(log.column("sidedness", bodies), [[0.75, 0.75], [0.75, np.nan], [np.nan, np.nan]])
    assert np.isnan(HandsLog().column("points_m", bodies)).all()


@pytest.fixture(scope="module")
def signed(shared):
    """Both hands of a woman who signs "walk", followed over a second: (body, hands) a picture."""
    found = []
    with ThreadPoolExecutor(2) as threads:
        body_net, hands_net = BodyNet("full", True, threads), HandsNet(threads)
        roi, pose, memory = Roi(315, 427, 764, 0.0), None, NO_MEMORY
        for frame in open_clip(shared / "videos" / "intel_asl_walk.mkv", VideoOptions(start_s=0.6, end_s=1.6)).frames():
            pose = body_net(frame.image_bgr, roi, pose)
            hands = hands_net(frame.image_bgr, pose, memory, frame.index)
            roi, memory = pose.roi, remember(hands, pose)
            found.append((pose, hands))
    return found


def test_both_hands_are_found_and_followed(signed):
    seen = np.array([[hand is not None for hand in hands] for _, hands in signed])
    # She begins with both hands down, and they blur as she swings them.
    assert (seen.mean(axis=0) > 0.5).all()


def test_each_hand_is_on_its_own_arm_and_looks_like_it(signed):
    for side in (0, 1):
        hands = [(pose, hands[side]) for pose, hands in signed if hands[side] is not None]
        gaps = [np.linalg.norm(hand.points_px[0] - pose.points_px[WRISTS[side]]) for pose, hand in hands]
        others = [np.linalg.norm(hand.points_px[0] - pose.points_px[WRISTS[1 - side]]) for pose, hand in hands]
        assert (np.array(gaps) < np.array(others)).all()
        assert np.mean([hand.sidedness(side) for _, hand in hands]) > 0.75


def test_hands_are_of_human_size_in_metres_and_begin_at_the_wrist(signed):
    for _, hands in signed:
        for hand in filter(None, hands):
            np.testing.assert_array_equal(hand.points_m[0], 0)
            assert 0.04 < np.linalg.norm(hand.points_m[9]) < 0.13
            assert hand.score >= 0.3
