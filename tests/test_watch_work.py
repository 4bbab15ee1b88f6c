"""What becomes of a job when a step of it goes wrong: in real child processes, on real files."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rigdrop.watch import claim as claims
from rigdrop.watch import work as works
from rigdrop.watch.child import Children
from rigdrop.watch.database import Database
from rigdrop.watch.job import JobSpec
from rigdrop.watch.lease import Lease, Lost
from rigdrop.watch.log import JobLog
from rigdrop.watch.metrics import Metrics
from rigdrop.watch.options import WatchOptions
from rigdrop.watch.queue import Interrupted, JobFailed, QueueClient
from rigdrop.watch.work import Work

from .children import child_environment
from .watch_folders import WORKER, claim_of, drop, tree

OPTIONS = WatchOptions(backoff_s=0.01, retries=2, floor_mb=0.0)


@dataclass
class Bench:
    """A job that has been taken, and who does it."""

    work: Work
    spec: JobSpec
    queue: QueueClient
    steps: list[str]

    def do(self) -> dict[str, Any]:
        """Do the job without a queue: each step is done at once."""
        self.work.queue = self.queue  # type: ignore[assignment]  # a client counts crashes too

        def step(name: str, run: Any) -> dict[str, Any]:
            self.steps.append(name)
            return run()

        return self.work(self.spec, step)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    children = Children({"cpu": 1}, 30.0, "work_steps", environment=child_environment())
    yield children
    children.stop(1.0)


@pytest.fixture
def bench(tmp_path: Path, children: Children, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(works, "_FULL_DISK_POLL_S", 0.01)
    root = tmp_path / "inbox"
    drop(root, "clip.mp4", b"pictures")
    claim = claims.name(claim_of(root, "clip.mp4"), "a-1")
    settings = {"tries": str(tmp_path / "tries"), "times": 0, "how": ""}
    spec = JobSpec("a-1", "a", str(root), "clip.mp4", str(tmp_path / "out"), settings, "sha", claim.size, claim.mtime_ns)
    database = Database.parse(str(tmp_path / "jobs.db"))
    lease, queue = Lease(database, WORKER, 60.0, lambda dead: 0, lambda: None), QueueClient(database)
    lease.start()
    yield Bench(Work(OPTIONS, children, lease, Metrics(), JobLog(io.StringIO())), spec, queue, [])
    lease.stop()
    queue.close()


def _wrong(bench: Bench, how: str, times: int) -> Path:
    bench.spec = replace(bench.spec, settings={**bench.spec.settings, "how": how, "times": times})
    return Path(bench.spec.settings["tries"])


def test_a_job_without_trouble_publishes_its_take_and_moves_its_source(bench, tmp_path):
    result = bench.do()
    assert bench.steps == ["probe", "act", "report", "publish", "tell"]
    assert result["folder"] == str(tmp_path / "out" / "clip") and result["people"] == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip"]
    assert tree(tmp_path / "inbox")["done/clip.mp4"] == b"pictures" and claims.find(tmp_path / "inbox", "a-1") is None


def test_the_inbox_of_a_job_is_remembered(bench, tmp_path):
    assert bench.work.roots() == set()
    bench.do()
    assert bench.work.roots() == {tmp_path / "inbox"}


def test_a_source_that_stays_lies_where_it_lay(bench, tmp_path):
    bench.spec = replace(bench.spec, sources="stay")
    assert bench.do()["source"] == str(tmp_path / "inbox" / "clip.mp4")


def test_a_child_that_dies_is_replaced_and_the_step_done_again(bench):
    tries = _wrong(bench, "crash", OPTIONS.retries)
    bench.do()
    assert len(tries.read_text()) == OPTIONS.retries + 1 and bench.steps.count("act") == 1
    assert bench.queue.add_crash("a-1") == OPTIONS.retries + 1


def test_a_child_that_dies_each_time_fails_the_job_with_a_reason(bench, tmp_path):
    tries = _wrong(bench, "crash", 99)
    with pytest.raises(JobFailed, match=r"clip\.mp4: act: the process that worked on it .*segmentation fault.*, 3 times in all") as failed:
        bench.do()
    assert failed.value.code == 70 and len(tries.read_text()) == OPTIONS.retries + 1
    assert bench.steps[-2:] == ["fail", "tell"]
    assert tree(tmp_path / "inbox" / "failed" / "a-1")["clip.mp4"] == b"pictures"


def test_what_is_wrong_with_the_input_fails_at_once_in_plain_words(bench, tmp_path):
    tries = _wrong(bench, "bad", 99)
    with pytest.raises(JobFailed) as failed:
        bench.do()
    # Where it lay while it was worked on means nothing to anybody.
    assert (failed.value.reason, failed.value.code) == ("clip.mp4: found a film of cats, expected people", 66)
    assert len(tries.read_text()) == 1
    assert failed.value.reason in (tmp_path / "inbox" / "failed" / "a-1" / "error.txt").read_text()
    assert not (tmp_path / "out" / ".rigdrop").exists()


def test_a_full_disk_is_waited_for_and_fails_nothing(bench, tmp_path):
    tries = _wrong(bench, "full", 3)
    bench.do()
    assert len(tries.read_text()) == 4 and bench.work.paused is None
    events = [json.loads(line)["event"] for line in (tmp_path / "inbox" / ".rigdrop" / "logs" / "a-1.jsonl").read_text().splitlines()]
    assert events.count("paused") == events.count("resumed") == 3
    assert bench.queue.add_crash("a-1") == 1  # no crash was counted


def _waits_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited for, instead of waiting."""
    waits: list[float] = []
    monkeypatch.setattr(bench.work, "_pause", lambda seconds, spec: waits.append(seconds))
    return waits


