"""The network's benchmark on a tiny network: its figures are figures, its FLOPs torch's, and what fails costs its own row alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rigdrop.ingest.pose.sam3d_body.config import BackboneConfig, DecoderConfig, NetworkConfig
from rigdrop.ingest.pose.sam3d_body.network import Network
from rigdrop.ingest.pose.sam3d_body.passes import PassOptions, find_bodies

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # benchmarks are no part of what is installed

from benchmarks import gpu_sam3d, random_sam3d, sam3d_agreement, sam3d_stages  # noqa: E402
from benchmarks.torch_machine import Machine  # noqa: E402

VERTICES = 60
TINY = NetworkConfig(
    64, backbone=BackboneConfig("dinov3", 64, 2, 4, 128), decoder=DecoderConfig(32, 2, 2, 16, 32), mapping=(308, VERTICES + 127),
)
VIT = replace(TINY, crop_px=128, backbone=BackboneConfig("vit", 64, 2, 4, 128, patches=8 * 6))
CPU = Machine(torch.device("cpu"))
PLAN = gpu_sam3d.Plan(("full", "body"), (1, 2), (3,), ("float32", "bfloat16"), 1, 0.0, 60.0)


@pytest.fixture(scope="module")
def network() -> Network:
    return random_sam3d.random_network(TINY, random_sam3d.random_arrays(VERTICES, 40), CPU.device, torch.float32)


def test_made_up_bodies_are_numbers(network):
    people = random_sam3d.people_of(2, CPU.device)
    bodies = find_bodies(network, people, PassOptions("full", wrist_threshold_rad=4.0, vertices=True))
    for part in (bodies.joints_m, bodies.keypoints_px, bodies.model_params, bodies.vertices_m):
        assert torch.isfinite(part).all()


def test_the_official_sizes_are_the_defaults():
    arrays = random_sam3d.random_arrays(hidden=1)
    assert len(arrays.base_cm) + len(arrays.parents) == NetworkConfig().mapping[1]
    assert arrays.faces.shape == (36_874, 3) and (arrays.parents < range(127)).all()


@pytest.mark.parametrize("config", [TINY, VIT], ids=["dinov3", "vit"])
def test_flops_are_those_that_torch_counts(config):
    with torch.device("meta"):
        backbone = Network(config).backbone
        crops = torch.zeros(1, 3, *(config.backbone.patch * side for side in config.grid))
        with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            backbone(crops)
    assert gpu_sam3d.backbone_flops(config) == counter.get_total_flops()


def test_every_row_and_stage_is_measured_and_told(tmp_path):
    said = []
    found = gpu_sam3d.measure(TINY, None, CPU, PLAN, said.append)
    rows = [(row["precision"], row["passes"], row["batch"], row["people"]) for row in found["rows"]]
    wanted = [("full", 1, 1), ("full", 2, 1), ("body", 1, 1), ("body", 2, 1), ("full", 32, 3)]
    assert rows == [(precision, *row) for precision in PLAN.precisions for row in wanted]
    assert all(row["per_s"] > 0 and row["peak_gib"] > 0 and not row["note"] for row in found["rows"])
    for row in found["rows"]:
        crops = 3 if row["passes"] == "full" else 1
        assert row["teraflops"] == pytest.approx(row["per_s"] * crops * gpu_sam3d.backbone_flops(TINY) / 1e12)
    assert list(found["stages"]) == ["float32, batch 1", "bfloat16, batch 1"]
    assert all(seconds >= 0 and count >= 0 for spent in found["stages"].values() for seconds, count in spent.values())
    assert [(one["where"], one["precision"]) for one in found["agreements"]] == [("cpu", "bfloat16")]
    page = gpu_sam3d.report(json.loads(json.dumps(found)))
    assert page.count("| bfloat16 ") == 6 and "| mesh, where asked for " in page and str(torch.__version__) in page
    assert len(said) >= len(rows)


def test_what_is_said_of_compiling_is_no_lack_of_memory(network, monkeypatch):
    monkeypatch.setattr(network, "warnings", ["the network can't be compiled here"])
    row = gpu_sam3d.throughput(network, CPU, PLAN, ("float32", "body", 1, 1))
    assert row.per_s > 0 and not row.note


def test_operations_are_counted_and_views_are_none():
    with sam3d_stages._Operations() as operations:
        (torch.ones(2, 3).T[0] + 1).sum()
    assert operations.count == 3  # made, added, summed


def test_a_network_agrees_with_itself_and_less_so_in_eight_bits():
    arrays = random_sam3d.random_arrays(VERTICES, 40)
    (rough,) = sam3d_agreement.agreements(TINY, arrays, CPU.device, ("float32", "bfloat16"), lambda line: None)
    assert rough.precision == "bfloat16" and 0 < rough.joints_mean_mm < rough.joints_most_mm and rough.keypoints_px > 0
    assert not list(sam3d_agreement.agreements(TINY, arrays, CPU.device, ("float32",), lambda line: None))


def test_when_time_is_spent_rows_say_so():
    found = gpu_sam3d.measure(TINY, None, CPU, replace(PLAN, precisions=("float32",), budget_s=0.0), lambda line: None)
    assert {row["note"] for row in found["rows"]} == {"no time left"} and found["stages"]
    assert "no time left" in gpu_sam3d.report(found)


@pytest.mark.parametrize("room", [0, 2])
def test_a_row_without_memory_says_so_and_others_go_on(network, monkeypatch, room):
    real = network.features

    def features(pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(pixels)

    monkeypatch.setattr(network, "features", features)
    assert gpu_sam3d.throughput(network, CPU, PLAN, ("float32", "body", 4, 1)).note.startswith("out of memory")
    alone = gpu_sam3d.throughput(network, CPU, PLAN, ("float32", "body", 1, 1))
    assert (alone.per_s is None) == (room == 0)


def test_it_runs_alone_from_a_folder_of_any_name(tmp_path):
    """On a bare machine nothing of ours is installed: the folder that the file is in is the package."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_sam3d.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--row-seconds" in done.stdout, done.stderr
