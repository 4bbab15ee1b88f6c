"""The error meter against numpy on everything at once."""

import json

import numpy as np
import pytest

from rigdrop.formats.verify.report import ErrorMeter


def test_blocks_give_the_same_numbers_as_all_at_once(tmp_path):
    rng = np.random.default_rng(0)
    found, truth = rng.normal(size=(2, 30, 50, 3))
    meter = ErrorMeter(30 * 50)
    for start in range(0, 30, 7):
        meter.add(found[start:start + 7], truth[start:start + 7])
    report = meter.report(tmp_path / "a.glb", "person_01", 30, 30, [])
    distance = 1000 * np.linalg.norm(found - truth, axis=-1)
    assert (report.mean_mm, report.max_mm) == pytest.approx((distance.mean(), distance.max()))
    assert report.p95_mm == pytest.approx(np.percentile(distance, 95, method="higher"), rel=1e-6) and report.ok


def test_a_nan_is_infinitely_far(tmp_path):
    meter = ErrorMeter(2)
    meter.add(np.array([[[np.nan, 0, 0], [0, 0, 0]]]), np.zeros((1, 2, 3)))
    assert meter.report(tmp_path, "a", 1, 1, []).max_mm == np.inf


def test_nothing_evaluated_is_not_a_perfect_file(tmp_path):
    report = ErrorMeter(0).report(tmp_path, "a", 0, 5, ["can't be read"])
    assert report.max_mm == np.inf and not report.ok
    assert report.as_dict()["broken_rules"] == ["can't be read"] and json.dumps(report.as_dict())
