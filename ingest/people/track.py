"""Following people from picture to picture, through crossings and short occlusions.

Everybody is looked for where they are expected; a search of the picture finds those who are new or lost. People whose
torsos come nearer than 0.8 torso lengths hide each other: the one behind is not looked at (the landmark net would jump
to the one in front) and counts as not seen until they part. Who is who after that is decided by place, size and clothes.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..pose.body_pose import ANKLES, BodyPose, torso_distance
from ..pose.roi import Roi
from .appearance import torso_colours
from .detect import Detection, DetectMany, find_people, find_person
from .options import PeopleOptions
from .sightings import Chain, Sighting, Sightings
from .strand import Strand, is_somebody

Look = Callable[[NDArray[np.uint8], Roi, BodyPose | None], BodyPose]
"""Reads the person in a square of a picture, given the same person's last pose."""
RoiOf = Callable[[Detection], Roi]

_HIDING_TORSOS = 0.8
_SAME_TORSOS = 0.35  # nearer than this, two poses are of one person
_MAX_MATCH_COST = 1.2
_SEARCH_S, _LOST_SEARCH_S = 1 / 3, 0.1
_LOOK_ON_S = 0.5  # how long somebody unseen is looked for where they are expected
_MAX_HIDDEN_S = 1.0
_MAX_TILE_WAIT = 3  # searches; the wait for tiles grows to this while they find nobody new
_HELD_BYTES, _HELD_S = 128 << 20, 1.0  # pictures kept to follow somebody new back to where they came in


@dataclass(frozen=True, eq=False)
class Seen:
    """A sighting and the picture that it is in, which may be an earlier one when somebody new was followed back."""

    sighting: Sighting
    row: int  # of the sighting in `Tracker.sightings`
    image_bgr: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Held:
    """A picture of a moment ago, and who was seen in it, by strand."""

    frame: int
    image_bgr: NDArray[np.uint8]
    poses: dict[int, BodyPose]


