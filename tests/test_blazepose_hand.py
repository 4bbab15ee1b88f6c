from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.ingest.pose.blazepose.hand import HandPose, LastHand, _forearm_roi, _roi_of, _rough_roi, belongs, palm_px, same_hand
from rigdrop.ingest.pose.body_pose import WRISTS
from rigdrop.ingest.pose.roi import Roi

from .stick_world import StickPerson

# A flat hand, fingers up: 21 points about the wrist, in palms.
_HAND = np.array([(0, 0)] + [(x * (0.4 + 0.15 * joint), -0.2 - 0.2 * joint) for x in (-1.2,) for joint in range(4)]
                 + [(x, -y) for x, first in ((-0.3, 0.95), (0.0, 1.0), (0.25, 0.95), (0.5, 0.85)) for y in first + np.arange(4) * 0.22])


def body():
    return StickPerson(lambda _: (300.0, 200.0), 100, (0, 0, 0)).pose(0)


def hand_at(wrist_px, palm=20.0, score=0.9, rightness=0.0, angle=0.0):
    R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points_px = np.asarray(wrist_px) + palm * _HAND @ R.T
    return HandPose(score, rightness, points_px, np.zeros((21, 3)), _roi_of(points_px))


def test_a_palm_is_a_fifth_of_this_torso():
    # The stick person's torso is half a metre and 100 px; a palm is 10 cm.
    assert palm_px(body()) == pytest.approx(20)


def test_squares_begin_at_the_wrist_and_go_on_along_the_arm():
    pose = body()
    wrist = pose.points_px[WRISTS[0]]
    for roi in (_rough_roi(pose, 0), _forearm_roi(pose, 0)):
        beyond = np.array([roi.x_px, roi.y_px]) - wrist
        assert beyond[1] > 0 and abs(beyond[0]) < beyond[1]  # the arms hang down
        assert abs(abs(roi.angle_rad) - np.pi) < 0.4  # so that the hand's up is the picture's down
        assert (np.abs(roi.to_roi(wrist) - 0.5) < 0.5).all()


@pytest.mark.parametrize("angle", [0.0, 1.0, -2.0, 3.0])
def test_the_next_square_holds_the_hand_upright(angle):
    hand = hand_at((100, 100), angle=angle)
    inside = hand.roi.to_roi(hand.points_px)
    assert (inside > 0.05).all() and (inside < 0.95).all()
    assert inside[0, 1] > inside[9, 1] > inside[12, 1]
    assert abs(inside[9, 0] - inside[0, 0]) < 0.05


def test_a_followed_hand_is_looked_for_where_the_wrist_went():
    pose = body()
    wrist = pose.points_px[WRISTS[0]].copy()
    last = LastHand(hand_at(wrist), wrist - (7, -3))
    roi = last.roi_for(pose, 0)
    np.testing.assert_allclose([roi.x_px - last.hand.roi.x_px, roi.y_px - last.hand.roi.y_px], [7, -3])


def test_hands_that_hang_on_this_arm_belong():
    pose = body()
    left, right = (pose.points_px[point] for point in WRISTS)
    assert belongs(hand_at(left + 3), pose, 0)
    assert belongs(hand_at(right - 3, rightness=1.0), pose, 1)
    # Far from any other hand the wrist alone decides, whatever the hand looks like.
    assert belongs(hand_at(left, rightness=0.9), pose, 0)


@pytest.mark.parametrize(
    "hand",
    [hand_at((350, 250), score=0.3), hand_at((350, 250), palm=3), hand_at((350, 250), palm=80), hand_at((350, 280)), hand_at((250, 250))],
    ids=["not there", "a doll's", "a giant's", "beside the wrist", "the other hand"],
)
def test_other_things_do_not_belong(hand):
    assert not belongs(hand, body(), 0)


def test_hands_that_touch_are_told_apart_by_what_they_look_like():
    pose = body()
    middle = (pose.points_px[WRISTS[0]] + pose.points_px[WRISTS[1]]) / 2
    pose.points_px[list(WRISTS)] = middle + [(4, 0), (-4, 0)]
    for side, rightness in ((0, 0.05), (1, 0.95)):
        assert belongs(hand_at(middle, rightness=rightness), pose, side)
        assert not belongs(hand_at(middle, rightness=rightness), pose, 1 - side)


def test_two_readings_of_one_hand_are_known():
    one = hand_at((100, 100))
    assert same_hand(one, hand_at((103, 101)))
    assert not same_hand(one, hand_at((130, 100)))
    assert replace(one, rightness=0.2).sidedness(0) == pytest.approx(0.8)
    assert isinstance(one.roi, Roi)
