"""From a clip to MHR's motion with the recorded network of random weights: it talks nonsense, which must be the right nonsense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rigdrop.errors import MissingPartError
from rigdrop.ingest.people.embedded_boxes import sight_people
from rigdrop.ingest.people.options import PeopleOptions
from rigdrop.ingest.pose.options import EstimatorOptions, PoseOptions
from rigdrop.ingest.pose.protocol import load_estimator
from rigdrop.ingest.pose.sam3d_body import estimator, runner
from rigdrop.ingest.pose.sam3d_body.checkpoint import load_network
from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions
from rigdrop.ingest.pose.sam3d_body.passes import People, find_bodies
from rigdrop.ingest.recording import Recording
from rigdrop.ingest.video import open_clip
from rigdrop.ingest.video_options import VideoOptions

from .sam3d_checkpoint import write_checkpoint
from .sam3d_network import recordings

_PEOPLE = PeopleOptions(min_visible_s=0.1)


@pytest.fixture(scope="module")
def checkpoint(shared, tmp_path_factory) -> Path:
    return write_checkpoint(recordings(shared), tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def clip(shared):
    return open_clip(shared / "videos" / "sports2d_demo.mp4", VideoOptions(start_s=2.9, end_s=3.3))


def look(clip, checkpoint: Path, scratch: Path | None = None) -> Recording:
    sam3d = Sam3dOptions(checkpoint=checkpoint, device="cpu", precision="float32")
    options = EstimatorOptions(PoseOptions(estimator="sam3d-body"), _PEOPLE, sam3d, focal_px=1500.0)
    found = load_estimator(options).estimate(clip, scratch=scratch)
    assert isinstance(found, Recording)
    return found


@pytest.fixture(scope="module")
def recording(clip, checkpoint) -> Recording:
    return look(clip, checkpoint)


def test_each_frame_is_what_the_network_says_of_that_picture_alone(clip, checkpoint, recording):
    """A naive twin: picture by picture and person by person, without batches, threads or files."""
    network, sighted, K = load_network(checkpoint), sight_people(clip, _PEOPLE), recording.camera.intrinsics_px
    assert {actor.track for actor in recording.actors} == {person.id for person in sighted.people} and recording.actors
    seen = {person.id: person for person in sighted.people}
    for frame in [frame for frame in clip.frames() if frame.index % 5 == 0]:
        for actor in recording.actors:
            person = seen[actor.track]
            row = np.flatnonzero(person.frame == frame.index)
            assert actor.visible[frame.index] == bool(len(row) and not person.occluded[row[0]])
            if not actor.visible[frame.index]:
                assert np.isnan(actor.motion.model_params[frame.index]).all()
                continue
            people = People(
                torch.from_numpy(frame.image_bgr[None, ..., ::-1].copy()), torch.from_numpy(person.box_xyxy[row]),
                torch.from_numpy(K).float()[None], torch.zeros(1, dtype=torch.int64),
            )
            found = find_bodies(network, people)
            # Batches of other sizes add in another order: float32 leaves six digits of angles and of metres.
            np.testing.assert_allclose(actor.motion.model_params[frame.index], found.model_params[0], atol=2e-4)
            apart = actor.motion.camera_translation_m[frame.index] - found.translation_m[0].numpy() * (1, -1, -1)
            assert np.abs(apart).max() < 1e-4 * float(found.translation_m.norm())


def test_the_recording_says_which_camera_and_which_network(clip, recording):
    assert recording.camera.focal_source == "user" and recording.camera.intrinsics_px[0, 0] == 1500
    assert (recording.camera.width, recording.camera.height) == (clip.width, clip.height)
    assert recording.details["estimator"] == "sam3d-body" and recording.details["device"] == "cpu"
    assert recording.fps == clip.fps and len(recording.times_s) == sum(1 for _ in clip.frames())


def test_a_clip_that_was_stopped_goes_on_with_the_first_chunk_that_is_missing(clip, checkpoint, recording, tmp_path, monkeypatch):
    monkeypatch.setattr(estimator, "_CHUNK_FRAMES", 4)
    whole, looked = runner.run, []

    def stop_in_the_sixth(network, frames, options, tell=None):
        for bodies in whole(network, frames, options, tell):
            if bodies.frame > 5 and not looked:
                raise KeyboardInterrupt
            yield bodies

    def listen(network, frames, options, tell=None):
        for bodies in whole(network, frames, options, tell):
            looked.append(bodies.frame)
            yield bodies

    monkeypatch.setattr(runner, "run", stop_in_the_sixth)
    with pytest.raises(KeyboardInterrupt):
        look(clip, checkpoint, tmp_path)
    monkeypatch.setattr(runner, "run", listen)
    again = look(clip, checkpoint, tmp_path)
    assert min(looked) == 4  # the first chunk was whole
    for mine, theirs in zip(again.actors, recording.actors, strict=True):
        np.testing.assert_allclose(mine.motion.model_params, theirs.motion.model_params, atol=2e-4)
    looked.clear()
    look(clip, checkpoint, tmp_path)
    assert looked == []


def test_a_body_behind_the_camera_is_not_seen(clip, checkpoint, recording, monkeypatch):
    whole = runner.run

    def turned_round(network, frames, options, tell=None):
        for bodies in whole(network, frames, options, tell):
            if bodies.frame == 5:
                bodies.columns["pred_cam_t"][:, 2] *= -1
            yield bodies

    monkeypatch.setattr(runner, "run", turned_round)
    found = look(clip, checkpoint)
    for mine, theirs in zip(found.actors, recording.actors, strict=True):
        assert not mine.visible[5] and np.isnan(mine.motion.model_params[5]).all()
        assert np.array_equal(np.delete(mine.visible, 5), np.delete(theirs.visible, 5))


def test_people_without_a_body_are_told_from_nobody(clip, checkpoint, monkeypatch):
    whole = runner.run

    def all_behind(network, frames, options, tell=None):
        for bodies in whole(network, frames, options, tell):
            bodies.columns["pred_cam_t"][:, 2] *= -1
            yield bodies

    monkeypatch.setattr(runner, "run", all_behind)
    found = look(clip, checkpoint)
    assert found.actors == () and "found people in it but no whole body before the camera" in found.warnings[-1]


def test_nobody_in_the_clip_is_a_recording_of_nobody_that_says_so(checkpoint, tmp_path, shared):
    empty = open_clip(shared / "videos" / "sports2d_demo.mp4", VideoOptions(start_s=2.9, end_s=2.95))  # too short to be sure of anybody
    found = look(empty, checkpoint)
    assert found.actors == () and "found nobody in it" in found.warnings[-1]


def test_without_weights_one_sentence_says_where_to_ask(tmp_path):
    options = EstimatorOptions(PoseOptions(estimator="sam3d-body"), sam3d=Sam3dOptions(checkpoint=tmp_path))
    with pytest.raises(MissingPartError, match="facebook/sam-3d-body-dinov3") as raised:
        load_estimator(options)
    assert raised.value.exit_code == 69