def test_where_no_place_of_ours_is_full_another_try_comes_later_and_later(bench, monkeypatch):
    _wrong(bench, "full", 9)
    monkeypatch.setattr(works, "_FULL_DISK_POLL_S", 2.0)
    waits = _waits_of(bench, monkeypatch)
    bench.do()
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_place_of_ours_that_is_full_is_looked_at_every_two_seconds(bench, monkeypatch):
    _wrong(bench, "full", 3)
    monkeypatch.setattr(works, "_FULL_DISK_POLL_S", 2.0)
    # Full when the write was refused and at the first look, and well at the second: 3 times.
    full = iter(["out: 0 MB are free", "out: 0 MB are free", None] * 3)
    monkeypatch.setattr(works, "too_full", lambda places, floor_mb: next(full))
    waits = _waits_of(bench, monkeypatch)
    bench.do()
    assert waits == [2] * 6


@pytest.mark.parametrize(("how", "count"), [("full", 2), ("full parts", 3)])
def test_the_folder_of_the_parts_is_looked_at_where_it_was_the_full_one(bench, tmp_path, monkeypatch, how, count):
    monkeypatch.setenv("RIGDROP_ASSETS", str(tmp_path / "parts"))
    environment = {**child_environment(), "RIGDROP_ASSETS": str(tmp_path / "parts")}
    bench.work.children = own = Children({"cpu": 1}, 30.0, "work_steps", environment=environment)
    _wrong(bench, how, 1)
    looked: list[list[Path]] = []
    monkeypatch.setattr(works, "too_full", lambda places, floor_mb: looked.append(list(places)))
    try:
        bench.do()
    finally:
        own.stop(1.0)
    assert looked[0] == [tmp_path / "out", tmp_path / "inbox", tmp_path / "parts"][:count]


def test_a_job_that_is_cancelled_while_it_waits_for_room_gives_its_slot_back(bench, monkeypatch):
    tries = _wrong(bench, "full", 99)
    monkeypatch.setattr(works, "too_full", lambda places, floor_mb: "out: 0 MB are free" if tries.exists() else None)
    real = bench.work.log.event

    def event(spec, what, /, **fields):
        real(spec, what, **fields)
        if what == "paused":
            bench.work.cancel(spec.job)

    monkeypatch.setattr(bench.work.log, "event", event)
    with pytest.raises(JobFailed, match="cancelled"):
        bench.do()
    assert bench.work.paused is None and len(tries.read_text()) == 1


def test_a_source_that_changes_is_handed_back(bench, tmp_path):
    _wrong(bench, "grows", 99)
    with pytest.raises(JobFailed, match="changed after it was taken") as failed:
        bench.do()
    assert failed.value.code == 75
    assert tree(tmp_path / "inbox")["clip.mp4"] == b"picturesmore" and not (tmp_path / "inbox" / "failed").exists()


def test_what_was_refused_never_begins(bench, tmp_path):
    bench.spec = replace(bench.spec, refused="clip.mp4.toml: qualty: found an unknown key", refused_code=78)
    with pytest.raises(JobFailed, match="qualty"):
        bench.do()
    assert bench.steps == ["fail", "tell"] and (tmp_path / "inbox" / "failed" / "a-1" / "error.txt").exists()


def test_a_service_that_stops_leaves_the_job_as_it_is(bench, tmp_path):
    bench.work.stopping.set()
    with pytest.raises(Interrupted):
        bench.do()
    assert bench.steps == ["probe"] and claims.find(tmp_path / "inbox", "a-1") is not None


def test_nothing_is_published_after_the_lease(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.work.lease, "_beaten_s", float("-inf"))
    with pytest.raises(Lost):
        bench.do()
    assert not (tmp_path / "out").exists() and claims.find(tmp_path / "inbox", "a-1") is not None


def test_a_job_that_is_cancelled_is_stopped(bench):
    bench.work._stops["a-1"] = stop = threading.Event()
    stop.set()
    with pytest.raises(JobFailed, match="cancelled") as failed:
        bench.do()
    assert failed.value.code == 143
