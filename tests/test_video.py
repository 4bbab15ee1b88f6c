from __future__ import annotations

import gc
import struct
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest

from rigdrop.errors import ReadError, SettingsError
from rigdrop.ingest.video import Frame, open_clip
from rigdrop.ingest.video_options import VideoOptions, known_rate

from .privileges import without_privileges

BITS = 8
UPPER_LEFT, UPPER_RIGHT, LOWER_LEFT, LOWER_RIGHT = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)  # BGR


def numbered(number, width=64, height=48):
    """A picture that carries its number as eight black or white stripes."""
    stripes = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.array(stripes)[np.arange(width) * BITS // width]
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)), dtype=np.uint8)


def number_of(image_bgr):
    centres = [int((bit + 0.5) * image_bgr.shape[1] / BITS) for bit in range(BITS)]
    return sum((int(image_bgr[image_bgr.shape[0] // 2, column, 1]) > 127) << bit for bit, column in enumerate(centres))


def corners(width=64, height=48):
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for rows, columns, colour in [
        (slice(0, height // 2), slice(0, width // 2), UPPER_LEFT), (slice(0, height // 2), slice(width // 2, None), UPPER_RIGHT),
        (slice(height // 2, None), slice(0, width // 2), LOWER_LEFT), (slice(height // 2, None), slice(width // 2, None), LOWER_RIGHT),
    ]:
        image[rows, columns] = colour
    return image


def corner_colours(image_bgr):
    """The colours of the four quarters, rounded to full or none: upper left, upper right, lower left, lower right."""
    height, width = image_bgr.shape[:2]
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4), (3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return [tuple(int(value) for value in (image_bgr[place] > 127) * 255) for place in places]


def write_clip(path, images, *, rate=30, codec="ffv1", pixels="bgr0", times_ms=None, options=None, container_options=None, setup=None):
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if setup:
            setup(container, stream)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            if times_ms is not None:
                frame.time_base, frame.pts = Fraction(1, 1000), times_ms[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbers(clip):
    return [number_of(frame.image_bgr) for frame in clip.frames()]


def times(clip):
    return [frame.time_s for frame in clip.frames()]


@pytest.fixture
def clip_path(tmp_path):
    return write_clip(tmp_path / "clip.mkv", [numbered(k) for k in range(30)])


def test_every_picture_comes_once_in_order_with_its_time(clip_path):
    clip = open_clip(clip_path)
    frames = list(clip.frames())
    assert [number_of(frame.image_bgr) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    # Matroska keeps whole milliseconds.
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(30) / 30, atol=6e-4)
    assert (clip.width, clip.height, clip.fps, clip.expected_frames) == (64, 48, 30, 30)
    assert isinstance(frames[0], Frame) and frames[0].image_bgr.flags.c_contiguous
    assert clip.warnings == []


def test_a_clip_can_be_read_again(clip_path):
    clip = open_clip(clip_path)
    assert numbers(clip) == numbers(clip)


@pytest.mark.parametrize("rate", [*(Fraction(nominal * 1000, 1001) for nominal in (24, 30, 60)), Fraction(25), Fraction(50), Fraction(10)])
def test_the_nominal_rate_is_exact(tmp_path, rate):
    path = write_clip(tmp_path / "clip.mp4", [numbered(k) for k in range(7)], rate=rate, codec="libx264", pixels="yuv420p")
    clip = open_clip(path)
    assert clip.fps == rate
    np.testing.assert_allclose(times(clip), [float(k / rate) for k in range(7)], atol=1e-6)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (59.94, Fraction(60000, 1001)), (29.97, Fraction(30000, 1001)), (23.976, Fraction(24000, 1001)), (12.5, Fraction(25, 2)),
        (30.0, 30), (24.0, 24),
    ],
)
def test_a_rate_in_decimals_is_the_rate_that_it_stands_for(said, meant):
    assert known_rate(said) == meant


def test_variable_rates_keep_their_true_times(tmp_path):
    times_ms = [0, 33, 66, 200, 210, 500, 1500, 1533]
    path = write_clip(tmp_path / "clip.mkv", [numbered(k) for k in range(8)], times_ms=times_ms)
    clip = open_clip(path)
    np.testing.assert_allclose(times(clip), np.array(times_ms) / 1000, atol=1e-9)
    assert numbers(clip) == list(range(8))


# The display matrix of the file's tkhd box, as a, b, c, d; what a viewer must then show in the four quarters. From
# ISO/IEC 14496-12: (x', y') = (a·x + c·y, b·x + d·y), y down, so that (0, 1, -1, 0) turns the picture clockwise, as phones write it.
TURNS = [
    ((1, 0, 0, 1), [UPPER_LEFT, UPPER_RIGHT, LOWER_LEFT, LOWER_RIGHT]),
    ((0, 1, -1, 0), [LOWER_LEFT, UPPER_LEFT, LOWER_RIGHT, UPPER_RIGHT]),
    ((-1, 0, 0, -1), [LOWER_RIGHT, LOWER_LEFT, UPPER_RIGHT, UPPER_LEFT]),
    ((0, -1, 1, 0), [UPPER_RIGHT, LOWER_RIGHT, UPPER_LEFT, LOWER_LEFT]),
    ((-1, 0, 0, 1), [UPPER_RIGHT, UPPER_LEFT, LOWER_RIGHT, LOWER_LEFT]),
    ((1, 0, 0, -1), [LOWER_LEFT, LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT]),
    ((0, 1, 1, 0), [UPPER_LEFT, LOWER_LEFT, UPPER_RIGHT, LOWER_RIGHT]),
    ((0, -1, -1, 0), [LOWER_RIGHT, UPPER_RIGHT, LOWER_LEFT, UPPER_LEFT]),
]


@pytest.mark.parametrize(("matrix", "expected"), TURNS)
def test_pictures_stand_upright_as_the_display_matrix_says(tmp_path, matrix, expected):
    path = write_clip(tmp_path / "clip.mp4", [corners()] * 2, codec="libx264", pixels="yuv420p")
    data = bytearray(path.read_bytes())
    # Version 0 of tkhd: the matrix is 40 bytes behind the version field; 16.16 fixed point, 2.30 in the last column.
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    data[place : place + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    clip = open_clip(path)
    image = next(clip.frames()).image_bgr
    assert corner_colours(image) == expected
    assert image.shape == (clip.height, clip.width, 3) == ((64, 48, 3) if a == 0 else (48, 64, 3))


@pytest.mark.parametrize(("pixels", "width", "height"), [("bgr0", 101, 67), ("yuv420p10le", 64, 48), ("yuv444p", 33, 17)])
def test_odd_sizes_and_ten_bits(tmp_path, pixels, width, height):
    path = write_clip(tmp_path / "clip.mkv", [numbered(k, width, height) for k in (5, 170)], pixels=pixels)
    clip = open_clip(path)
    assert (clip.width, clip.height) == (width, height)
    assert numbers(clip) == [5, 170]


def test_oblong_pixels_become_square(tmp_path):
    def anamorphic(_, stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = write_clip(tmp_path / "clip.mp4", [numbered(9, 96, 64)], codec="libx264", pixels="yuv420p", setup=anamorphic)
    clip = open_clip(path)
    assert (clip.width, clip.height) == (128, 64)
    assert next(clip.frames()).image_bgr.shape == (64, 128, 3)
    assert numbers(clip) == [9]


def test_one_picture_is_a_clip(tmp_path):
    clip = open_clip(write_clip(tmp_path / "one.mp4", [numbered(77)], codec="libx264", pixels="yuv420p"))
    assert numbers(clip) == [77]
    assert clip.expected_frames == 1


def test_reading_holds_a_few_pictures_however_long_the_clip(tmp_path):
    clip = open_clip(write_clip(tmp_path / "long.mkv", [numbered(k % 256) for k in range(400)]))
    alive = weakref.WeakSet()
    most = 0
    for frame in clip.frames():
        alive.add(frame)
        most = max(most, len(alive))
    gc.collect()
    assert frame.index == 399
    assert most <= 2  # the one in hand, and the one before until it is replaced


@pytest.mark.slow
def test_decoded_pictures_do_not_wait_for_the_garbage_collector(tmp_path):
    # In a long conversion it comes by too rarely: a hundred decoded pictures of 720p are 140 MB.
    clip = open_clip(write_clip(tmp_path / "long.mp4", [numbered(k) for k in range(60)], codec="libx264", pixels="yuv420p"))
    gc.collect()
    gc.disable()
    try:
        most = max(sum(type(thing) is av.VideoFrame for thing in gc.get_objects()) for _ in clip.frames())
    finally:
        gc.enable()
    assert most <= 12  # those that the decoder hands out together at the end


def test_start_and_end_cut_in_the_sources_own_time(clip_path):
    clip = open_clip(clip_path, VideoOptions(start_s=0.3, end_s=0.6))
    assert numbers(clip) == list(range(9, 18))
    assert clip.expected_frames == 9
    np.testing.assert_allclose(times(clip), np.arange(9, 18) / 30, atol=6e-4)


def test_a_late_start_is_sought_and_exact(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [numbered(k) for k in range(150)], codec="libx264", pixels="yuv420p", options={"g": "12"})
    assert numbers(open_clip(path, VideoOptions(start_s=4.0, end_s=4.2))) == list(range(120, 126))


@pytest.mark.parametrize(("fps", "expected"), [(10.0, [0, 3, 6, 9]), (15.0, [0, 2, 4, 6, 8, 10]), (60.0, [0, 0, 1, 1, 2, 2, 3])])
def test_resampling_takes_the_nearest_picture_at_exact_times(tmp_path, fps, expected):
    count = expected[-1] + 1
    path = write_clip(tmp_path / "clip.mp4", [numbered(k) for k in range(count)], codec="libx264", pixels="yuv420p")
    clip = open_clip(path, VideoOptions(fps=fps))
    assert times(clip) == pytest.approx([k / fps for k in range(len(expected))], abs=1e-12)
    found = numbers(clip)
    # Halfway between two pictures either is nearest.
    assert np.abs(np.array(found) - np.array(expected)).max() <= (1 if fps == 60 else 0)
    assert clip.fps == fps


def test_resampling_a_gap_repeats_the_picture_that_was_shown(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", [numbered(k) for k in range(3)], times_ms=[0, 100, 500])
    clip = open_clip(path, VideoOptions(fps=10))
    assert numbers(clip) == [0, 1, 1, 1, 2, 2]
    assert times(clip) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_cut_with_nothing_in_it_is_an_error(clip_path):
    with pytest.raises(ReadError, match=r"no picture .* from 20 s"):
        list(open_clip(clip_path, VideoOptions(start_s=20)).frames())


@pytest.mark.parametrize("wrong", [{"start_s": 2, "end_s": 1}, {"fps": 0}, {"fps": -5}, {"start_s": float("nan")}, {"fps": 1e9}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError):
        VideoOptions(**wrong)


def test_a_time_code_is_found(tmp_path):
    path = write_clip(
        tmp_path / "clip.mov", [numbered(0)] * 3, rate=25, codec="libx264", pixels="yuv420p",
        setup=lambda container, stream: stream.metadata.update({"timecode": "10:20:30:04"}),
    )
    assert open_clip(path).timecode == "10:20:30:04"


def test_a_phones_focal_length_becomes_pixels(tmp_path):
    def phone(container, _):
        container.metadata["com.apple.quicktime.camera.focal_length.35mm_equivalent"] = "26"

    path = write_clip(
        tmp_path / "clip.mov", [numbered(0, 192, 108)] * 3, codec="libx264", pixels="yuv420p", setup=phone,
        container_options={"movflags": "use_metadata_tags"},
    )
    # 26 mm before a picture 36 mm wide.
    assert open_clip(path).focal_px == pytest.approx(26 / 36 * 192)


def test_names_in_other_scripts(tmp_path):
    folder = tmp_path / "撮影 素材"
    folder.mkdir()
    assert numbers(open_clip(write_clip(folder / "歩く人 №1.mkv", [numbered(3)]))) == [3]


def test_sound_beside_the_pictures_does_no_harm(tmp_path):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        pictures = container.add_stream("ffv1", rate=30)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "bgr0"
        for k in range(5):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1600), dtype=np.int16), format="s16", layout="mono")
            samples.sample_rate, samples.pts = 48000, 1600 * k
            container.mux(sound.encode(samples))
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(numbered(k), format="bgr24")))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    assert numbers(open_clip(path)) == list(range(5))


def test_sound_alone_is_an_error(tmp_path):
    path = tmp_path / "voice.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    with pytest.raises(ReadError, match="only sound"):
        open_clip(path)


def _empty(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("not a video at all\n" * 50)


def _headless(path):
    write_clip(path, [numbered(k) for k in range(30)], codec="libx264", pixels="yuv420p")
    # An mp4 keeps its index at the end: a copy that stopped early has none.
    path.write_bytes(path.read_bytes()[:-600])


def _no_permission(path):
    path.write_bytes(b"x")
    path.chmod(0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_empty, "empty file"), (_text, "cut off or of another kind"), (_headless, "cut off or of another kind"),
        (lambda path: path.mkdir(), "a folder"), (lambda path: None, "no such file"), (_no_permission, "no permission"),
    ],
)
def test_what_is_no_video_is_an_error_in_one_sentence(tmp_path, make, said):
    path = tmp_path / "clip.mp4"
    make(path)
    with without_privileges(path), pytest.raises(ReadError, match=said) as caught:
        open_clip(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "options"), [("clip.mkv", {}), ("clip.mp4", {"movflags": "+faststart"})])
def test_a_file_cut_off_midway_gives_what_it_has_and_a_warning(tmp_path, name, options):
    rng = np.random.default_rng(0)
    images = [np.concatenate([numbered(k), rng.integers(0, 255, (16, 64, 3), dtype=np.uint8)]) for k in range(90)]
    path = write_clip(tmp_path / name, images, codec="libx264", pixels="yuv420p", container_options=options, options={"g": "5"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    clip = open_clip(path)
    found = [number_of(frame.image_bgr[:48]) for frame in clip.frames()]
    assert 30 < len(found) < 70
    assert found[:30] == list(range(30))
    assert any("cut off" in warning for warning in clip.warnings)


def test_broken_packets_cost_only_their_own_pictures(tmp_path):
    path = write_clip(tmp_path / "clip.ts", [numbered(k) for k in range(60)], codec="libx264", pixels="yuv420p", options={"g": "6"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188] = bytes(188)
    path.write_bytes(data)
    clip = open_clip(path)
    found = numbers(clip)
    assert found[:12] == list(range(12)) and found[-6:] == list(range(54, 60))


# A field of an mp4's index, bytes behind the name of its box, and what FFmpeg makes of it; none of these is an OSError or a ValueError.
INDEX_FIELDS = [("mdhd", 4), ("stts", 8), ("stsd", 12), ("stsz", 8)]  # version, counts of entries


@pytest.mark.parametrize(("box", "place"), INDEX_FIELDS)
def test_a_damaged_index_is_an_error_of_the_file(tmp_path, box, place):
    path = write_clip(tmp_path / "clip.mp4", [numbered(k) for k in range(5)], codec="libx264", pixels="yuv420p")
    data = bytearray(path.read_bytes())
    place += data.index(box.encode())
    data[place : place + 4] = struct.pack(">I", 0x20000000)
    path.write_bytes(data)
    with pytest.raises(ReadError, match="found no"):
        open_clip(path)


def test_a_picture_of_an_unknown_kind_costs_only_itself(tmp_path):
    path = write_clip(tmp_path / "clip.avi", [numbered(k) for k in range(10)], codec="mjpeg", pixels="yuvj420p")
    data = bytearray(path.read_bytes())
    header = -1
    for _ in range(5):
        header = data.index(b"\xff\xc0\x00\x11", header + 1)
    # The sampling factors of the first colour (ITU-T T.81, B.2.2), which FFmpeg has not implemented in all combinations.
    data[header + 11] = 0x34
    path.write_bytes(data)
    clip = open_clip(path)
    assert numbers(clip) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert any("1 broken part" in warning for warning in clip.warnings)


def test_streams_that_begin_midway_do_no_harm(tmp_path):
    # FFmpeg looks at the first seven seconds of a transport stream, and at its last 250 kB, to find out what is in it.
    first = write_clip(tmp_path / "first.ts", [numbered(k % 256) for k in range(300)], codec="libx264", pixels="yuv420p")
    later = tmp_path / "later.ts"
    with av.open(str(later), "w", options={"mpegts_start_pid": "400"}) as container:
        sounds = [container.add_stream("mp2", rate=48000, layout="mono") for _ in range(8)]
        for sound in sounds:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1152), dtype=np.int16), format="s16", layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            container.mux(sound.encode(samples))
        for sound in sounds:
            container.mux(sound.encode(None))
    path = tmp_path / "joined.ts"
    empty_packets = (b"\x47\x1f\xff\x10" + bytes(184)) * 2000
    path.write_bytes(first.read_bytes() + later.read_bytes() + empty_packets + first.read_bytes())
    clip = open_clip(path)
    assert numbers(clip) == [k % 256 for k in range(300)] * 2
    assert not any("can't be read" in warning or "broken" in warning for warning in clip.warnings)


def _with_one_bad_stamp(path, number):
    """Turn bit 31 of the 33 of one picture's presentation time, in units of 1/90000 s, in a transport stream."""
    data = bytearray(path.read_bytes())
    starts = [packet + 4 + (1 + data[packet + 4] if data[packet + 3] & 0x20 else 0) for packet in range(0, len(data), 188)
              if data[packet + 1] & 0x40]
    headers = [start for start in starts if data[start : start + 3] == b"\0\0\1" and data[start + 3] & 0xF0 == 0xE0]
    data[headers[number] + 9] ^= 0x04
    path.write_bytes(data)


def test_one_bad_stamp_neither_shifts_the_rest_nor_fills_hours(tmp_path):
    path = write_clip(tmp_path / "clip.ts", [numbered(k) for k in range(60)], codec="libx264", pixels="yuv420p", options={"bf": "0"})
    true_s = times(open_clip(path))
    _with_one_bad_stamp(path, 25)
    clip = open_clip(path)
    # Stamps are whole ticks of 1/90000 s.
    np.testing.assert_allclose(times(clip), true_s, atol=1 / 90000)
    assert any("1 pictures had no time stamp, or one out of order" in warning for warning in clip.warnings)
    assert numbers(open_clip(path, VideoOptions(fps=30))) == list(range(60))


def test_a_start_is_exact_where_key_frames_are_far_apart_and_there_is_no_index(tmp_path):
    far_apart = {"g": "200", "bf": "0", "x264-params": "scenecut=0"}
    path = write_clip(tmp_path / "clip.ts", [numbered(k % 256) for k in range(600)], codec="libx264", pixels="yuv420p", options=far_apart)
    whole = [(frame.time_s, number_of(frame.image_bgr)) for frame in open_clip(path).frames()]
    for start_s in (3.0, 9.0, 13.0, 18.5):
        clip = open_clip(path, VideoOptions(start_s=start_s))
        found = [(frame.time_s, number_of(frame.image_bgr)) for frame in clip.frames()]
        assert found == [(time_s, number) for time_s, number in whole if time_s >= start_s]


def test_a_start_in_a_file_that_can_not_be_sought(tmp_path):
    images = [numbered(k) for k in range(75)]
    path = write_clip(tmp_path / "clip.h264", images, rate=25, codec="libx264", pixels="yuv420p", options={"bf": "0"})
    # Between two pictures, so that no rounding decides.
    assert numbers(open_clip(path, VideoOptions(start_s=1.98))) == list(range(50, 75))


def test_a_clip_that_was_trimmed_without_encoding_is_whole(tmp_path):
    source = write_clip(tmp_path / "clip.mp4", [numbered(k) for k in range(100)], codec="libx264", pixels="yuv420p", options={"bf": "0"})
    path = tmp_path / "trimmed.mp4"
    # Times before zero become an edit list, which hides the first 40 pictures.
    with av.open(str(source)) as whole, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                shift = round(Fraction(40, 30) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                container.mux(packet)
    clip = open_clip(path)
    assert numbers(clip) == list(range(40, 100))
    assert clip.frames_in_file == 100 and clip.warnings == []


def test_a_stream_without_stamps_has_the_nominal_times(tmp_path):
    images = [numbered(k) for k in range(10)]
    path = write_clip(tmp_path / "clip.h264", images, rate=25, codec="libx264", pixels="yuv420p", options={"bf": "0"})
    clip = open_clip(path)
    assert numbers(clip) == list(range(10))
    np.testing.assert_allclose(np.diff(times(clip)), float(1 / clip.fps), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "size", "frames", "fps"),
    [
        ("pose2sim_single/cam02.mp4", (1080, 1920), 100, 60), ("intel_asl_book.mkv", (640, 480), 109, 30),
        ("sports2d_demo.mp4", (1768, 994), 230, 30),
    ],
)
def test_real_clips(shared, name, size, frames, fps):
    clip = open_clip(shared / "videos" / name)
    found = times(clip)
    assert ((clip.width, clip.height), len(found), clip.fps) == (size, frames, fps)
    assert (np.diff(found) > 0).all() and clip.warnings == []
