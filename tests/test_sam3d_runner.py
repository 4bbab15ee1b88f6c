from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from rigdrop.errors import MissingPartError, RigdropError, SettingsError
from rigdrop.ingest.pose.sam3d_body.batches import Arrivals, FramePeople
from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions
from rigdrop.ingest.pose.sam3d_body.passes import Bodies, PassOptions, find_bodies
from rigdrop.ingest.pose.sam3d_body.runner import FrameBodies, RunOptions, run

from .sam3d_clip import LARGE, alone, frame_of
from .sam3d_fixture import recorded_network  # noqa: F401

# Products of more rows round in another order: what is asked of the network against its recordings is asked here too.
METRES, PIXELS = 1e-5, 1e-2
FULL, BODY = PassOptions(wrist_threshold_rad=4.0), PassOptions("body")


def _assert_same(found: FrameBodies, truth: Bodies) -> None:
    columns = found.columns
    assert found.ok.all() and len(found.ok) == len(truth.joints_m)
    for name, values, tolerance in (
        ("pred_keypoints_3d", truth.keypoints_m, METRES), ("pred_cam_t", truth.translation_m, METRES),
        ("pred_keypoints_2d", truth.keypoints_px, PIXELS), ("shape_params", truth.params.shape, 2e-4),
        ("mhr_model_params", truth.model_params, 2e-4), ("focal_length", truth.focal_px, 1e-3),
    ):
        assert np.abs(columns[name] - values.numpy()).max(initial=0) < tolerance, name


def test_every_frame_is_what_it_is_alone_in_any_batch(recorded):
    network = recorded.network()
    frames = [
        frame_of(recorded, 2, []), frame_of(recorded, 3, [0, 1], masked="some"), frame_of(recorded, 4, [1], LARGE),
        frame_of(recorded, 7, []), frame_of(recorded, 8, [1, 0, 1], masked="all"),
    ]
    truth = [find_bodies(network, alone(frame), FULL) for frame in frames]
    for size in (1, 4):
        found = list(run(network, iter(frames), RunOptions(FULL, size)))
        assert [bodies.frame for bodies in found] == [2, 3, 4, 7, 8]
        for one, other in zip(found, truth):
            _assert_same(one, other)
            assert one.columns["hands_fused"].tolist() == other.hand.fused.tolist()
            boxes = np.stack([one.columns["lhand_bbox"], one.columns["rhand_bbox"]], axis=1)
            assert np.abs(boxes - other.hand.boxes_xyxy.numpy()).max(initial=0) < PIXELS


def test_a_crowd_needs_no_larger_batch_and_who_stands_beside_somebody_changes_nothing(recorded):
    network = recorded.network()
    crowd, lone = frame_of(recorded, 0, 25 * [0, 1]), frame_of(recorded, 1, [1])
    found = list(run(network, iter([crowd, lone]), RunOptions(BODY, 8)))
    assert [len(bodies.ok) for bodies in found] == [50, 1] and found[0].ok.all()
    assert "hands_fused" not in found[0].columns and "lhand_bbox" not in found[0].columns
    places = found[0].columns["pred_keypoints_3d"]
    assert np.abs(places[1::2] - found[1].columns["pred_keypoints_3d"]).max() < METRES


def test_the_original_s_rule_for_shared_frames_holds_across_batches(recorded):
    network, options = recorded.network(), PassOptions(wrist_threshold_rad=1.5473, exact_upstream=True)
    frame = frame_of(recorded, 0, [0, 1])
    found = next(run(network, iter([frame]), RunOptions(options, 1)))
    _assert_same(found, find_bodies(network, alone(frame), options))


def test_what_is_no_number_spoils_nobody_else(recorded):
    network = recorded.network()
    spoilt, blind = frame_of(recorded, 0, [0, 1, 1]), frame_of(recorded, 1, [0])
    spoilt.boxes_xyxy[1], blind.K[0, 0] = np.nan, np.nan
    beyond = frame_of(recorded, 2, [0, 1])
    beyond.boxes_xyxy[:] = [[-400, -300, -200, -10], [470, 350, 900, 1200]]
    found = list(run(network, iter([spoilt, blind, beyond]), RunOptions(FULL, 3)))
    assert [bodies.ok.tolist() for bodies in found] == [[True, False, True], [False], [True, True]]
    for bodies in found:
        for name, values in bodies.columns.items():
            assert not values[~bodies.ok].any() if name == "hands_fused" else np.isnan(values[~bodies.ok]).all()
    truth = find_bodies(network, alone(frame_of(recorded, 0, [0, 1])), FULL)
    assert np.abs(found[0].columns["pred_keypoints_3d"][[0, 2]] - truth.keypoints_m.numpy()).max() < METRES


def test_weights_that_are_no_numbers_leave_nobody(recorded):
    spoilt = recorded.network({"init_camera.weight": [[float("nan"), 0.0, 0.0]]})
    found = next(run(spoilt, iter([frame_of(recorded, 0, [0, 1])]), RunOptions(BODY)))
    assert not found.ok.any() and np.isnan(found.columns["mhr_model_params"]).all()


