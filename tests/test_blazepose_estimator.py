from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.people.options import PeopleOptions
from rigdrop.ingest.pose.options import EstimatorOptions, PoseOptions
from rigdrop.ingest.pose.protocol import load_estimator
from rigdrop.ingest.video import open_clip
from rigdrop.ingest.video_options import VideoOptions

from .test_video import numbered, write_clip


def observe(path, quality="standard", people=None, on_progress=None, **video):
    estimator = load_estimator(EstimatorOptions(PoseOptions(quality=quality), people or PeopleOptions()))
    return estimator.estimate(open_clip(path, VideoOptions(**video)), on_progress)


@pytest.fixture(scope="module")
def videos(shared):
    return shared / "videos"


def test_a_clip_without_people_is_empty_and_says_so(tmp_path):
    path = write_clip(tmp_path / "stripes.mkv", [numbered(k, 320, 240) for k in range(12)])
    found = observe(path)
    assert found.tracks == () and len(found.times_s) == 12
    assert any("found nobody" in warning for warning in found.details["warnings"])


def test_an_error_of_the_reader_reaches_the_caller(tmp_path):
    path = write_clip(tmp_path / "stripes.mkv", [numbered(k) for k in range(5)])
    with pytest.raises(ReadError, match="found no picture"):
        observe(path, start_s=60)


def test_one_person_with_hands(videos):
    steps = []
    found = observe(videos / "intel_asl_walk.mkv", on_progress=lambda done, total: steps.append((done, total)))
    (track,) = found.tracks
    assert (found.width, found.height, found.fps, len(found.times_s)) == (640, 480, 30, 89)
    assert [done for done, _ in steps] == list(range(1, 90)) and steps[0][1] == 89
    assert set(found.details["assets"]) == {"pose_detection", "pose_landmark_full", "hand_recrop", "hand_landmark_full"}
    assert track.id == 1 and track.frames == slice(0, 89) and track.seen.all()
    assert ((track.hand_score > 0).mean(axis=0) > 0.5).all()
    seen = track.hand_score > 0
    assert np.isfinite(track.hands_px[seen]).all() and np.isnan(track.hands_px[~seen]).all()
    # What is kept of each frame is its own numbers alone, not a part of something larger that stays with it.
    arrays = [getattr(track, column.name) for column in dataclasses.fields(track)]
    assert all(array.base is None for array in arrays if isinstance(array, np.ndarray))
    # She faces the camera all along: her left shoulder is on the picture's right.
    assert (track.landmarks_px[:, 11, 0] > track.landmarks_px[:, 12, 0] + 50).all()


def test_draft_reads_no_hands_and_high_reads_nearly_the_same_body(videos):
    cut = {"start_s": 1.0, "end_s": 1.2}
    people = PeopleOptions(min_visible_s=0.1)
    (draft,), (high,) = (observe(videos / "intel_asl_walk.mkv", quality, people, **cut).tracks for quality in ("draft", "high"))
    assert (draft.hand_score == 0).all() and np.isnan(draft.hands_m).all()
    apart = np.linalg.norm(draft.landmarks_px - high.landmarks_px, axis=-1)[:, 11:17]
    assert np.median(apart) < 10  # of a body 750 px high


def test_the_same_clip_gives_the_same_tracks(videos):
    runs = [observe(videos / "sports2d_demo.mp4", start_s=2.9, end_s=3.3, people=PeopleOptions(min_visible_s=0.2)) for _ in range(2)]
    assert len(runs[0].tracks) == len(runs[1].tracks) == 2
    for one, other in zip(runs[0].tracks, runs[1].tracks, strict=True):
        for column in dataclasses.fields(one):
            np.testing.assert_array_equal(getattr(one, column.name), getattr(other, column.name))


@pytest.mark.slow
def test_sides_stay_the_same_on_a_view_that_the_net_takes_for_a_back(videos):
    found = observe(videos / "pose2sim_single" / "cam02.mp4", people=PeopleOptions(max_people=1))
    (track,) = found.tracks
    # He faces the camera and leans over: his left hip stays to the right of his right hip, seen along his own spine.
    spine = track.landmarks_px[:, [11, 12]].mean(axis=1) - track.landmarks_px[:, [23, 24]].mean(axis=1)
    hips = track.landmarks_px[:, 23] - track.landmarks_px[:, 24]
    own_right = np.stack([-spine[:, 1], spine[:, 0]], axis=1)
    assert ((hips * own_right).sum(axis=1) > 0).all()
    assert found.details["frames_with_sides_swapped_back"][1] > 20


@pytest.mark.slow
def test_two_people_keep_their_ids_through_a_somersault(videos):
    found = observe(videos / "sports2d_demo.mp4", "draft")
    man, woman = found.tracks
    assert man.first_frame == 0 and man.frames.stop > 220
    assert 35 < woman.first_frame < 60 and 195 < woman.frames.stop < 210
    # She walks from right to left; he stays left of her until he jumps, and ends on the right.
    last = np.flatnonzero(woman.seen)[-1]
    assert woman.landmarks_px[0, 23, 0] > 1400 and woman.landmarks_px[last, 23, 0] < 250
    assert man.landmarks_px[0, 23, 0] < 700 and man.landmarks_px[np.flatnonzero(man.seen)[-1], 23, 0] > 1300


@pytest.mark.slow
def test_people_who_come_one_by_one_are_six(videos):
    found = observe(videos / "intel_one_by_one.mp4", "draft")
    assert len(found.tracks) == 6
    assert [track.id for track in found.tracks] == list(range(1, 7))
    starts = [track.first_frame for track in found.tracks]
    assert starts == sorted(starts)
    for one, other in zip(found.tracks, found.tracks[1:], strict=False):
        assert one.frames.stop <= other.first_frame + 5
