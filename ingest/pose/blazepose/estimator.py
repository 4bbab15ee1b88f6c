"""The BlazePose estimator: finds people, follows them, and reads their bodies and hands, in one pass over a clip."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ....assets.manifest import ASSETS
from ...heap import give_back, one_heap
from ...people.detect import Detection
from ...people.options import PeopleOptions
from ...people.relink import people_of
from ...people.sightings import Chain, Sightings
from ...people.track import Seen, Tracker
from ...tracks import Observations, Progress, Track
from ...video import Clip, Frame
from ..ahead import ahead
from ..flips import unflip
from ..options import PoseOptions
from ..roi import Roi
from .body import BodyNet, alignment_roi
from .detection import Detector
from .hands import NO_MEMORY, HandsLog, HandsMemory, HandsNet, remember

_THREADS = 2


class BlazePose:
    """MediaPipe's body and hand nets on two CPU threads, for any number of people; the same clip gives the same tracks."""

    name = "blazepose"

    def __init__(self, pose: PoseOptions, people: PeopleOptions) -> None:
        self._pose, self._people = pose, people

    def estimate(self, clip: Clip, on_progress: Progress | None = None, scratch: Path | None = None) -> Observations:
        """See `Estimator.estimate`."""
        cv2.setNumThreads(_THREADS)
        one_heap()
        seen = self._read(clip, on_progress)
        give_back()
        tracks, swapped = [], {}
        for number, chain in enumerate(people_of(seen.chains, clip.fps, self._people), start=1):
            track, flipped = _track(number, chain, seen)
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
            times_s=seen.times_s, fps=clip.fps, width=clip.width, height=clip.height, tracks=tuple(tracks), focal_px=clip.focal_px,
            timecode=clip.timecode, details=details,
        )

    def _read(self, clip: Clip, on_progress: Progress | None) -> _Seen:
        """Look at every picture; nets and pictures are gone when this is over, before tracks are made."""
        times_s = array("d")
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="net") as threads:
            reader = _Reader(clip.fps, self._pose, self._people, threads)
            # Bodies are followed on one thread and hands on another, a picture behind: neither waits for the other's nets.
            for time_s, found in ahead(reader.follow(ahead(clip.frames())), depth=1):
                reader.read_hands(found)
                times_s.append(time_s)
                if on_progress is not None:
                    on_progress(len(times_s), clip.expected_frames)
        return _Seen(np.array(times_s), reader.tracker.sightings, reader.tracker.chains(), reader.hands)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was read of a whole clip."""

    times_s: NDArray[np.float64]  # (F,)
    sightings: Sightings
    chains: list[Chain]
    hands: HandsLog


class _Reader:
    """Everything that goes on from one picture to the next."""

    def __init__(self, fps: Fraction, pose: PoseOptions, people: PeopleOptions, threads: ThreadPoolExecutor) -> None:
        body = BodyNet(_body_size(pose), mirror=pose.quality != "draft", threads=threads)
        self.tracker = Tracker(Detector(threads), _roi_of, body, fps, people)
        self.hands = HandsLog()
        self._hands_net = None if pose.quality == "draft" else HandsNet(threads)
        self._memories: dict[int, tuple[int, HandsMemory]] = {}

    def follow(self, frames: Iterator[Frame]) -> Iterator[tuple[float, list[Seen]]]:
        """Yield each picture's time, seconds, and the people who were followed into it."""
        for frame in frames:
            yield frame.time_s, self.tracker.step(frame.image_bgr, frame.index)

    def read_hands(self, found: list[Seen]) -> None:
        """Read the hands of the people in one picture; call it picture by picture."""
        if self._hands_net is None:
            return
        before, self._memories = self._memories, {}
        for seen in found:
            sighting = seen.sighting
            # A hand is followed only from the picture just before; after a gap it is looked for anew.
            last_frame, last = before.get(sighting.strand, (-1, NO_MEMORY))
            hands = self._hands_net(seen.image_bgr, sighting.pose, last if last_frame == sighting.frame - 1 else NO_MEMORY, sighting.frame)
            before[sighting.strand] = self._memories[sighting.strand] = (sighting.frame, remember(hands, sighting.pose))
            self.hands.add(seen.row, hands)


def _assets(pose: PoseOptions) -> list[str]:
    """Return the names of the nets that a quality takes."""
    body = ["pose_detection", f"pose_landmark_{_body_size(pose)}"]
    return body if pose.quality == "draft" else [*body, "hand_recrop", "hand_landmark_full"]


def _body_size(pose: PoseOptions) -> str:
    return "heavy" if pose.quality == "high" else "full"


def _roi_of(detection: Detection) -> Roi:
    return alignment_roi(detection.hips_px, detection.circle_px)


def _track(number: int, chain: Chain, seen: _Seen) -> tuple[Track, NDArray[np.bool_]]:
    """Return one person's sightings as a track, with its sides set right, and the frames (L,) in which they were wrong."""
    first, length = chain.first_frame, chain.last_frame - chain.first_frame + 1
    at = chain.frame - first

    def spread(values: NDArray[np.float32], missing: float = np.nan) -> NDArray[np.float32]:
        laid = np.full((length, *values.shape[1:]), missing, dtype=np.float32)
        laid[at] = values
        return laid

    def read(name: str) -> NDArray[np.float32]:
        return seen.sightings.column(name, chain.row)

    def read_hands(name: str) -> NDArray[np.float32]:
        return seen.hands.column(name, chain.row)

    points_px = read("points_px")
    track = Track(
        id=number, first_frame=first, seen=spread(np.ones(len(chain), np.float32), 0.0).astype(bool),
        landmarks_px=spread(points_px), landmarks_m=spread(read("points_m")), visibility=spread(read("visibility"), 0.0),
        score=spread(chain.score, 0.0), box_px=spread(np.concatenate([points_px.min(axis=1), points_px.max(axis=1)], axis=1)),
        hands_px=spread(read_hands("points_px")), hands_m=spread(read_hands("points_m")), hand_score=spread(read_hands("score"), 0.0),
    )
    return unflip(track, seen.times_s[track.frames], spread(read_hands("sidedness")))
