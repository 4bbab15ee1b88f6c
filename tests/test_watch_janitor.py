"""What nobody sees to any more is settled: cancelled jobs, what a dead worker had taken, old logs."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rigdrop.watch import claim as claims
from rigdrop.watch import tables
from rigdrop.watch.child import Children
from rigdrop.watch.database import Database
from rigdrop.watch.janitor import Janitor
from rigdrop.watch.job import JobSpec, logs_folder
from rigdrop.watch.lease import Lease
from rigdrop.watch.log import JobLog
from rigdrop.watch.metrics import Metrics
from rigdrop.watch.options import WatchOptions
from rigdrop.watch.queue import JobFailed, Queue
from rigdrop.watch.staging import reserve_name
from rigdrop.watch.work import Work

from .watch_folders import WORKER, claim_of, drop, tree
from .watch_values import a_spec
from .watch_workers import running, until

_END = a_spec("the end.mp4", root="/nowhere")


@pytest.fixture
def said() -> io.StringIO:
    """What the service says."""
    return io.StringIO()


@pytest.fixture
def janitor(tmp_path: Path, said: io.StringIO) -> Iterator[Janitor]:
    (tmp_path / "inbox").mkdir()
    database, log, options = Database.parse(str(tmp_path / "jobs.db")), JobLog(said), WatchOptions()
    lease = Lease(database, WORKER, 60.0, lambda dead: 0, lambda: None)
    work = Work(replace(options, on_finish=_listener(tmp_path)), Children({}, 1.0), lease, Metrics(), log)
    queue = Queue(database, WORKER, {"cpu": 1}, work)  # not started: its jobs wait
    lease.start()
    yield Janitor((tmp_path / "inbox",), options, WORKER, queue, work, log)
    lease.stop()
    queue.close()


def _listener(folder: Path) -> str:
    """A program that keeps all that it is told."""
    script = folder / "listen.py"
    script.write_text(f"import sys\nopen({str(folder / 'told')!r}, 'a').write(sys.stdin.read() + '\\n')\n", encoding="utf-8")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}"


def _told(janitor: Janitor) -> list[dict[str, Any]]:
    """All that was told, when it has been told."""
    janitor.work.settled(_END, "cancelled", "the end", 143)  # they are told in turn
    path = janitor.roots[0].parent / "told"
    lines = until(lambda: path.exists() and (lines := path.read_text(encoding="utf-8").splitlines()) and "the end" in lines[-1] and lines)
    return [json.loads(line) for line in lines[:-1]]


def _counted(janitor: Janitor) -> dict[str, int]:
    """How many jobs came to each end."""
    found = re.findall(r'rigdrop_jobs_total\{outcome="(\w+)"\} (\S+)', janitor.work.metrics.text().decode())
    return {outcome: int(float(count)) for outcome, count in found if float(count)}


def _submitted(janitor: Janitor, job: str = "a-1", inbox: str = "inbox") -> JobSpec:
    root = janitor.roots[0].with_name(inbox)
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


def test_a_cancelled_job_is_counted_and_told_once(janitor):
    spec = _submitted(janitor)
    janitor.queue.cancel(spec.job)
    for _ in range(3):
        janitor.turn()
    assert _counted(janitor) == {"cancelled": 1}
    reason = "shots/clip.mp4: cancelled by somebody; rigdrop jobs retry a-1 does it after all"
    place = {"job": "a-1", "root": spec.root, "relative": "shots/clip.mp4"}
    assert _told(janitor) == [{**place, "state": "cancelled", "reason": reason, "code": 143}]


def test_a_job_that_was_given_up_is_counted_and_told_once(janitor):
    spec = _submitted(janitor)
    with janitor.queue._engine.begin() as connection:  # as dbos notes it
        connection.execute(tables.jobs.update().values(status="MAX_RECOVERY_ATTEMPTS_EXCEEDED", recovery_attempts=5))
    for _ in range(3):
        janitor.turn()
    assert _counted(janitor) == {"failed": 1}
    (told,) = _told(janitor)
    assert (told["job"], told["state"], told["code"]) == (spec.job, "failed", 70) and "4 times in all" in told["reason"]


def test_a_job_that_has_told_how_it_ended_is_not_told_of_again(janitor, tmp_path):
    def work(spec, step):
        step("fail", lambda: {})
        raise JobFailed("found cats", 66)

    spec = _submitted(janitor)
    janitor.queue.close()
    with running(Database.parse(str(tmp_path / "jobs.db")), work, WORKER) as queue:
        until(lambda: queue.state(spec.job) == "failed" and not queue.running())
        replace(janitor, queue=queue).turn()
    assert (janitor.roots[0] / "failed" / "a-1" / "clip.mp4").exists()
    assert _counted(janitor) == {} and _told(janitor) == []


def test_what_cannot_be_told_holds_up_nothing(janitor, said):
    working, janitor.work.options = janitor.work.options, replace(janitor.work.options, on_finish="/nobody/home", webhook="no address")
    janitor.work.settled(_END, "cancelled", "first", 143)
    until(lambda: "was not: SettingsError('webhook: found no http" in said.getvalue())
    janitor.work.options = working
    assert _told(janitor) == []


@pytest.mark.parametrize("known_by", ["having done it", "the database"])
def test_a_cancelled_job_of_another_services_inbox_is_settled_by_who_did_it(janitor, known_by):
    spec = _submitted(janitor, inbox="theirs")
    janitor.queue.cancel(spec.job)
    janitor.turn()
    theirs = Path(spec.root)
    assert claims.find(theirs, spec.job) is not None
    if known_by == "the database":  # we were started again meanwhile
        janitor.tidy()
    else:
        janitor.work.was_in(theirs)
    janitor.turn()
    assert claims.find(theirs, spec.job) is None and tree(theirs)["failed/a-1/clip.mp4"] == b"pictures"
    assert _counted(janitor) == {"cancelled": 1} and len(_told(janitor)) == 1


def test_a_job_of_another_services_inbox_that_is_not_ours_or_goes_on_is_let_alone(janitor):
    theirs = janitor.roots[0].with_name("theirs")
    for job, worker in (("a-1", WORKER), ("b-1", "another")):
        drop(theirs, f"{job}.mp4")
        claim = claims.name(claim_of(theirs, f"{job}.mp4", worker), job)
        janitor.queue.submit(JobSpec(job, job, str(theirs), claim.relative, str(theirs.parent / "out"), {}, "sha", 1, 1))
    janitor.queue.cancel("b-1")
    janitor.tidy()
    janitor.turn()
    assert claims.find(theirs, "a-1") is not None and claims.find(theirs, "b-1") is not None


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
