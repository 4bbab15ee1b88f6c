"""`motion_files.cut`: a part of a recording holds the frames that a person would count on their fingers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.cut import cut_recording
from rigdrop.ingest.recording import Actor, MhrMotion, Recording, SmplMotion
from rigdrop.ingest.video_options import VideoOptions
from rigdrop.motion.take import Camera

FILE = Path("walk.npz")


def _recording(frames: int = 12, fps: int = 4, seen: slice = slice(None)) -> Recording:
    """Three seconds at four frames a second; the translation's x is the frame's own number."""
    number = np.arange(frames, dtype=float)
    visible = np.zeros(frames, bool)
    visible[seen] = True
    quat = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 24, 1))
    motion = SmplMotion("smpl", quat, np.stack([number, 0 * number, 0 * number], 1), np.eye(3), betas=np.arange(10.0))
    actor = Actor(0, "walker", motion, visible, np.ones(frames, np.float32), raw={"number": number})
    camera = Camera(64, 48, np.eye(3), np.tile(np.eye(4), (frames, 1, 1)) * 1.0)
    return Recording(number / fps, Fraction(fps), [actor], camera)


def _numbers(recording: Recording) -> list[float]:
    (actor,) = recording.actors
    assert actor.raw["number"].tolist() == actor.motion.translation_m[:, 0].tolist()
    return actor.raw["number"].tolist()


def test_nothing_asked_for_changes_nothing():
    whole = _recording()
    assert cut_recording(whole, VideoOptions(), FILE) is whole


def test_a_part_keeps_its_own_times_and_what_does_not_change_over_time():
    part = cut_recording(_recording(), VideoOptions(start_s=0.75, end_s=2.0), FILE)
    assert part.times_s.tolist() == [0.75, 1.0, 1.25, 1.5, 1.75]  # the end itself is not in it
    assert _numbers(part) == [3, 4, 5, 6, 7] and part.fps == 4
    assert part.actors[0].motion.betas.tolist() == list(range(10)) and part.actors[0].motion.R_world_source.shape == (3, 3)
    assert part.camera.world_from_camera.shape == (5, 4, 4) and part.camera.intrinsics_px.shape == (3, 3)


def test_a_rate_is_not_for_here():
    """Between frames of Euler angles there is nothing right: motion is brought to a rate when it is turns (`convert.resample`)."""
    whole = _recording()
    assert cut_recording(whole, VideoOptions(fps=1.0), FILE) is whole
    part = cut_recording(whole, VideoOptions(start_s=0.75, end_s=2.0, fps=1.0), FILE)
    assert (_numbers(part), part.fps) == ([3, 4, 5, 6, 7], 4)


def test_who_is_in_no_frame_of_the_part_is_left_out():
    assert cut_recording(_recording(seen=slice(0, 4)), VideoOptions(start_s=1.5), FILE).actors == ()


def test_a_part_without_frames_is_an_error_that_says_which_there_are():
    with pytest.raises(ReadError, match=r"walk.npz: found no frame from 5 s to the end, expected a part of 0.000 to 2.750 s"):
        cut_recording(_recording(), VideoOptions(start_s=5.0), FILE)


def test_faces_are_of_the_mesh_and_not_of_frames():
    faces = np.arange(36).reshape(12, 3) % 5
    motion = MhrMotion(np.zeros((12, 45)), np.zeros((12, 3)), vertices_m=np.zeros((12, 5, 3), np.float32), faces=faces)
    whole = Recording(np.arange(12) / 4, Fraction(4), [Actor(0, "a", motion, np.ones(12, bool), np.ones(12, np.float32))])
    (actor,) = cut_recording(whole, VideoOptions(start_s=1.0), FILE).actors
    assert actor.motion.vertices_m.shape == (8, 5, 3)
    np.testing.assert_array_equal(actor.motion.faces, faces)
