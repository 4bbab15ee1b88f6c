"""Whether a file opens: what is wrong with it in one sentence, whatever it does to the process that looks."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rigdrop.errors import Stopped
from rigdrop.ingest.motion_files.options import HandMergeOptions, MotionFileOptions
from rigdrop.motion.store import write_take
from rigdrop.watch.prober import Prober

from .children import exists, wait_until
from .synthetic import small_take
from .test_video import numbered, write_clip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def prober():
    prober = Prober()
    yield prober
    prober.stop()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(path, [numbered(index) for index in range(8)], codec="mpeg4", pixels="yuv420p")
    return path


def test_a_video_opens(prober, clip):
    assert prober.probe(clip, _TIMEOUT_S) is None


def test_a_take_opens(prober, tmp_path):
    write_take(tmp_path / "take.h5", small_take())
    assert prober.probe(tmp_path / "take.h5", _TIMEOUT_S) is None


def test_a_pickled_motion_file_opens_where_it_is_trusted(prober, shared, tmp_path):
    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as sample:
        person = {name: sample[name] for name in ("mhr_model_params", "shape_params", "pred_cam_t")}
    np.save(tmp_path / "people.npy", np.array([person], dtype=object), allow_pickle=True)
    assert "--trust" in prober.probe(tmp_path / "people.npy", _TIMEOUT_S)
    assert prober.probe(tmp_path / "people.npy", _TIMEOUT_S, MotionFileOptions(trust=True)) is None


def test_a_file_of_meshes_alone_opens(prober, shared, tmp_path):
    """It is converted where nobody has the rig; the service has not looked for it yet."""
    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as sample:
        np.savez(tmp_path / "meshes.npz", **{name: sample[name] for name in ("pred_vertices", "shape_params", "pred_cam_t")})
    assert prober.probe(tmp_path / "meshes.npz", _TIMEOUT_S) is None


def test_a_motion_file_is_read_as_it_will_be(prober, tmp_path):
    """Hands that come with it are looked at too, wherever they are."""
    from .motion_clips import write_amass

    body = write_amass(tmp_path / "walk.npz", 40)
    reading = MotionFileOptions(hand_poses=tmp_path / "ü" / "hands.npz", hand_merge=HandMergeOptions(gap_s=1.0), source_fps="30000/1001")
    (tmp_path / "ü").mkdir()
    for frames, why in ((40, None), (39, "hands.npz: found 39 frames, expected 40")):
        np.savez(reading.hand_poses, left_hand_pose=np.zeros((frames, 45)), right_hand_pose=np.zeros((frames, 45)))
        found = prober.probe(body, _TIMEOUT_S, reading)
        assert found is None if why is None else why in found


def test_a_name_that_is_not_utf_8_opens(prober, clip, tmp_path):
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe \xe6\xad\xa9.mp4"))
    path.write_bytes(clip.read_bytes())
    assert prober.probe(path, _TIMEOUT_S) is None
    path.write_bytes(b"nothing of the kind")
    assert str(path) in prober.probe(path, _TIMEOUT_S)


def _half(clip):
    return clip.read_bytes()[: clip.stat().st_size // 2]


def _header_alone(clip):
    """The index is whole and the pictures are zeros: a copy that has room set aside for it."""
    data = clip.read_bytes()
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    return data[:start] + bytes(end - start) + data[end:] if end > start else data[:start] + bytes(len(data) - start)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("empty.mp4", lambda clip: b"", "found an empty file"),
    ("half.mp4", _half, "half.mp4: "),
    ("zeros.mp4", _header_alone, "no picture that can be decoded"),
    ("text.mov", lambda clip: b"this is text\n" * 100, "cut off or of another kind"),
    ("text.h5", lambda clip: b"this is text\n" * 100, "text.h5"),
    ("video.h5", lambda clip: clip.read_bytes(), "video.h5"),
])
def test_what_does_not_open_says_why(prober, clip, tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content(clip))
    assert words in prober.probe(path, _TIMEOUT_S)
    assert prober.probe(clip, _TIMEOUT_S) is None


def test_a_take_that_is_still_being_copied_does_not_open(prober, tmp_path):
    write_take(tmp_path / "whole.h5", small_take())
    data = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "part.h5").write_bytes(data[: len(data) // 2])
    assert "part.h5" in prober.probe(tmp_path / "part.h5", _TIMEOUT_S)


def test_a_file_that_is_gone_and_a_folder_do_not_open(prober, tmp_path):
    assert "found no such file" in prober.probe(tmp_path / "gone.mp4", _TIMEOUT_S)
    assert "found a folder" in prober.probe(tmp_path, _TIMEOUT_S)


# A named pipe that nobody writes to hangs whoever opens it; a video would be refused for its size.
def test_a_file_that_hangs_costs_the_process_alone(prober, clip, tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    assert prober.probe(clip, _TIMEOUT_S) is None  # so that the time is spent on the file
    before = prober.pid
    assert "the process that looked into it made no progress for 0.3 s" in prober.probe(tmp_path / "pipe.h5", 0.3)
    assert prober.probe(clip, _TIMEOUT_S) is None
    assert prober.pid != before
    assert not exists(before)


def test_a_file_that_crashes_the_process_is_named(prober, clip, tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    with ThreadPoolExecutor(max_workers=1) as threads:
        probing = threads.submit(prober.probe, tmp_path / "pipe.h5", _TIMEOUT_S)

        def crash():
            with contextlib.suppress(ProcessLookupError):
                if prober.pid is not None:
                    os.kill(prober.pid, signal.SIGSEGV)
            return probing.done()

        wait_until(crash)  # one that crashes before it looks is replaced, so once may not be enough
        reason = probing.result(30)
    assert reason == f"{tmp_path / 'pipe.h5'}: the process that looked into it crashed (segmentation fault); export it again"
    assert prober.probe(clip, _TIMEOUT_S) is None


def test_the_process_holds_little_and_goes_when_nobody_asks(clip):
    prober = Prober(idle_s=0.2)
    assert prober.pid is None
    assert prober.probe(clip, _TIMEOUT_S) is None
    wait_until(lambda: prober.pid is None)
    assert prober.probe(clip, _TIMEOUT_S) is None
    prober.stop()


def test_the_process_imports_no_more_than_opening_needs(prober, clip, tmp_path):
    assert prober.probe(clip, _TIMEOUT_S) is None
    maps = Path(f"/proc/{prober.pid}/maps").read_text()
    assert "/av/" in maps
    assert not [name for name in ("torch", "pxr", "ai_edge_litert", "dbos", "sqlalchemy") if f"/{name}/" in maps]
    assert prober.memory_mb < 200


def test_one_who_is_asking_when_the_prober_stops_is_told(clip, tmp_path):
    prober = Prober()
    os.mkfifo(tmp_path / "pipe.h5")
    with ThreadPoolExecutor(max_workers=1) as threads:
        probing = threads.submit(prober.probe, tmp_path / "pipe.h5", _TIMEOUT_S)
        wait_until(lambda: prober.pid is not None)
        stopping = threading.Thread(target=prober.stop)
        stopping.start()
        with pytest.raises(Stopped):
            probing.result(30)
        stopping.join()
    with pytest.raises(Stopped):
        prober.probe(clip, _TIMEOUT_S)
