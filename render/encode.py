"""Pictures with times in, an H.264 file out that every player and browser opens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, RigdropError, WriteError
from ..files import atomic_path

# Fine enough for any frame rate in use, and the unit in which containers of video have always counted.
_TICKS_PER_SECOND = 90_000
# What OpenCV's conversion makes, in H.264's own numbers (Rec. ITU-T H.264, annex E): BT.601 matrix, video range, BT.709
# primaries and curve. The file says so, and its colours are the same everywhere.
_BT601_MATRIX, _BT709, _VIDEO_RANGE = 6, 1, 1


@dataclass(frozen=True)
class EncodeOptions:
    """How well and how fast a video is encoded."""

    quality: int = 22
    """x264's constant rate factor: 0 is lossless, 18 looks like the source, higher is smaller."""
    speed: str = "veryfast"
    """x264's preset, from ultrafast to veryslow."""


@dataclass
class VideoWriter:
    """An open video file; `add` pictures in order of time."""

    container: av.container.OutputContainer
    stream: av.VideoStream
    width: int
    height: int
    frame_ticks: int
    last_tick: int = field(default=-1)

    def add(self, picture_bgr: NDArray[np.uint8], time_s: float) -> None:
        """Encode a picture (height, width, 3), shown from ``time_s`` seconds on until the next one."""
        if picture_bgr.shape != (self.height, self.width, 3):
            raise RigdropError(f"video: picture: found shape {picture_bgr.shape}, expected {(self.height, self.width, 3)}")
        planes = np.asarray(cv2.cvtColor(_even(picture_bgr), cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        # Two pictures can't be shown at one tick; only a source with broken times asks for it.
        self.last_tick = max(round(time_s * _TICKS_PER_SECOND), self.last_tick + 1)
        frame.pts, frame.time_base, frame.duration = self.last_tick, Fraction(1, _TICKS_PER_SECOND), self.frame_ticks
        self.container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self.container.mux(self.stream.encode(None))


@contextlib.contextmanager
def video_writer(path: Path, width: int, height: int, fps: Fraction, options: EncodeOptions = EncodeOptions()) -> Iterator[VideoWriter]:
    """Open an MP4 for pictures of ``width`` × ``height``; it appears under ``path`` whole when the block ends well.

    H.264 in yuv420p, playable while it still loads. Sizes are made even by repeating the last row or column.
    ``fps`` is nominal; each picture keeps its own time. Raises `WriteError` where the disk refuses and
    `MissingPartError` where PyAV was built without x264.
    """
    with atomic_path(Path(path)) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
                stream = _add_stream(container, width, height, fps, options)
                writer = VideoWriter(container, stream, width, height, round(_TICKS_PER_SECOND / fps))
                yield writer
                writer.finish()
        except av.FFmpegError as error:
            raise WriteError(f"{path}: can't be encoded ({error.strerror}); free space or choose another --out") from error


def _add_stream(container: av.container.OutputContainer, width: int, height: int, fps: Fraction, options: EncodeOptions) -> av.VideoStream:
    if "libx264" not in av.codecs_available:
        raise MissingPartError("av: found no libx264 in this build of PyAV; run: pip install --force-reinstall --only-binary av av")
    # The rate is for those who ask: each picture says its own time. FFmpeg has 32 bits for either part.
    rate = fps.limit_denominator(1_000_000)
    stream = container.add_stream("libx264", rate=rate, options={"crf": str(options.quality), "preset": options.speed})
    # With frames out of order the container would count the file's length by decoding times, and come out short.
    stream.codec_context.max_b_frames = 0
    stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _TICKS_PER_SECOND)
    context.colorspace, context.color_primaries, context.color_trc, context.color_range = _BT601_MATRIX, _BT709, _BT709, _VIDEO_RANGE
    return stream


def _even(picture_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture_bgr.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture_bgr
    return np.asarray(cv2.copyMakeBorder(picture_bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), dtype=np.uint8)
