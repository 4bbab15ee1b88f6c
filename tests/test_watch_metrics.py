"""The figures, as an independent parser reads them."""

from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rigdrop.watch.metrics import Metrics
from rigdrop.watch.status import Snapshot


def _samples(metrics: Metrics) -> dict[tuple[str, tuple], float]:
    families = text_string_to_metric_families(metrics.text().decode("utf-8"))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families for sample in family.samples
    }


def _value(metrics: Metrics, name: str, **labels: str) -> float:
    return _samples(metrics)[f"rigdrop_{name}", tuple(sorted(labels.items()))]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_every_figure_is_ours_and_in_base_units(metrics):
    families = list(text_string_to_metric_families(metrics.text().decode("utf-8")))
    assert {family.name for family in families} == {
        "rigdrop_queue_jobs", "rigdrop_queue_oldest_seconds", "rigdrop_inbox_files", "rigdrop_stage_seconds_per_frame",
        "rigdrop_failures", "rigdrop_beat_age_seconds", "rigdrop_child_memory_bytes", "rigdrop_disk_free_bytes", "rigdrop_jobs",
        "rigdrop_paused",
    }
    assert [family.name for family in families if not family.documentation] == []


def test_a_snapshot_is_what_is_shown(metrics):
    metrics.show(Snapshot(
        worker="rig-1", state="paused", paused="/srv: full", counts={"waiting": 7, "failed": 2}, oldest_waiting_s=12.5,
        inbox={"settling": 3, "ready": 1}, beat_age_s=4.0, child_memory_bytes=10**9, disk_free_bytes={"/srv/踊り \"x\"\n": 5},
    ))
    assert _value(metrics, "queue_jobs", state="waiting") == 7
    assert _value(metrics, "queue_jobs", state="running") == 0
    assert _value(metrics, "queue_jobs", state="failed") == 2
    assert _value(metrics, "queue_oldest_seconds") == 12.5
    assert _value(metrics, "inbox_files", state="settling") == 3
    assert _value(metrics, "inbox_files", state="unopened") == 0
    assert _value(metrics, "paused") == 1
    assert _value(metrics, "beat_age_seconds") == 4.0
    assert _value(metrics, "child_memory_bytes") == 1e9
    assert _value(metrics, "disk_free_bytes", place='/srv/踊り "x"\n') == 5
    metrics.show(Snapshot(worker="rig-1", state="running"))
    assert _value(metrics, "queue_jobs", state="waiting") == 0
    assert _value(metrics, "queue_oldest_seconds") == 0
    assert _value(metrics, "paused") == 0


def test_a_job_that_is_done_tells_each_stages_seconds_for_a_frame(metrics):
    metrics.finished({"frames": 100, "stages": [{"stage": "estimate", "seconds": 15.0}, {"stage": "write usd-skel", "seconds": 0.3}]})
    metrics.finished({"frames": 100, "stages": [{"stage": "estimate", "seconds": 25.0}]})
    assert _value(metrics, "stage_seconds_per_frame_sum", stage="estimate") == pytest.approx(0.40)
    assert _value(metrics, "stage_seconds_per_frame_count", stage="estimate") == 2
    assert _value(metrics, "stage_seconds_per_frame_bucket", stage="estimate", le="0.2") == 1
    assert _value(metrics, "stage_seconds_per_frame_bucket", stage="write usd-skel", le="0.005") == 1
    assert _value(metrics, "jobs_total", outcome="done") == 2


@pytest.mark.parametrize("report", [{}, {"frames": 0, "stages": [{"stage": "fit", "seconds": 1.0}]}, {"frames": 9}])
def test_a_job_without_frames_counts_and_divides_nothing(metrics, report):
    metrics.finished(report)
    assert _value(metrics, "jobs_total", outcome="done") == 1
    assert [name for name, _ in _samples(metrics) if name.startswith("rigdrop_stage")] == []


def test_failures_count_by_code_and_a_cancelled_job_is_none(metrics):
    for code in (66, 66, 70, 143, 75):
        metrics.failed(code)
    assert _value(metrics, "failures_total", code="66") == 2
    assert _value(metrics, "failures_total", code="70") == 1
    assert {labels[0][1] for name, labels in _samples(metrics) if name == "rigdrop_failures_total"} == {"66", "70"}
    assert [_value(metrics, "jobs_total", outcome=outcome) for outcome in ("done", "failed", "cancelled", "handed_back")] == [0, 3, 1, 1]


def test_the_beats_age_is_asked_for_when_somebody_reads(metrics):
    ages = iter([1.0, 99.0])
    metrics.ask_beat_age(lambda: next(ages))
    assert _value(metrics, "beat_age_seconds") == 1.0
    assert _value(metrics, "beat_age_seconds") == 99.0


def test_two_services_in_one_process_share_nothing(metrics):
    other = Metrics()
    other.failed(66)
    assert _value(metrics, "jobs_total", outcome="failed") == 0


def test_reading_while_jobs_end_is_safe(metrics):
    threads = [threading.Thread(target=lambda: [metrics.finished({"frames": 10, "stages": [{"stage": "fit", "seconds": 1.0}]})
                                                for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        _samples(metrics)
    for thread in threads:
        thread.join()
    assert _value(metrics, "jobs_total", outcome="done") == 800
