"""The BlazePose estimator: finds people, follows them, and reads their bodies and hands, in one pass over a clip."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ....assets.manifest import ASSETS
from ...people.detect import Detection
from ...people.options import PeopleOptions
from ...people.relink import people_of
from ...people.strand import Sighting
from ...people.track import Tracker
from ...tracks import HAND_LANDMARK_COUNT, LANDMARK_COUNT, Observations, Progress, Track
from ...video import Clip, Frame
from ..ahead import ahead
from ..flips import unflip
from ..options import PoseOptions
from ..roi import Roi
from .body import BodyNet, alignment_roi
from .detection import Detector
from .hands import NO_MEMORY, Hands, HandsMemory, HandsNet, remember

_THREADS = 2


class BlazePose:
    """MediaPipe's body and hand nets on two CPU threads, for any number of people; the same clip gives the same tracks."""

    name = "blazepose"

    def __init__(self, pose: PoseOptions, people: PeopleOptions) -> None:
        self._pose, self._people = pose, people

    def estimate(self, clip: Clip, on_progress: Progress | None = None) -> Observations:
        """See `Estimator.estimate`."""
        cv2.setNumThreads(_THREADS)
        times_s: list[float] = []
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="net") as threads:
            reader = _Reader(clip.fps, self._pose, self._people, threads)
            for frame in ahead(clip.frames()):
                reader.read(frame)
                times_s.append(frame.time_s)
                if on_progress is not None:
                    on_progress(len(times_s), clip.expected_frames)
        return self._observations(clip, np.array(times_s), reader)

    def _observations(self, clip: Clip, times_s: NDArray[np.float64], reader: _Reader) -> Observations:
        people = people_of(reader.tracker.strands, clip.fps, self._people)
        tracks, swapped = [], {}
        for number, sightings in enumerate(people, start=1):
            track, sidedness = _track(number, sightings, reader.hands)
            track, flipped = unflip(track, times_s[track.frames], sidedness)
            tracks.append(track)
            swapped[number] = int(flipped.sum())
        details: dict[str, Any] = {
            "estimator": self.name, "quality": self._pose.quality, "runtime": f"ai-edge-litert {version('ai-edge-litert')}",
            "assets": {name: ASSETS[name].sha256 for name in _assets(self._pose)},
            "frames_with_sides_swapped_back": swapped, "warnings": list(clip.warnings),
        }
        if not tracks:
            details["warnings"].append(f"{clip.path}: found nobody in it; try --quality high, or a clip in which people are larger")
        return Observations(
            times_s=times_s, fps=clip.fps, width=clip.width, height=clip.height, tracks=tuple(tracks), focal_px=clip.focal_px,
            timecode=clip.timecode, details=details,
        )


class _Reader:
    """Everything that goes on from one picture to the next."""

    def __init__(self, fps: Fraction, pose: PoseOptions, people: PeopleOptions, threads: ThreadPoolExecutor) -> None:
        body = BodyNet(_body_size(pose), mirror=pose.quality != "draft", threads=threads)
        self.tracker = Tracker(Detector(threads), _roi_of, body, fps, people)
        self.hands: dict[tuple[int, int], Hands] = {}  # by strand and frame
        self._hands_net = None if pose.quality == "draft" else HandsNet(threads)
        self._memories: dict[int, tuple[int, HandsMemory]] = {}

    def read(self, frame: Frame) -> None:
        found = self.tracker.step(frame.image_bgr, frame.index)
        if self._hands_net is None:
            return
        before, self._memories = self._memories, {}
        for seen in found:
            sighting = seen.sighting
            # A hand is followed only from the picture just before; after a gap it is looked for anew.
            last_frame, last = before.get(sighting.strand, (-1, NO_MEMORY))
            hands = self._hands_net(seen.image_bgr, sighting.pose, last if last_frame == sighting.frame - 1 else NO_MEMORY, sighting.frame)
            before[sighting.strand] = self._memories[sighting.strand] = (sighting.frame, remember(hands, sighting.pose))
            if any(hands):
                self.hands[sighting.strand, sighting.frame] = hands


def _assets(pose: PoseOptions) -> list[str]:
    """Return the names of the nets that a quality takes."""
    body = ["pose_detection", f"pose_landmark_{_body_size(pose)}"]
    return body if pose.quality == "draft" else [*body, "hand_recrop", "hand_landmark_full"]


def _body_size(pose: PoseOptions) -> str:
    return "heavy" if pose.quality == "high" else "full"


def _roi_of(detection: Detection) -> Roi:
    return alignment_roi(detection.hips_px, detection.circle_px)


def _track(number: int, sightings: list[Sighting], hands: dict[tuple[int, int], Hands]) -> tuple[Track, NDArray[np.float64]]:
    """Return one person's sightings as arrays, and how much each hand (L,2) looks like its side."""
    first = sightings[0].frame
    length = sightings[-1].frame - first + 1
    rows = np.array([sighting.frame - first for sighting in sightings])

    def spread(values: list[Any], shape: tuple[int, ...], missing: float = np.nan) -> NDArray[np.float64]:
        array = np.full((length, *shape), missing)
        array[rows] = values
        return array

    seen = np.zeros(length, dtype=bool)
    seen[rows] = True
    found = [hands.get((sighting.strand, sighting.frame), (None, None)) for sighting in sightings]
    no_px, no_m = np.full((HAND_LANDMARK_COUNT, 2), np.nan), np.full((HAND_LANDMARK_COUNT, 3), np.nan)
    track = Track(
        id=number, first_frame=first, seen=seen,
        landmarks_px=spread([sighting.pose.points_px for sighting in sightings], (LANDMARK_COUNT, 2)),
        landmarks_m=spread([sighting.pose.points_m for sighting in sightings], (LANDMARK_COUNT, 3)),
        visibility=spread([sighting.pose.visibility for sighting in sightings], (LANDMARK_COUNT,), 0.0),
        score=spread([sighting.pose.score for sighting in sightings], (), 0.0),
        box_px=spread([sighting.pose.box_px for sighting in sightings], (4,)),
        hands_px=spread([[no_px if hand is None else hand.points_px for hand in pair] for pair in found], (2, HAND_LANDMARK_COUNT, 2)),
        hands_m=spread([[no_m if hand is None else hand.points_m for hand in pair] for pair in found], (2, HAND_LANDMARK_COUNT, 3)),
        hand_score=spread([[0.0 if hand is None else hand.score for hand in pair] for pair in found], (2,), 0.0),
    )
    sidedness = [[np.nan if hand is None else hand.sidedness(side) for side, hand in enumerate(pair)] for pair in found]
    return track, spread(sidedness, (2,))
