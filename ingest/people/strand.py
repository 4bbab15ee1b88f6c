"""Strands: somebody who is followed from picture to picture, and how well something new goes on from what was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..pose.body_pose import SHOULDERS, BodyPose
from ..pose.roi import Roi
from .appearance import colour_distance
from .sightings import Sighting

_MIN_SCORE, _MIN_NEW_SCORE, _SURE_SCORE = 0.5, 0.75, 0.9  # to go on, to be met, and to be sure
_MIN_VISIBLE_SHOULDERS = 0.5
_MIN_TORSO_PX = 6.0
_MAX_STEP_TORSOS = 1.0  # between two pictures, and a tenth more for each one missed
_MAX_GROWTH = 1.6
_CONFIRMED_AFTER = 3  # sure sightings, before the first miss; a coat on a chair is rarely taken for a person thrice
_BEGINNING = 10
_SLOWING = 0.9  # somebody unseen is thought to go this much slower with each picture
_SAME_CLOTHES = 0.3  # one person's clothes differ by so much from picture to picture


@dataclass(eq=False)
class Strand:
    """Somebody who is followed without doubt that it is the same person; strands are joined to people later.

    It knows its beginning, which may be followed back, and its end, which goes on; `Sightings` keeps the rest.
    """

    id: int
    beginning: list[Sighting] = field(default_factory=list)
    colours: NDArray[np.float32] | None = None
    velocity_px: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # of the torso, a picture
    hidden_first: int | None = None  # since when somebody in front hides this one
    hidden_last: int = -1  # when this one was last taken to be behind somebody
    _last: Sighting | None = None
    _unbroken_since: int = 0
    _sure: int = 0

    @property
    def last(self) -> Sighting:
        """The latest sighting."""
        assert self._last is not None, "a strand begins with a sighting"
        return self._last

    @property
    def first_frame(self) -> int:
        """The frame of the first sighting."""
        return self.beginning[0].frame

    @property
    def confirmed(self) -> bool:
        """Whether this is somebody, and not a coat on a chair."""
        return self._sure >= _CONFIRMED_AFTER

    def steady(self, frame: int) -> bool:
        """Say whether this one was seen in each of the last few pictures before ``frame``."""
        return self.last.frame == frame - 1 and self._unbroken_since <= frame - _CONFIRMED_AFTER

    @property
    def last_known(self) -> int:
        """The last frame in which it was known where this one is: in sight, or behind somebody."""
        return max(self.last.frame, self.hidden_last)

    def centre_px(self, frame: int) -> NDArray[np.float64]:
        """Return where the torso (2,) is expected in a picture."""
        steps = (1 - _SLOWING ** (frame - self.last.frame)) / (1 - _SLOWING)
        return self.last.pose.centre_px + self.velocity_px * steps

    def roi(self, frame: int) -> Roi:
        """Return the square to look at in a picture."""
        move = self.centre_px(frame) - self.last.pose.centre_px
        roi = self.last.pose.roi
        return Roi(roi.x_px + float(move[0]), roi.y_px + float(move[1]), roi.size_px, roi.angle_rad)

    def add(self, sighting: Sighting) -> None:
        """Go on with a new sighting."""
        if self._last is not None:
            step = (sighting.pose.centre_px - self.last.pose.centre_px) / (sighting.frame - self.last.frame)
            self.velocity_px = (self.velocity_px + step) / 2
        if self._last is None or self.last.frame < sighting.frame - 1:
            self._unbroken_since = sighting.frame
        self.colours = sighting.colours if self.colours is None else np.float32(0.9) * self.colours + np.float32(0.1) * sighting.colours
        self._last = sighting
        self.beginning = [*self.beginning, sighting][:_BEGINNING]
        self._sure += sighting.pose.score >= _SURE_SCORE
        self.hidden_first = None

    def begin_earlier(self, sighting: Sighting) -> None:
        """Put a sighting before the first one."""
        self.beginning = [sighting, *self.beginning][:_BEGINNING]

    def reversed(self) -> Strand:
        """Return the beginning of this strand as one that goes back in time: its frames are negative."""
        back = Strand(self.id)
        for sighting in self.beginning[::-1]:
            back.add(replace(sighting, frame=-sighting.frame))
        return back

    def hide(self, frame: int, most: int) -> bool:
        """Note that somebody in front hides this one in a picture; return whether this one may still be there.

        After ``most`` pictures it isn't known any more where this one is: away by now, maybe.
        """
        self.hidden_first = frame if self.hidden_first is None else self.hidden_first
        if frame - self.hidden_first >= most:
            return False
        self.hidden_last = frame
        return True

    def goes_on_with(self, pose: BodyPose, frame: int) -> bool:
        """Say whether a pose can be the same person's a moment later."""
        if pose.score < _MIN_SCORE or pose.torso_px < _MIN_TORSO_PX:
            return False
        unseen = frame - self.last.frame - 1
        torso = max(pose.torso_px, self.last.pose.torso_px)
        step = float(np.linalg.norm(pose.centre_px - self.centre_px(frame))) / torso
        growth = abs(math.log(pose.torso_px / self.last.pose.torso_px))
        return step < _MAX_STEP_TORSOS * (1 + 0.1 * unseen) and growth < math.log(_MAX_GROWTH) * (1 + 0.1 * unseen)

    def cost(self, pose: BodyPose, colours: NDArray[np.float32], frame: int, fps: float) -> float:
        """Return how ill a pose goes on from here: the way from where it is expected, growth, and other clothes."""
        torso = (pose.torso_px + self.last.pose.torso_px) / 2
        unseen_s = (frame - self.last.frame) / fps
        way = float(np.linalg.norm(pose.centre_px - self.centre_px(frame))) / (torso * (1 + 3 * unseen_s))
        return way + change_cost(self.last.pose.torso_px, pose.torso_px, self.colours, colours)


Colours = NDArray[np.float32] | None


def change_cost(torso_px: float, other_torso_px: float, colours: Colours, other_colours: Colours) -> float:
    """Return what another size and other clothes say against two bodies being one person's."""
    growth = abs(math.log(torso_px / other_torso_px))
    clothes = 0.0 if colours is None or other_colours is None else colour_distance(colours, other_colours)
    return 1.5 * growth + 1.5 * max(0.0, clothes - _SAME_CLOTHES)


def is_somebody(pose: BodyPose) -> bool:
    """Say whether a pose, read where somebody may be, is a person's."""
    shoulders = float(pose.visibility[list(SHOULDERS)].mean())
    return pose.score >= _MIN_NEW_SCORE and pose.torso_px >= _MIN_TORSO_PX and shoulders >= _MIN_VISIBLE_SHOULDERS
