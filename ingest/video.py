"""Video files in: upright pictures with their true times, one after another, however long the clip is.

PyAV decodes; this module settles what files leave open. Pictures are turned and mirrored as the file's display matrix
says, and stretched to square pixels. Times are the source's own presentation times in seconds, repaired where the file
breaks its own rules (`video_clock`). A file that ends too early or has broken packets still gives what can be decoded, with a
sentence in `Clip.warnings`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .picture_memory import PictureMemory
from .video_clock import Clock
from .video_options import MAX_RATE, VideoOptions, known_rate

# What a file's name ends in where it is taken for a video without being asked for by name.
VIDEO_SUFFIXES = {
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts",
    ".webm", ".wmv", ".y4m",
}
_FALLBACK_RATE = Fraction(25)
# How much further back reading begins, at first, where seeking came too late.
_FURTHER_BACK_S = 4.0
# What PyAV raises for damaged data: half of FFmpeg's own errors are no kind of OSError or ValueError.
_DAMAGE = (av.FFmpegError, OSError, ValueError)
_MAX_DECODER_THREADS = 4
_FOCAL_KEYS = ("com.apple.quicktime.camera.focal_length.35mm_equivalent", "com.android.camera.focal_length.35mm_equivalent")
_FULL_FRAME_WIDTH_MM = 36.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One upright picture: its place in the clip, its presentation time, and its pixels."""

    index: int
    time_s: float
    image_bgr: NDArray[np.uint8]  # (H,W,3), C-contiguous


@dataclass(frozen=True, eq=False)
class Clip:
    """A video file that can be read, as often as needed; nothing of it stays in memory."""

    path: Path
    width: int  # of the upright picture with square pixels
    height: int
    fps: Fraction  # nominal; the true times come with the frames
    duration_s: float | None  # of the whole file, where the file says
    timecode: str | None  # of the file's first picture, HH:MM:SS:FF or HH:MM:SS;FF
    focal_px: float | None  # from the camera's own metadata
    options: VideoOptions
    frames_in_file: int | None = None  # what the file's header says
    warnings: list[str] = field(default_factory=list)  # about the last reading; complete once `frames` has ended

    @property
    def expected_frames(self) -> int | None:
        """About how many frames `frames` will give, for progress bars; nothing where the file does not say."""
        if self.duration_s is None:
            return self.frames_in_file
        end_s = min(self.duration_s, self.options.end_s or math.inf)
        return max(1, round((end_s - max(self.options.start_s, 0.0)) * self.fps))

    def frames(self) -> Iterator[Frame]:
        """Decode the clip from its start, one `Frame` at a time; times strictly increase.

        Without `VideoOptions.fps` these are the source's own pictures and times. With it, times are the exact grid
        t0 + k / fps that begins at the first picture kept, each with the picture nearest in time, up to the last one.
        Raises `ReadError` when no picture can be decoded or none lies between start and end.
        """
        self.warnings.clear()
        source = _cut(_decode(self), self.options)
        sampled = source if self.options.fps is None else _resample(source, self.fps)
        index = -1
        with closing(PictureMemory(self.height, self.width)) as memory:
            for index, (time_s, picture) in enumerate(sampled):
                yield Frame(index, time_s, picture.image_bgr(memory.picture()))
        if index < 0:
            end = "its end" if self.options.end_s is None else f"{self.options.end_s} s"
            found = f"found no picture that can be decoded from {self.options.start_s} s to {end}"
            raise ReadError(f"{self.path}: video: {found}; choose another start and end, or another file")


def open_clip(path: Path | str, options: VideoOptions | None = None) -> Clip:
    """Look at a video file: decode its first picture, and read its rate, time code and focal length.

    Raises `ReadError`, in one sentence, for what is not a readable video: no such file, a folder, no permission, an empty
    file, a file of another kind or cut off before its index, only sound.
    """
    path, options = Path(path), options or VideoOptions()
    _check_file(path)
    with _open_container(path) as container:
        stream = _video_stream(container, path)
        first = next(_pictures(container, stream, []), None)
        if first is None:
            raise ReadError(f"{path}: video: found no picture that can be decoded, expected at least one; record or export the file again")
        width, height = first.upright_size()
        return Clip(
            path=path, width=width, height=height, fps=options.rate or _nominal_rate(stream),
            duration_s=_duration_s(container, stream), timecode=_timecode(container), focal_px=_focal_px(container, width, height),
            options=options, frames_in_file=stream.frames or None,
        )