def test_memory_that_runs_out_costs_no_frame(recorded, monkeypatch):
    network = recorded.network()
    frames = [frame_of(recorded, number, [0, 1, 0]) for number in range(3)]
    truth = list(run(network, iter(frames), RunOptions(FULL, 2)))
    features, said = network.features, []

    def of_few(pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > 7:  # two people's bodies with the hands of the two before are six crops
            raise torch.OutOfMemoryError("CUDA out of memory")
        return features(pixels)

    monkeypatch.setattr(network, "features", of_few)
    found = list(run(network, iter(frames), RunOptions(FULL, 8), said.append))
    assert [bodies.frame for bodies in found] == [0, 1, 2]
    for one, other in zip(found, truth):
        assert one.ok.all() and np.abs(one.columns["pred_keypoints_3d"] - other.columns["pred_keypoints_3d"]).max() < METRES
    assert "went on with 4" in said[0] and "--batch-size 2 it begins so" in said[-1]


@pytest.mark.parametrize("first", [3, 12, 20])
def test_memory_that_runs_out_on_the_way_to_the_device_costs_no_frame(recorded, monkeypatch, first):
    """Another thread sends batches; what it has no room for is sent again when this one has made some."""
    network = recorded.network()
    frames = [frame_of(recorded, number, [0, 1, 0], masked="all") for number in range(4)]
    truth = list(run(network, iter(frames), RunOptions(FULL, 2)))
    send, count = Arrivals.send, iter(range(10**6))

    def full_twice(self, values):
        if next(count) in (first, first + 1):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return send(self, values)

    monkeypatch.setattr(Arrivals, "send", full_twice)
    found = list(run(network, iter(frames), RunOptions(FULL, 4)))
    assert [bodies.frame for bodies in found] == [0, 1, 2, 3]
    for one, other in zip(found, truth, strict=True):
        assert one.ok.all() and np.abs(one.columns["pred_keypoints_3d"] - other.columns["pred_keypoints_3d"]).max() < METRES


def test_a_device_with_room_for_one_person_and_no_more_does_with_it(recorded, monkeypatch):
    """One body's hands with the next one's body are three crops; one after the other they are two at most."""
    network, features = recorded.network(), recorded.network().features
    frames = [frame_of(recorded, number, [number % 2]) for number in range(3)]
    truth = list(run(network, iter(frames), RunOptions(FULL, 1)))

    def of_two(pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return features(pixels)

    monkeypatch.setattr(network, "features", of_two)
    found = list(run(network, iter(frames), RunOptions(FULL, 1)))
    for one, other in zip(found, truth, strict=True):
        assert one.frame == other.frame and np.array_equal(one.columns["hands_fused"], other.columns["hands_fused"])
        assert np.abs(one.columns["pred_keypoints_3d"] - other.columns["pred_keypoints_3d"]).max() < METRES


def test_no_memory_for_one_person_is_said(recorded, monkeypatch):
    network = recorded.network()

    def of_none(pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(network, "features", of_none)
    with pytest.raises(MissingPartError, match=r"cpu: found [\d.]+ GiB of memory free, too little for one person; .* device cpu"):
        list(run(network, iter([frame_of(recorded, 0, [0, 1])]), RunOptions(FULL, 4)))


def test_other_faults_of_the_network_stay_what_they_are(recorded, monkeypatch):
    monkeypatch.setattr(recorded.network(), "features", lambda pixels: pixels @ pixels)
    with pytest.raises(RuntimeError):
        list(run(recorded.network(), iter([frame_of(recorded, 0, [0])]), RunOptions(FULL, 4)))


def test_a_clip_of_no_frames_and_one_of_nobody(recorded):
    assert list(run(recorded.network(), iter([]), RunOptions(FULL))) == []
    empty, person = (next(run(recorded.network(), iter([frame_of(recorded, 5, who)]), RunOptions(PassOptions("fast", vertices=True))))
                     for who in ([], [0]))
    assert empty.frame == 5 and empty.ok.shape == (0,)
    shapes = {name: (values.dtype, values.shape[1:]) for name, values in empty.columns.items()}
    assert shapes == {name: (values.dtype, values.shape[1:]) for name, values in person.columns.items()}


def test_who_stops_early_leaves_no_thread_and_errors_of_frames_come_through(recorded):
    before = threading.active_count()
    bodies = run(recorded.network(), (frame_of(recorded, number, [0]) for number in range(1000)), RunOptions(BODY, 1))
    assert next(bodies).frame == 0
    bodies.close()
    assert threading.active_count() == before

    def broken() -> Iterator[FramePeople]:
        yield frame_of(recorded, 0, [0])
        raise RigdropError("the clip ends here")

    with pytest.raises(RigdropError, match="the clip ends here"):
        list(run(recorded.network(), broken(), RunOptions(BODY, 1)))


def test_two_clips_at_once_share_a_network(recorded):
    network, frames = recorded.network(), [frame_of(recorded, number, [number % 2]) for number in range(4)]
    truth = list(run(network, iter(frames), RunOptions(BODY, 2)))
    found: dict[int, list[FrameBodies]] = {}
    threads = [
        threading.Thread(target=lambda number=number: found.update({number: list(run(network, iter(frames), RunOptions(BODY, 2)))}))
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for bodies in found.values():
        for one, other in zip(bodies, truth, strict=True):
            assert np.array_equal(one.columns["pred_keypoints_3d"], other.columns["pred_keypoints_3d"])
    assert len(found) == 2


def test_the_user_s_options_are_taken_over():
    options = RunOptions.of(Sam3dOptions(passes="fast", batch_size=3, keep_mesh=True, exact_upstream=True))
    assert options == RunOptions(PassOptions("fast", vertices=True, exact_upstream=True), 3)
    with pytest.raises(SettingsError, match="batch-size: found -1"):
        RunOptions(batch_size=-1)
