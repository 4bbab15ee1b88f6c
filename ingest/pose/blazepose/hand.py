"""The hand nets: 21 points of one hand, found from the body's arm and then followed.

A hand that was seen is looked for where it was, moved as the body's wrist moved. One that was not is looked for in turn in
two squares: the recrop net's, which starts from the body's wrist, index and little finger (MediaPipe's holistic graph), and
one that goes on from the forearm, which is better where hands touch each other or the face. Whatever is found must be seen
clearly, be of a size that fits the body, and hang on this arm rather than on the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body_pose import ELBOWS, HIPS, INDICES, PINKIES, SHOULDERS, WRISTS, BodyPose
from ..roi import Roi, crop, upright_square, wrap_rad
from .net import Net

_OUTPUTS = (0, 1, 2, 3)  # points, presence, handedness, points in metres
_MIN_PRESENCE, _MIN_FOLLOWED_PRESENCE = 0.5, 0.3
_WORTH_A_SECOND_LOOK = 0.15
_MIN_WRIST_VISIBILITY = 0.3
_FORWARD = 0.1  # squares are moved toward the fingertips by this share of their size
_PALM = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
_INDEX_KNUCKLE, _MIDDLE_KNUCKLE, _RING_KNUCKLE, _LITTLE_KNUCKLE = 5, 9, 13, 17
_ROUGH_GROWTH = 2.7
_FOREARM_SQUARE, _FOREARM_SHIFT = 2.0, 0.3  # in palms; found by trying 120 squares on pressed palms
_PALM_M = 0.1  # from the wrist to the middle knuckle, of an adult
_MAX_WRIST_GAP = 0.6  # from the body's wrist to the hand's, in palms
_NEAR_HANDS = 1.5  # wrists nearer than this many palms may be taken for each other: the hand's own side decides
_SIZE_RANGE = (0.25, 2.2)  # in palms


@dataclass(frozen=True, eq=False)
class HandPose:
    """What was seen of one hand in one picture."""

    score: float  # that there is a hand, 0…1
    rightness: float  # that it is the person's right hand, 0…1, whatever the body says
    points_px: NDArray[np.float64]  # (21,2)
    points_m: NDArray[np.float64]  # (21,3), from the wrist, x right, y down, z away from the camera
    roi: Roi  # the square to look at in the next picture

    def sidedness(self, side: int) -> float:
        """Return how much the hand itself looks like a left (0) or right (1) one, 0…1."""
        return self.rightness if side else 1.0 - self.rightness


@dataclass(frozen=True, eq=False)
class LastHand:
    """A hand one picture ago, and where the body's wrist was."""

    hand: HandPose
    wrist_px: NDArray[np.float64]  # (2,)

    def roi_for(self, body: BodyPose, side: int) -> Roi:
        """Return where the hand is now, if it moved with the body's wrist."""
        moved = body.points_px[WRISTS[side]] - self.wrist_px
        roi = self.hand.roi
        return Roi(roi.x_px + float(moved[0]), roi.y_px + float(moved[1]), roi.size_px, roi.angle_rad)