@dataclass(frozen=True, eq=False)
class _Picture:
    """A decoded frame before it is turned into pixels, which is only done for those that are kept."""

    frame: av.VideoFrame
    aspect: Fraction  # of one pixel, width ÷ height
    turn: tuple[bool, int]  # see `_turn`

    def _square_size(self) -> tuple[int, int]:
        # The short side of a pixel is stretched, so that no detail is lost.
        width, height = self.frame.width, self.frame.height
        if self.aspect >= 1:
            return round(width * self.aspect), height
        return width, round(height / self.aspect)

    def upright_size(self) -> tuple[int, int]:
        width, height = self._square_size()
        return (height, width) if self.turn[1] % 2 else (width, height)

    def image_bgr(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Write upright pixels into ``image`` (H,W,3) and return it; a stream that changes its size midway is scaled to the clip's."""
        width, height = self._square_size()
        plane: Any = self.frame.reformat(format="bgr24", width=width, height=height).planes[0]
        # Rows of a decoder's pictures are longer than what is seen of them.
        pixels = np.frombuffer(plane, dtype=np.uint8).reshape(height, plane.line_size)[:, :3 * width].reshape(height, width, 3)
        mirrored, turns = self.turn
        upright: NDArray[Any] = np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)
        if upright.shape != image.shape:
            upright = cv2.resize(np.ascontiguousarray(upright), image.shape[1::-1], interpolation=cv2.INTER_AREA)
        np.copyto(image, upright)
        return image


def _turn(frame: av.VideoFrame) -> tuple[bool, int]:
    """Return whether the display matrix mirrors a picture left to right, and then how many quarter turns it makes to the left.

    The matrix (ISO/IEC 14496-12, tkhd) maps row vectors (x, y), y down: x' = a·x + c·y, y' = b·x + d·y, in 16.16 fixed point.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False, 0
    a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].astype(float)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return mirrored, round(-math.atan2(b, a) / (math.pi / 2)) % 4


class _Turns:
    """Knows the turn of each picture from that of the one before, where both have the same rotation.

    PyAV's frame and its side data hold each other, so that a frame whose side data was looked at stays in memory, with
    all its pixels, until Python's collector comes by: later and later, the more a clip leaves behind.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._turn = False, 0

    def __call__(self, frame: av.VideoFrame) -> tuple[bool, int]:
        if frame.rotation != self._rotation:
            self._rotation, self._turn = frame.rotation, _turn(frame)
        return self._turn


def _decode(clip: Clip) -> Iterator[tuple[float, _Picture]]:
    """Yield every picture from at or before the start, with its repaired time.

    Where a file has no index (an MPEG transport stream) seeking lands by guess, and decoding begins at the key frame after
    that. If this comes too late, or seeking isn't possible, reading begins anew from further back, at last from the beginning.
    """
    start_s, back_s = clip.options.start_s, 0.0
    while True:
        with _open_container(clip.path) as container:
            stream = _video_stream(container, clip.path)
            sought = _seek(container, stream, start_s - back_s)
            pictures = _pictures(container, stream, clip.warnings)
            first = next(pictures, None)
            if first is None and not sought:
                return
            if first is not None and (not sought or (first.frame.time is not None and first.frame.time <= start_s)):
                yield from _timed(clip, chain([first], pictures), float(1 / _nominal_rate(stream)), whole=not sought)
                return
        clip.warnings.clear()
        back_s = 2 * back_s or _FURTHER_BACK_S


def _timed(clip: Clip, pictures: Iterator[_Picture], period_s: float, *, whole: bool) -> Iterator[tuple[float, _Picture]]:
    """Yield the pictures with their repaired times, and say at the end what was repaired and what is missing."""
    clock, count = Clock(period_s), 0
    for picture, following in pairwise(chain(pictures, [None])):
        assert picture is not None  # only the last is nothing
        count += 1
        yield clock.time_of(picture.frame.time, following.frame.time if following else None), picture
    if clock.repaired:
        found = f"{clock.repaired} pictures had no time stamp, or one out of order"
        clip.warnings.append(f"{clip.path}: {found}; their times were repaired")
    missing = _missing(clip, count if whole else None, clock.furthest_s + period_s)
    if missing:
        clip.warnings.append(f"{clip.path}: the file is cut off or damaged: found {missing}; the rest is missing")


