"""A world of stick people for tests of tracking: they walk by formula, hide each other, and wear plain colours.

`StickWorld.look` does what a landmark net does, faults included: it reads whoever is in front nearest to the middle of
the square, whether or not that is the one who was meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rigdrop.ingest.people.detect import Detection
from rigdrop.ingest.pose.body_pose import BodyPose
from rigdrop.ingest.pose.roi import Roi

# x and y of 33 landmarks of somebody who stands, in torso lengths from the middle of the torso; left is at +x.
_STANDING = np.zeros((33, 2))
_STANDING[:11] = (0.0, -1.0)
for _left, _x, _y in [(11, 0.35, -0.5), (13, 0.45, 0.0), (15, 0.5, 0.5), (17, 0.5, 0.6), (19, 0.5, 0.65), (21, 0.48, 0.6), (23, 0.2, 0.5),
                      (25, 0.2, 1.3), (27, 0.2, 2.1), (29, 0.2, 2.2), (31, 0.25, 2.25)]:
    _STANDING[_left], _STANDING[_left + 1] = (_x, _y), (-_x, _y)


@dataclass
class StickPerson:
    """Somebody: where the torso's middle is at a frame (nothing while away), how long the torso is, and what they wear."""

    centre: Callable[[int], tuple[float, float] | None]
    torso_px: float
    colour_bgr: tuple[int, int, int]

    def pose(self, frame: int, score: float = 0.99) -> BodyPose | None:
        place = self.centre(frame)
        if place is None:
            return None
        points_px = np.array(place) + self.torso_px * _STANDING
        points_m = np.column_stack([_STANDING * 0.5, np.zeros(33)])
        hips = (points_px[23] + points_px[24]) / 2
        roi = Roi(float(hips[0]), float(hips[1]), 5 * self.torso_px, 0.0)
        return BodyPose(score, points_px, points_m, np.ones(33), roi)


class StickWorld:
    """People in a picture; the nearer they are (the larger), the later they are painted."""

    def __init__(self, people, width=640, height=360):
        self.people, self.width, self.height = sorted(people, key=lambda person: person.torso_px), width, height
        self.looks = 0
        self.searched_pictures = 0

    def picture(self, frame):
        image = np.full((self.height, self.width, 3), 90, dtype=np.uint8)
        for person in self.people:
            pose = person.pose(frame)
            if pose is not None:
                low, high = pose.points_px[[11, 12, 23, 24]].min(axis=0), pose.points_px[[11, 12, 23, 24]].max(axis=0)
                x0, y0, x1, y1 = (int(max(0, value)) for value in (*low, *high))
                image[y0:y1, x0:x1] = person.colour_bgr
        # A picture knows its frame, as a real one does: old ones may be looked at again.
        image[0, 0] = frame
        return image

    def visible(self, image_bgr):
        """Those in a picture who are not hidden by somebody nearer, from front to back."""
        found = []
        for person in reversed(self.people):
            pose = person.pose(int(image_bgr[0, 0, 0]))
            if pose is None or not (0 <= pose.centre_px[0] < self.width and 0 <= pose.centre_px[1] < self.height):
                continue
            if all(np.linalg.norm(pose.centre_px - other.centre_px) > 0.6 * other.torso_px for other in found):
                found.append(pose)
        return found

    def detect(self, pictures):
        """Detections in whole pictures; tiles, which are copies without a place, show nothing."""
        self.searched_pictures += len(pictures)
        found = []
        for picture in pictures:
            whole = picture.shape[:2] == (self.height, self.width)
            poses = self.visible(picture) if whole else []
            found.append([Detection(0.9, np.array([pose.roi.x_px, pose.roi.y_px]),
                                    np.array([pose.roi.x_px, pose.roi.y_px - 2 * pose.torso_px]), np.zeros(4)) for pose in poses])
        return found

    def roi_of(self, detection):
        return Roi(float(detection.hips_px[0]), float(detection.hips_px[1]), 2.5 * detection.radius_px, 0.0)

    def look(self, image_bgr, roi, last):
        self.looks += 1
        poses = self.visible(image_bgr)
        gaps = [np.hypot(pose.roi.x_px - roi.x_px, pose.roi.y_px - roi.y_px) for pose in poses]
        if not poses or min(gaps) > roi.size_px / 3:
            nobody = StickPerson(lambda _: (roi.x_px, roi.y_px), roi.size_px / 5, (0, 0, 0)).pose(0, score=0.01)
            assert nobody is not None
            return nobody
        return poses[int(np.argmin(gaps))]