class Tracker:
    """Follows everybody in a clip; call `step` with each picture in turn, then read `chains`."""

    def __init__(self, detect: DetectMany, roi_of: RoiOf, look: Look, fps: Fraction, options: PeopleOptions) -> None:
        self._detect, self._roi_of, self._look, self._options = detect, roi_of, look, options
        self._fps = float(fps)
        self.sightings = Sightings()
        self._begun = 0
        self._ended: list[int] = []  # those that were somebody
        self._alive: list[Strand] = []
        self._in_front: dict[tuple[int, int], bool] = {}
        self._searched = self._tiled = -math.inf
        self._tile_wait = 1
        self._held: deque[_Held] = deque()

    def chains(self) -> list[Chain]:
        """Return everybody who was seen for more than a moment, in order of their first sighting."""
        return self.sightings.chains({*self._ended, *(strand.id for strand in self._alive if strand.confirmed)})

    def step(self, image_bgr: NDArray[np.uint8], frame: int) -> list[Seen]:
        """Return who is seen in the picture number ``frame``, and before it for those who are new; each strand's in order of time.

        Pictures are kept for up to a second, and must not be written to.
        """
        self._end_the_long_lost(frame)
        hidden = self._hidden(frame)
        seen: dict[int, BodyPose] = {}
        for strand in self._alive:
            if strand.id not in hidden and self._worth_a_look(strand, frame, image_bgr):
                pose = self._look(image_bgr, strand.roi(frame), strand.last.pose)
                if strand.goes_on_with(pose, frame) and not _only_the_one_in_front(strand, pose, seen):
                    seen[strand.id] = pose
        self._one_each(image_bgr, frame, seen)
        if self._search_is_due(frame, seen, hidden):
            self._search(image_bgr, frame, seen)
        found = self._commit(image_bgr, frame, seen)
        self._hold(_Held(frame, image_bgr, seen))
        return found

    def _frames(self, seconds: float) -> int:
        return max(1, round(seconds * self._fps))

    def _end_the_long_lost(self, frame: int) -> None:
        """Let go of whoever can't come back, and of what was missed before it proved to be somebody."""
        patience = self._frames(self._options.relink_s)
        going_on = [strand for strand in self._alive if frame - strand.last_known <= (patience if strand.confirmed else 1)]
        self._ended += [strand.id for strand in self._alive if strand not in going_on and strand.confirmed]
        self._alive = going_on

    def _looked_for(self, strand: Strand, frame: int) -> bool:
        return frame - strand.last_known <= self._frames(_LOOK_ON_S)

    def _worth_a_look(self, strand: Strand, frame: int, image_bgr: NDArray[np.uint8]) -> bool:
        x, y = strand.centre_px(frame)
        height, width = image_bgr.shape[:2]
        margin = strand.last.pose.torso_px / 2
        return self._looked_for(strand, frame) and -margin < x < width + margin and -margin < y < height + margin

    def _hidden(self, frame: int) -> set[int]:
        """Return the strands that somebody in front of them hides now."""
        hidden: set[int] = set()
        likely = [strand for strand in self._alive if strand.confirmed and self._looked_for(strand, frame)]
        for one, other in itertools.combinations(likely, 2):
            pair = (one.id, other.id)
            torso = (one.last.pose.torso_px + other.last.pose.torso_px) / 2
            if np.linalg.norm(one.centre_px(frame) - other.centre_px(frame)) > _HIDING_TORSOS * torso:
                self._in_front.pop(pair, None)
                continue
            first = self._in_front.setdefault(pair, _nearness(one.last.pose) >= _nearness(other.last.pose))
            front, rear = (one, other) if first else (other, one)
            # Nobody is hidden by somebody who is not in sight, or came up just now.
            if front.steady(frame) and rear.hide(frame, self._frames(_MAX_HIDDEN_S)):
                hidden.add(rear.id)
        return hidden

    def _one_each(self, image_bgr: NDArray[np.uint8], frame: int, seen: dict[int, BodyPose]) -> None:
        """Where two strands read one person, leave it to the one whom it fits better."""
        by_id = {strand.id: strand for strand in self._alive}
        for one, other in itertools.combinations(sorted(seen), 2):
            if one in seen and other in seen and torso_distance(seen[one], seen[other]) < _SAME_TORSOS:
                poses = [(number, seen[number]) for number in (one, other)]
                costs = [by_id[number].cost(pose, torso_colours(image_bgr, pose), frame, self._fps) for number, pose in poses]
                costs = [cost + (0.0 if by_id[number].steady(frame) else 1.0) for cost, number in zip(costs, (one, other))]
                # The elder strand is kept where nothing tells them apart.
                del seen[other if costs[0] <= costs[1] + 0.05 else one]

    def _search_is_due(self, frame: int, seen: dict[int, BodyPose], hidden: set[int]) -> bool:
        lost = [strand for strand in self._alive if strand.confirmed and strand.id not in seen and strand.id not in hidden]
        if any(strand.last.frame == frame - 1 for strand in lost):
            return True
        wait_s = _LOST_SEARCH_S if lost or not self._alive else _SEARCH_S
        return frame - self._searched >= self._frames(wait_s)

    def _search(self, image_bgr: NDArray[np.uint8], frame: int, seen: dict[int, BodyPose]) -> None:
        """Search the picture, then the surroundings of everybody who is still lost."""
        tiles = self._options.small_people and frame - self._tiled >= self._frames(_SEARCH_S) * self._tile_wait
        begun = self._begun
        self._searched = frame
        for detection in find_people(image_bgr, self._detect, tiles):
            self._meet(image_bgr, frame, seen, detection)
        for strand in [strand for strand in self._alive if strand.confirmed and strand.id not in seen]:
            for detection in find_person(image_bgr, self._detect, strand.roi(frame), frame - strand.last.frame):
                self._meet(image_bgr, frame, seen, detection)
        if tiles:
            self._tiled = frame
            self._tile_wait = 1 if self._begun > begun else min(self._tile_wait + 1, _MAX_TILE_WAIT)

    def _meet(self, image_bgr: NDArray[np.uint8], frame: int, seen: dict[int, BodyPose], detection: Detection) -> None:
        """Take somebody who was found for one of the lost, or for somebody new."""
        if any(_is_of(detection, pose) for pose in seen.values()):
            return
        pose = self._look(image_bgr, self._roi_of(detection), None)
        if not is_somebody(pose) or any(torso_distance(pose, other) < _SAME_TORSOS for other in seen.values()):
            return
        colours = torso_colours(image_bgr, pose)
        lost = [strand for strand in self._alive if strand.id not in seen]
        costs = [strand.cost(pose, colours, frame, self._fps) for strand in lost]
        if costs and min(costs) < _MAX_MATCH_COST:
            seen[lost[int(np.argmin(costs))].id] = pose
            return
        # Nobody new comes out of the place where people hide each other: it is one of them, not yet told apart.
        if any(self._looked_for(strand, frame) and _near(strand.centre_px(frame), pose) for strand in lost):
            return
        self._alive.append(Strand(self._begun))
        seen[self._begun] = pose
        self._begun += 1

    def _commit(self, image_bgr: NDArray[np.uint8], frame: int, seen: dict[int, BodyPose]) -> list[Seen]:
        found = []
        for strand in self._alive:
            if strand.id in seen:
                pose = seen[strand.id]
                was_confirmed = strand.confirmed
                strand.add(Sighting(frame, strand.id, pose, torso_colours(image_bgr, pose)))
                if strand.confirmed and not was_confirmed:
                    found += self._followed_back(strand)
                found.append(self._kept(strand.last, image_bgr))
        return found

    def _kept(self, sighting: Sighting, image_bgr: NDArray[np.uint8]) -> Seen:
        return Seen(sighting, self.sightings.add(sighting), image_bgr)

    def _followed_back(self, strand: Strand) -> list[Seen]:
        """Look for somebody new in the pictures before the one in which they were found."""
        found: list[Seen] = []
        alive = {other.id for other in self._alive}
        for held in reversed(self._held):
            if held.frame >= strand.first_frame:
                continue
            back = strand.reversed()
            pose = self._look(held.image_bgr, back.roi(-held.frame), back.last.pose)
            if not is_somebody(pose) or not back.goes_on_with(pose, -held.frame):
                break
            if any(torso_distance(pose, other) < _HIDING_TORSOS for number, other in held.poses.items() if number in alive):
                break
            held.poses[strand.id] = pose
            strand.begin_earlier(Sighting(held.frame, strand.id, pose, torso_colours(held.image_bgr, pose)))
            found.insert(0, self._kept(strand.beginning[0], held.image_bgr))
        return found

    def _hold(self, held: _Held) -> None:
        self._held.append(held)
        while len(self._held) > min(self._frames(_HELD_S), max(1, _HELD_BYTES // held.image_bgr.nbytes)):
            self._held.popleft()


def _nearness(pose: BodyPose) -> float:
    """Return what grows as somebody comes nearer: how low the feet are where they are seen, and how large the torso is."""
    ankles = pose.points_px[list(ANKLES)]
    feet = float(ankles[:, 1].max()) if pose.visibility[list(ANKLES)].max() > 0.5 else float(pose.box_px[3])
    return feet + pose.torso_px


def _only_the_one_in_front(strand: Strand, pose: BodyPose, seen: dict[int, BodyPose]) -> bool:
    """Say whether what is read of somebody hidden is only the one in front, read again."""
    return strand.hidden_first is not None and any(torso_distance(pose, other) < _HIDING_TORSOS / 2 for other in seen.values())


def _near(centre_px: NDArray[np.float64], pose: BodyPose) -> bool:
    return float(np.linalg.norm(centre_px - pose.centre_px)) < 1.5 * pose.torso_px


def _is_of(detection: Detection, pose: BodyPose) -> bool:
    """Say whether a detection is of somebody who is already seen: hips at the same place, and of a like size."""
    hips = (pose.points_px[23] + pose.points_px[24]) / 2
    near = float(np.linalg.norm(detection.hips_px - hips)) < 0.5 * pose.torso_px
    return near and 0.5 < detection.radius_px / max(pose.roi.size_px / 2.5, 1e-6) < 2.0