def _missing(clip: Clip, count: int | None, end_s: float) -> str | None:
    """Say what was found where a file ends before its header says; ``count`` is nothing when reading began midway.

    ``end_s`` is where the last picture ends. A count alone proves nothing: headers also count what an edit list hides.
    """
    promised, duration_s = clip.frames_in_file, clip.duration_s
    if count is not None and promised:
        # Headers are off by a frame or two in files that are whole.
        late = duration_s is None or end_s < duration_s - max(0.1, 0.01 * duration_s)
        return f"{count} of {promised} pictures" if late and count < promised - max(2, promised // 100) else None
    if duration_s is None or end_s >= duration_s - max(1.0, 0.02 * duration_s):
        return None
    return f"pictures up to {end_s:.2f} of {duration_s:.2f} s"


def _seek(container: Any, stream: Any, start_s: float) -> bool:
    """Go to the key frame before the start where this is worth it, and return whether reading may now begin midway."""
    first_s = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
    if start_s <= first_s + 1 or stream.time_base is None:
        return False
    # A seek that fails leaves a file anywhere, also behind its end.
    with suppress(*_DAMAGE):
        container.seek(int(start_s / stream.time_base), stream=stream, backward=True)
    return True


def _pictures(container: Any, stream: Any, warnings: list[str]) -> Iterator[_Picture]:
    """Decode what can be decoded; a broken packet costs its own pictures and one warning."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    aspect = aspect if aspect > 0 else Fraction(1)
    broken, turn_of = 0, _Turns()
    for packet in _packets(container, stream, warnings):
        try:
            frames: Sequence[Any] = stream.decode(packet)
        except _DAMAGE:
            broken += 1
            continue
        yield from (_Picture(frame, aspect, turn_of(frame)) for frame in frames)
    if broken:
        warnings.append(f"{container.name}: {broken} broken parts could not be decoded and were left out")


def _packets(container: Any, stream: Any, warnings: list[str]) -> Iterator[Any]:
    """Read packets up to the end, or to where the file can't be read any further; then nothing, which empties the decoder."""
    try:
        yield from container.demux(stream)
    except IndexError:
        return  # PyAV stumbles over a stream that began midway, when it has read everything and emptied ours
    except _DAMAGE as error:
        warnings.append(f"{container.name}: can't be read to its end ({error})")
        yield None


def _cut(source: Iterator[tuple[float, _Picture]], options: VideoOptions) -> Iterator[tuple[float, _Picture]]:
    for time_s, picture in source:
        if options.end_s is not None and time_s >= options.end_s:
            return
        if time_s >= options.start_s:
            yield time_s, picture


def _resample(source: Iterator[tuple[float, _Picture]], fps: Fraction) -> Iterator[tuple[float, _Picture]]:
    """Yield the grid t0 + k / fps with the nearest picture; only two pictures are held at a time."""
    held: tuple[float, _Picture] | None = None
    first_s, step = 0.0, 0

    def grid_s() -> float:
        return first_s + float(step / fps)

    for time_s, picture in source:
        if held is None:
            first_s = time_s
        else:
            middle_s = (held[0] + time_s) / 2
            while grid_s() <= middle_s:
                yield grid_s(), held[1]
                step += 1
        held = (time_s, picture)
    while held is not None and grid_s() <= held[0] + 1e-9:
        yield grid_s(), held[1]
        step += 1


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ReadError(f"{path}: found a folder, expected a video file; name a file in it")
    if not path.exists():
        raise ReadError(f"{path}: found no such file; check the path")
    if not os.access(path, os.R_OK):
        raise ReadError(f"{path}: found no permission to read it; change its permissions")
    if path.stat().st_size == 0:
        raise ReadError(f"{path}: found an empty file (0 bytes), expected a video; copy or export it again")


def _open_container(path: Path) -> Any:
    try:
        return av.open(str(path), metadata_errors="replace")
    except PermissionError as error:
        raise ReadError(f"{path}: found no permission to read it; change its permissions") from error
    except _DAMAGE as error:
        reason = "found no video in it that can be read: it is cut off or of another kind"
        raise ReadError(f"{path}: {reason}; expected a whole video file such as .mp4 or .mov; export it again") from error


def _video_stream(container: Any, path: Path) -> Any:
    """Return the first stream of moving pictures, leaving out cover art, ready to decode on a few threads."""
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic or stream.codec_context is None:
            continue
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(_MAX_DECODER_THREADS, os.cpu_count() or 1)
        return stream
    found = "only sound" if container.streams.audio else "no moving pictures"
    raise ReadError(f"{path}: video: found {found}, expected a stream of pictures; choose a file with pictures")


def _nominal_rate(stream: Any) -> Fraction:
    """Return the exact nominal rate: the container's base rate where the average agrees with it, else the average."""
    average, base = stream.average_rate or stream.guessed_rate, stream.base_rate
    if not average or not 0 < average <= MAX_RATE:
        return known_rate(base) if base and 0 < base <= MAX_RATE else _FALLBACK_RATE
    # The average of a short clip is off by up to a frame; the base rate is exact for constant rates and nonsense for others.
    agrees = base is not None and abs(base / average - 1) < 1e-2
    return known_rate(base if agrees else average)


def _duration_s(container: Any, stream: Any) -> float | None:
    """Return where the video ends, on the source's own time line."""
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    if container.duration is not None:
        return float((container.duration + (container.start_time or 0)) / av.time_base)
    return None


def _timecode(container: Any) -> str | None:
    """Return the first time code that the file carries: on a tmcd track, on the video or on the file itself."""
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
        for key, value in metadata.items():
            if key.lower() == "timecode" and re.fullmatch(r"\d\d:\d\d:\d\d[:;.]\d\d+", value.strip()):
                return str(value).strip()
    return None


def _focal_px(container: Any, width: int, height: int) -> float | None:
    """Return the focal length that a phone wrote as its 35 mm equivalent: f_px = f_mm / 36 × the picture's long side."""
    for key in _FOCAL_KEYS:
        try:
            focal_mm = float(container.metadata.get(key, ""))
        except ValueError:
            continue
        if 5 < focal_mm < 1000:
            return focal_mm / _FULL_FRAME_WIDTH_MM * max(width, height)
    return None
