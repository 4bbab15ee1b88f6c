"""Encoded videos, read back by the reader for real clips and by PyAV itself."""

from fractions import Fraction

import av
import numpy as np
import pytest

from rigdrop.errors import RigdropError, WriteError
from rigdrop.ingest.video import open_clip
from rigdrop.render.encode import EncodeOptions, video_writer

COLOURS = ((200, 60, 30), (20, 180, 90), (40, 60, 220), (128, 128, 128))


def stripes(width=320, height=240):
    picture = np.zeros((height, width, 3), np.uint8)
    for index, colour in enumerate(COLOURS):
        picture[:, index * width // 4 : (index + 1) * width // 4] = colour
    return picture


def write(path, times_s, width=320, height=240, **options):
    with video_writer(path, width, height, Fraction(30), EncodeOptions(**options)) as video:
        for time_s in times_s:
            video.add(stripes(width, height), time_s)
    return path


def test_times_come_back_as_they_were_given(tmp_path):
    times = [0.0, 1 / 30, 0.1, 0.5, 0.5084, 2.0]
    frames = list(open_clip(write(tmp_path / "a.mp4", times)).frames())
    # A tick of the file's clock is 1/90000 s.
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=0.6 / 90_000)


def test_a_steady_rate_is_read_as_that_rate_and_the_file_is_as_long_as_its_pictures(tmp_path):
    clip = open_clip(write(tmp_path / "a.mp4", np.arange(45) / 30))
    assert clip.fps == 30 and clip.duration_s == pytest.approx(1.5, abs=1e-3)


@pytest.mark.parametrize("fps", [Fraction(120.00004577), Fraction(59.94), Fraction(123_000_000_000_001, 1_000_000_000_000)])
def test_a_rate_of_more_digits_than_a_file_has_room_for_is_one(tmp_path, fps):
    times = np.arange(12) / float(fps)
    with video_writer(tmp_path / "a.mp4", 320, 240, fps, EncodeOptions()) as video:
        for time_s in times.tolist():
            video.add(stripes(), time_s)
    frames = list(open_clip(tmp_path / "a.mp4").frames())
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=0.6 / 90_000)


def test_colours_come_back(tmp_path):
    frame = next(iter(open_clip(write(tmp_path / "a.mp4", [0.0], quality=16)).frames()))
    # 8-bit YUV in video range rounds each channel by up to two levels; the codec adds a little on flat colour.
    for index, colour in enumerate(COLOURS):
        np.testing.assert_allclose(frame.image_bgr[120, 40 + 80 * index], colour, atol=4)


def test_the_file_says_what_it_is_and_plays_while_it_loads(tmp_path):
    path = write(tmp_path / "a.mp4", [0.0, 0.1])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.codec_context.colorspace) == ("h264", "yuv420p", 6)
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


def test_an_odd_size_is_made_even_by_repeating_the_edge(tmp_path):
    clip = open_clip(write(tmp_path / "a.mp4", [0.0], width=161, height=121))
    assert (clip.width, clip.height) == (162, 122)
    image = next(iter(clip.frames())).image_bgr
    np.testing.assert_allclose(image[-1].astype(int), image[-2].astype(int), atol=4)


def test_two_pictures_of_one_time_are_both_kept(tmp_path):
    frames = list(open_clip(write(tmp_path / "a.mp4", [0.0, 0.2, 0.2, 0.1, 0.3])).frames())
    assert len(frames) == 5 and (np.diff([frame.time_s for frame in frames]) > 0).all()


def test_a_picture_of_another_size_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(RigdropError, match=r"expected \(240, 320, 3\)"), video_writer(tmp_path / "a.mp4", 320, 240, Fraction(30)) as video:
        video.add(stripes(), 0.0)
        video.add(stripes(100, 100), 0.1)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match=r"a\.mp4"):
        write(tmp_path / "file" / "a.mp4", [0.0])
