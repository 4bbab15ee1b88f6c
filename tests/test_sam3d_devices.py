"""The network on a device other than the host: nothing of it stays behind, and it says the same there.

Where there is no GPU, one that is not there takes its place: see `elsewhere`. What only a GPU can show is skipped then.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rigdrop.ingest.pose.sam3d_body import network as network_module
from rigdrop.ingest.pose.sam3d_body.checkpoint import build_network
from rigdrop.ingest.pose.sam3d_body.network import Network
from rigdrop.ingest.pose.sam3d_body.passes import PassOptions, People, find_bodies
from rigdrop.ingest.pose.sam3d_body.runner import RunOptions, run

from .elsewhere import ELSEWHERE, Distance, bring, send, send_module
from .sam3d_cases import CASES, people_of, truth_of
from .sam3d_clip import LARGE, frame_of
from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import Recorded

# What is asked of the network, end to end, on any device.
METRES, PIXELS = 1e-5, 1e-2
GPU = torch.device("cuda:0")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def _build(recorded: Recorded, overrides: dict | None = None, device: str | torch.device = "cpu", dtype=torch.float32) -> Network:
    changed = {key: torch.tensor(value) for key, value in (overrides or {}).items()}
    return build_network(recorded.state | changed, recorded.config, recorded.arrays, "fixture", device, dtype)


def _moved(people: People, move) -> People:
    tensors = {f.name: value for f in fields(people) if isinstance(value := getattr(people, f.name), Tensor)}
    return replace(people, **{name: move(value) for name, value in tensors.items()})


def _ends_as_recorded(recorded: Recorded, name: str, bodies, brought) -> None:
    for mine, key, tolerance in (
        (bodies.joints_m, "pred_joint_coords", METRES), (bodies.vertices_m, "pred_vertices", METRES),
        (bodies.translation_m, "pred_cam_t", METRES), (bodies.keypoints_px, "pred_keypoints_2d", PIXELS),
    ):
        assert float((brought(mine) - truth_of(recorded, name, key)).abs().max()) < tolerance, key


def _case(recorded: Recorded, name: str) -> tuple[dict, People, PassOptions]:
    about = recorded.about["cases"][name]
    options = PassOptions(about["inference_type"], about["thresh_wrist_angle"], vertices=True, exact_upstream=True)
    return about, people_of(recorded, about), options


@pytest.fixture
def elsewhere(monkeypatch):
    """The device that is not there; views can't be made of its tensors in inference mode, nor does it multiply roughly."""
    monkeypatch.setattr(torch.inference_mode, "__enter__", lambda self: None)
    monkeypatch.setattr(torch.inference_mode, "__exit__", lambda self, *error: None)
    monkeypatch.setattr(network_module.torch, "autocast", lambda *_, **__: nullcontext())
    with Distance():
        yield ELSEWHERE


def test_a_tensor_that_stays_behind_is_noticed(recorded, elsewhere):
    network = _build(recorded)
    send_module(network)
    _, people, options = _case(recorded, "full_all")
    network.mhr.offsets = network.mhr.offsets.held
    with pytest.raises(AssertionError, match=r"add: found tensors of the host, \[\(127, 3\)\]"):
        find_bodies(network, _moved(people, send), options)


@pytest.mark.parametrize("name", ["full_mixed", "body_only"])
def test_nothing_stays_behind(recorded, elsewhere, name):
    about, people, options = _case(recorded, name)
    network = _build(recorded, about["weight_overrides"])
    send_module(network)
    _ends_as_recorded(recorded, name, find_bodies(network, _moved(people, send), options), bring)


@pytest.mark.parametrize("mode", ["full", "hand"])
def test_nothing_stays_behind_of_what_differs_from_the_original_s(recorded, elsewhere, mode):
    _, people, _ = _case(recorded, "full_all")
    network, options = _build(recorded), PassOptions(mode, wrist_threshold_rad=4.0)
    truth = find_bodies(network, people, options)
    send_module(network)
    found = find_bodies(network, _moved(replace(people, mask_scores=torch.tensor([0.0, 1.0])), send), options)
    assert float((bring(found.joints_m)[1] - truth.joints_m[1]).abs().max()) < METRES


@needs_gpu
@pytest.mark.parametrize("name", CASES)
def test_a_case_ends_as_recorded_on_a_gpu(recorded, name):
    about, people, options = _case(recorded, name)
    network = _build(recorded, about["weight_overrides"], GPU)
    _ends_as_recorded(recorded, name, find_bodies(network, _moved(people, lambda values: values.to(GPU)), options), Tensor.cpu)


def _frames(recorded: Recorded) -> list:
    return [frame_of(recorded, 0, [0, 1], masked="some"), frame_of(recorded, 1, []), frame_of(recorded, 2, [1], LARGE),
            frame_of(recorded, 3, [1, 0, 1], masked="all"), frame_of(recorded, 4, [0])]


@needs_gpu
@pytest.mark.parametrize("size", [1, 2, 0])
def test_a_clip_on_a_gpu_is_that_of_the_processor(recorded, size):
    """Pinned memory, a stream for what comes, and one for the network: what arrived too late would be other numbers."""
    options = PassOptions(wrist_threshold_rad=4.0)
    truth = list(run(_build(recorded), iter(_frames(recorded)), RunOptions(options, 2)))
    for _ in range(5):
        found = list(run(_build(recorded, device=GPU), iter(_frames(recorded)), RunOptions(options, size)))
        assert [bodies.frame for bodies in found] == [bodies.frame for bodies in truth]
        for one, other in zip(found, truth):
            assert one.ok.all() and np.array_equal(one.columns["hands_fused"], other.columns["hands_fused"])
            for name, tolerance in (("pred_keypoints_3d", METRES), ("pred_cam_t", METRES), ("pred_keypoints_2d", PIXELS)):
                assert np.abs(one.columns[name] - other.columns[name]).max(initial=0) < tolerance, name


@needs_gpu
def test_bfloat16_on_a_gpu_is_as_near_as_on_the_processor(recorded):
    _, people, options = _case(recorded, "body_only")
    exact = find_bodies(_build(recorded), people, options).joints_m
    rough = find_bodies(_build(recorded, dtype=torch.bfloat16), people, options).joints_m
    found = find_bodies(_build(recorded, device=GPU, dtype=torch.bfloat16), _moved(people, lambda values: values.to(GPU)), options).joints_m
    # Eight bits round otherwise in another order of adding, but not more.
    assert float((found.cpu() - exact).abs().max()) < 2 * float((rough - exact).abs().max())


@needs_gpu
def test_a_gpu_s_memory_that_runs_out_costs_no_frame(recorded):
    frames = [frame_of(recorded, number, 40 * [0, 1]) for number in range(3)]
    options, said = PassOptions(wrist_threshold_rad=4.0), []
    network = _build(recorded, device=GPU)
    truth = list(run(network, iter(frames), RunOptions(options, 8)))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(GPU)
    list(run(network, iter(frames), RunOptions(options, 16)))
    needed = torch.cuda.max_memory_reserved(GPU)
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(needed / torch.cuda.get_device_properties(GPU).total_memory, GPU)
        found = list(run(network, iter(frames), RunOptions(options, 80), said.append))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, GPU)
    assert said and "found too little memory for 80 people at a time" in said[0]
    for one, other in zip(found, truth, strict=True):
        assert one.ok.all() and np.abs(one.columns["pred_keypoints_3d"] - other.columns["pred_keypoints_3d"]).max() < METRES
