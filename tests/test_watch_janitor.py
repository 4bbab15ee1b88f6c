"""What nobody sees to any more is settled: cancelled jobs, what a dead worker had taken, old logs."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigdrop.watch import claim as claims
from rigdrop.watch.child import Children
from rigdrop.watch.database import Database
from rigdrop.watch.janitor import Janitor
from rigdrop.watch.job import JobSpec, logs_folder
from rigdrop.watch.lease import Lease
from rigdrop.watch.log import JobLog
from rigdrop.watch.metrics import Metrics
from rigdrop.watch.options import WatchOptions
from rigdrop.watch.queue import Queue
from rigdrop.watch.staging import reserve_name
from rigdrop.watch.work import Work

from .watch_folders import WORKER, claim_of, drop, tree


@pytest.fixture
def janitor(tmp_path: Path) -> Iterator[Janitor]:
    database, log, options = Database.parse(str(tmp_path / "jobs.db")), JobLog(io.StringIO()), WatchOptions()
    work = Work(options, Children({}, 1.0), Lease(database, WORKER, 60.0, lambda dead: 0, lambda: None), Metrics(), log)
    queue = Queue(database, WORKER, {"cpu": 1}, work)  # not started: its jobs wait
    yield Janitor((tmp_path / "inbox",), options, WORKER, queue, work, log)
    queue.close()


def _submitted(janitor: Janitor, job: str = "a-1") -> JobSpec:
    root = janitor.roots[0]
    drop(root, "shots/clip.mp4", b"pictures", sidecar="quality = 'high'\n")
    claim = claims.name(claim_of(root, "shots/clip.mp4"), job)
    spec = JobSpec(job, job[:-2], str(root), claim.relative, str(root.parent / "out"), {}, "sha", claim.size, claim.mtime_ns)
    janitor.queue.submit(spec)
    return spec


def test_a_job_that_waits_keeps_its_claim(janitor):
    spec = _submitted(janitor)
    janitor.turn()
    assert claims.find(janitor.roots[0], spec.job) is not None


def test_a_cancelled_job_goes_to_failed_with_its_reason_and_leaves_nothing(janitor):
    spec = _submitted(janitor)
    reserve_name(Path(spec.out), "clip", spec.job)
    assert janitor.queue.cancel(spec.job)
    for _ in range(2):
        janitor.turn()
    found = tree(janitor.roots[0])
    assert (found["failed/a-1/clip.mp4"], found["failed/a-1/clip.mp4.toml"]) == (b"pictures", b"quality = 'high'\n")
    assert b"cancelled by somebody; rigdrop jobs retry a-1" in found["failed/a-1/error.txt"]
    assert claims.find(janitor.roots[0], spec.job) is None and not list(Path(spec.out).iterdir())


def test_the_claims_of_a_dead_worker_become_ours(janitor):
    drop(janitor.roots[0], "clip.mp4")
    claims.name(claim_of(janitor.roots[0], "clip.mp4", "dead-1"), "b-1")
    janitor.inherit("dead-1")
    assert [job for job, _ in claims.named(janitor.roots[0], WORKER)] == ["b-1"]


def test_what_a_worker_that_left_had_taken_is_settled_when_its_job_is_cancelled(janitor):
    spec = _submitted(janitor)
    (janitor.roots[0] / ".rigdrop" / "claims" / WORKER).rename(janitor.roots[0] / ".rigdrop" / "claims" / "gone-1")
    janitor.tidy()
    assert claims.find(janitor.roots[0], spec.job) is not None
    assert janitor.queue.cancel(spec.job)
    janitor.tidy()
    assert claims.find(janitor.roots[0], spec.job) is None and (janitor.roots[0] / "failed" / "a-1" / "clip.mp4").exists()


def test_old_logs_go_and_those_of_live_jobs_stay(janitor):
    spec = _submitted(janitor)
    folder = logs_folder(janitor.roots[0])
    folder.mkdir(parents=True)
    for name in (spec.job, "old-1", "new-1"):
        (folder / f"{name}.jsonl").touch()
        if name != "new-1":
            os.utime(folder / f"{name}.jsonl", (0, 0))
    janitor.tidy()
    assert sorted(path.stem for path in folder.iterdir()) == ["a-1", "new-1"]