class HandNet:
    """Reads one hand; one `HandNet` serves one thread at a time."""

    def __init__(self, threads: int = 1) -> None:
        self._recrop = Net("hand_recrop", (0,), threads)
        self._landmarks = Net("hand_landmark_full", _OUTPUTS, threads)

    def __call__(self, image_bgr: NDArray[np.uint8], body: BodyPose, side: int, last: LastHand | None, turn: int) -> HandPose | None:
        """Return the body's left (0) or right (1) hand, or nothing where it is not seen.

        ``last`` is the same hand one picture ago. ``turn`` counts pictures: a hand that is not followed is looked for in
        every other one, by turns in each of the two squares.
        """
        if body.visibility[WRISTS[side]] < _MIN_WRIST_VISIBILITY or palm_px(body) < 3:
            return None
        if last is not None:
            followed = self._read(image_bgr, last.roi_for(body, side))
            if belongs(followed, body, side, _MIN_FOLLOWED_PRESENCE):
                return followed
        elif turn % 2:
            return None
        found = self._read(image_bgr, _forearm_roi(body, side) if turn // 2 % 2 else self._recrop_roi(image_bgr, body, side))
        if found.score > _WORTH_A_SECOND_LOOK:
            found = self._read(image_bgr, found.roi)
        return found if belongs(found, body, side) else None

    def _recrop_roi(self, image_bgr: NDArray[np.uint8], body: BodyPose, side: int) -> Roi:
        rough = _rough_roi(body, side)
        values = self._recrop.run(crop(image_bgr, rough, self._recrop.side))[0].reshape(2, 2)
        centre, edge = rough.to_picture(values.astype(np.float64) / self._recrop.side)
        # The recrop net marks the middle of the lower side, not of the upper.
        square = upright_square(centre, edge)
        return Roi(square.x_px, square.y_px, square.size_px, wrap_rad(square.angle_rad + math.pi)).scaled(1.0, _FORWARD)

    def _read(self, image_bgr: NDArray[np.uint8], roi: Roi) -> HandPose:
        picture = crop(image_bgr, roi, self._landmarks.side)
        flat, presence, handedness, flat_m = self._landmarks.run(picture)
        points_px = roi.to_picture(flat.astype(np.float64).reshape(21, 3)[:, :2] / self._landmarks.side)
        points_m = flat_m.astype(np.float64).reshape(21, 3)
        points_m -= points_m[0]
        points_m[:, :2] = points_m[:, :2] @ roi.R_picture_roi.T
        return HandPose(float(presence[0]), float(handedness[0]), points_px, points_m, _roi_of(points_px))


def _rough_roi(body: BodyPose, side: int) -> Roi:
    """Return a square about the hand from the body's own three points on it."""
    wrist, pinky, index = (body.points_px[pair[side]] for pair in (WRISTS, PINKIES, INDICES))
    middle = (2 * index + pinky) / 3
    # A hand that points at the camera looks short; half a palm at least is there.
    size = max(2 * float(np.linalg.norm(middle - wrist)), 0.5 * palm_px(body))
    return Roi(float(middle[0]), float(middle[1]), size, upright_square(wrist, middle).angle_rad).scaled(_ROUGH_GROWTH, _FORWARD)


def _forearm_roi(body: BodyPose, side: int) -> Roi:
    """Return a square of two palms that goes on from the forearm."""
    elbow, wrist = (body.points_px[pair[side]] for pair in (ELBOWS, WRISTS))
    angle_rad = upright_square(elbow, wrist).angle_rad
    return Roi(float(wrist[0]), float(wrist[1]), palm_px(body), angle_rad).scaled(_FOREARM_SQUARE, _FOREARM_SHIFT)


def _roi_of(points_px: NDArray[np.float64]) -> Roi:
    """Return the square about a hand, upright from its wrist to its knuckles, big enough for the next picture."""
    knuckles = (points_px[_INDEX_KNUCKLE] + points_px[_RING_KNUCKLE]) / 4 + points_px[_MIDDLE_KNUCKLE] / 2
    angle_rad = upright_square(points_px[0], knuckles).angle_rad
    palm = points_px[list(_PALM)]
    axes = Roi(0, 0, 1, angle_rad).R_picture_roi
    along = palm @ axes
    centre = axes @ ((along.min(axis=0) + along.max(axis=0)) / 2)
    extent = along.max(axis=0) - along.min(axis=0)
    return Roi(float(centre[0]), float(centre[1]), float(extent.max()), angle_rad).scaled(2.0, _FORWARD)


def palm_px(body: BodyPose) -> float:
    """Return how long this body's palm (wrist to middle knuckle) would look unforeshortened, in pixels."""
    shoulders, hips = body.points_m[list(SHOULDERS)].mean(axis=0), body.points_m[list(HIPS)].mean(axis=0)
    return _PALM_M * body.torso_px / max(float(np.linalg.norm(shoulders - hips)), 0.1)


def belongs(hand: HandPose, body: BodyPose, side: int, min_presence: float = _MIN_PRESENCE) -> bool:
    """Say whether a hand is seen, of a size that fits the body, and at the end of this arm rather than of the other."""
    palm = palm_px(body)
    size = _size_px(hand) / palm
    wrists = body.points_px[list(WRISTS)]
    own, other = np.linalg.norm(wrists - hand.points_px[0], axis=1)[[side, 1 - side]] / palm
    if hand.score < min_presence or not _SIZE_RANGE[0] < size < _SIZE_RANGE[1] or own > _MAX_WRIST_GAP * max(1.0, size):
        return False
    if np.linalg.norm(wrists[0] - wrists[1]) > _NEAR_HANDS * palm:
        return True
    return bool(hand.sidedness(side) > (0.3 if own < other else 0.7))


def same_hand(one: HandPose, other: HandPose) -> bool:
    """Say whether two readings are of one and the same hand in the picture."""
    apart = float(np.linalg.norm(one.points_px - other.points_px, axis=1).mean())
    return apart < 0.5 * max(_size_px(one), _size_px(other))


def _size_px(hand: HandPose) -> float:
    """Return the palm's length, or what its width says of it where it is foreshortened."""
    along = float(np.linalg.norm(hand.points_px[_MIDDLE_KNUCKLE] - hand.points_px[0]))
    across = float(np.linalg.norm(hand.points_px[_INDEX_KNUCKLE] - hand.points_px[_LITTLE_KNUCKLE]))
    return max(along, 1.3 * across)
