"""The table of parity is of real differences: within what was asked for, and it would show a fault."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from .sam3d_fixture import recorded_network  # noqa: F401

sys.path.append(str(Path(__file__).resolve().parent.parent))  # benchmarks are no part of what is installed

from benchmarks import sam3d_parity


def test_every_stage_keeps_its_limit(recorded):
    errors = sam3d_parity.stage_errors(recorded)
    assert len(errors) == 13 and max(errors.values()) <= sam3d_parity.STAGE_LIMIT and min(errors.values()) > 0


def test_a_case_keeps_its_limits_and_a_fault_would_show(recorded, monkeypatch):
    *_, keypoints_px, _ = found = sam3d_parity.case_errors(recorded, "single_onehand")
    assert max(found[:3]) <= sam3d_parity.JOINTS_MM and keypoints_px <= sam3d_parity.KEYPOINTS_PX
    mhr = recorded.network(recorded.about["cases"]["single_onehand"]["weight_overrides"]).mhr
    monkeypatch.setitem(mhr._buffers, "offsets", mhr.offsets + torch.tensor([0.1, 0, 0]))  # a millimetre
    assert sam3d_parity.case_errors(recorded, "single_onehand")[0] > 100 * sam3d_parity.JOINTS_MM
