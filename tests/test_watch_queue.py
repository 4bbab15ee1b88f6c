from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from rigdrop.errors import ReadError, RigdropError, Stopped, TryAgainError, WriteError
from rigdrop.watch import queue as module
from rigdrop.watch.database import Database
from rigdrop.watch.queue import Interrupted, JobFailed, Queue, QueueClient

from .postgres import Server, postgres  # noqa: F401 (a fixture)
from .watch_values import a_spec
from .watch_workers import Workers, client, database, file, quick, running, until, workers  # noqa: F401 (fixtures)


def ends(queue: QueueClient, job: str) -> str:
    return until(lambda: (state := queue.state(job)) in ("done", "failed", "cancelled") and state)


class Held:
    """A job whose second step stays at work until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.done: list[str] = []
        self.queue: Queue | None = None

    def __call__(self, spec, step):
        for name in ("one", "two", "three"):
            step(name, lambda name=name: self._do(name))
        return {"steps": self.done}

    def _do(self, name):
        if name == "two":
            self.begun.set()
            while not self.go_on.wait(0.01):
                if self.queue is not None and self.queue._stopping.is_set():
                    raise Stopped("asked to")
        self.done.append(name)
        return {"name": name}


def test_a_job_waits_runs_and_is_done(database):  # noqa: F811
    spec = a_spec("踊り 🕺.mp4", settings={"max-people": 2, "camera": None, "formats": ["a", "b"]})
    seen = []

    def work(given, step):
        seen.append((given, step("estimate", lambda: {"frames": 90}), step("fit", lambda: {"people": (1, 2)})))
        return {"folder": "/out/踊り"}

    with running(database, work) as queue:
        assert queue.submit(spec)
        assert ends(queue, spec.job) == "done"
        told = queue.show(spec.job)
    assert seen == [(spec, {"frames": 90}, {"people": [1, 2]})]
    assert (told.spec, told.result, told.worker, told.reason, told.crashes) == (spec, {"folder": "/out/踊り"}, "w", None, 0)
    assert [(step.name, step.error) for step in told.steps] == [("estimate", None), ("fit", None)]
    assert told.submitted_utc <= told.started_utc <= told.ended_utc
    assert all(step.seconds >= 0 and step.started_utc.endswith("+00:00") for step in told.steps)


def test_the_same_id_is_submitted_once(database):  # noqa: F811
    spec = a_spec()
    with client(database) as own:
        queue = Queue(database, "w", {"cpu": 1}, lambda spec, step: {})
        assert queue.submit(spec) and not queue.submit(a_spec(size_bytes=6))
        assert [job.spec for job in own.list()] == [spec]
        queue.close()


def test_two_that_submit_the_same_at_once_make_one_job(database):  # noqa: F811
    queues = [Queue(database, f"w{number}", {"cpu": 1}, lambda spec, step: {}) for number in range(2)]
    told: list[bool] = []

    def submit(queue):
        told.extend(queue.submit(a_spec(number=number)) for number in range(20))

    threads = [threading.Thread(target=submit, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (told.count(True), told.count(False)) == (20, 20)
    assert queues[0].counts()["waiting"] == 20
    for queue in queues:
        queue.close()


def test_a_failure_keeps_its_reason_and_code(database):  # noqa: F811
    def work(spec, step):
        raise JobFailed(f"{spec.relative}: is no video; drop one", ReadError.exit_code)

    with running(database, work) as queue:
        queue.submit(a_spec("クリップ.mp4"))
        assert ends(queue, a_spec("クリップ.mp4").job) == "failed"
        told = queue.show(a_spec("クリップ.mp4").job)
    assert (told.reason, told.code, told.result) == ("クリップ.mp4: is no video; drop one", 66, None)


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (JobFailed("as it is", 66), "as it is", 66),
        (WriteError("no room"), "no room", 74),
        (ZeroDivisionError("oh"), "a fault of ours (ZeroDivisionError('oh')); please report this", 70),
        (OSError(errno.EIO, "I/O error"), "a fault of ours (OSError(5, 'I/O error')); please report this", 70),
        (JobFailed("a\udcff.mp4: broken", 66), "a\\udcff.mp4: broken", 66),
    ],
)
@pytest.mark.parametrize("where", ["in a step", "between steps"])
def test_whatever_goes_wrong_is_a_failure_with_a_reason(file, error, reason, code, where):  # noqa: F811
    caught = []

    def fail():
        raise error

    def work(spec, step):
        if where == "between steps":
            fail()
        try:
            step("fit", fail)
        except JobFailed as failure:
            caught.append((failure.reason, failure.code))
            raise

    with running(file, work) as queue:
        queue.submit(a_spec())
        assert ends(queue, a_spec().job) == "failed"
        told = queue.show(a_spec().job)
    assert (told.reason, told.code) == (reason, code)
    if where == "in a step":
        assert caught == [(reason, code)] and [step.error for step in told.steps] == [reason]


def test_a_step_that_returns_what_json_has_no_word_for_is_our_fault(file):  # noqa: F811
    with running(file, lambda spec, step: step("fit", lambda: {"path": Path("a")})) as queue:
        queue.submit(a_spec())
        assert ends(queue, a_spec().job) == "failed"
        assert "PosixPath" in queue.show(a_spec().job).reason or "WindowsPath" in queue.show(a_spec().job).reason


def test_names_that_are_not_unicode_go_through_unharmed(database):  # noqa: F811
    spec = a_spec("caf\udce9/clip\udcff.mp4")
    got = []

    def work(given, step):
        got.append(step("one", lambda: {"source": given.relative, "all": [given.relative, {"deep": given.relative}]}))
        return {"source": given.relative}

    with running(database, work) as queue:
        queue.submit(spec)
        ends(queue, spec.job)
        told = queue.show(spec.job)
    assert (told.spec, told.result) == (spec, {"source": spec.relative})
    assert got == [{"source": spec.relative, "all": [spec.relative, {"deep": spec.relative}]}]


def test_a_failed_step_fails_the_same_way_when_the_job_goes_on(database):  # noqa: F811
    """What a step raised is kept; the job, interrupted before its end, gets it again and does not do the step again."""
    caught, done = [], []

    def work(spec, step):
        try:
            step("fit", lambda: done.append(1) or (_ for _ in ()).throw(JobFailed("no people", 66)))
        except JobFailed as failure:
            caught.append((failure.reason, failure.code))
        if len(caught) == 1:
            raise Interrupted
        return step("after", lambda: {"ok": True})

    with running(database, work) as queue:
        queue.submit(a_spec())
        until(lambda: caught)
        assert ends(queue, a_spec().job) == "done"
    assert caught == [("no people", 66)] * 2 and done == [1]


def test_as_many_run_as_there_are_slots_for_each_device(database):  # noqa: F811
    at_work, most, lock, together = {"cpu": 0, "gpu": 0}, {"cpu": 0, "gpu": 0}, threading.Lock(), threading.Barrier(3)

    def do(device):
        with lock:
            at_work[device] += 1
            most[device] = max(most[device], at_work[device])
        together.wait(30)  # two on the processor and one on the GPU, or nobody goes on
        with lock:
            at_work[device] -= 1
        return {}

    with running(database, lambda spec, step: step("one", lambda: do(spec.device)), cpu=2, gpu=1) as queue:
        specs = [a_spec("c", number=n) for n in range(6)] + [a_spec("g", number=n, device="gpu") for n in range(3)]
        for spec in specs:
            queue.submit(spec)
        until(lambda: queue.counts()["done"] == 9)
    assert most == {"cpu": 2, "gpu": 1}


def test_jobs_run_in_the_order_in_which_they_came(file):  # noqa: F811
    order = []
    names = [f"{name}.mp4" for name in "qwertzuiop"]
    with client(file) as own:
        queue = Queue(file, "w", {"cpu": 1}, lambda spec, step: order.append(spec.relative) or {})
        for name in names:
            queue.submit(a_spec(name))
        assert [job.spec.relative for job in own.list()] == names
        assert [job.spec.relative for job in own.list(limit=3, newest_first=True)] == names[:-4:-1]
        queue.start()
        until(lambda: own.counts()["done"] == 10)
        queue.stop(release=True)
        queue.close()
    assert order == names


def test_a_device_without_slots_gets_no_jobs(file):  # noqa: F811
    with running(file, lambda spec, step: {}, cpu=1, gpu=0) as queue:
        queue.submit(a_spec("g", device="gpu"))
        queue.submit(a_spec("c"))
        ends(queue, a_spec("c").job)
        assert queue.state(a_spec("g").job) == "waiting"


def test_a_paused_queue_starts_nothing_until_it_goes_on(file):  # noqa: F811
    with running(file, lambda spec, step: {}) as queue:
        queue.pause()
        queue.submit(a_spec())
        threading.Event().wait(0.3)  # several looks
        assert queue.state(a_spec().job) == "waiting"
        queue.resume()
        assert ends(queue, a_spec().job) == "done"


def test_a_job_that_waits_is_cancelled_for_good(database):  # noqa: F811
    done = []
    with client(database) as own:
        queue = Queue(database, "w", {"cpu": 1}, lambda spec, step: done.append(spec.job) or {})
        queue.submit(a_spec("a"))
        queue.submit(a_spec("b"))
        assert own.cancel(a_spec("a").job)
        assert not own.cancel(a_spec("a").job) and not own.cancel("nobody-1")
        queue.start()
        ends(queue, a_spec("b").job)
        assert not own.cancel(a_spec("b").job)
        queue.stop(release=True)
        queue.close()
        assert done == [a_spec("b").job]
        assert own.counts() == {"waiting": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 1}


def test_a_job_that_runs_is_left_at_its_next_step_when_it_is_cancelled(database):  # noqa: F811
    work, left = Held(), []

    def wrapped(spec, step):
        try:
            return work(spec, step)
        except Exception as error:  # as careless code has it; it must not hold up what passes by here
            left.append(error)
        except BaseException as error:
            left.append(type(error))
            raise

    with running(database, wrapped) as queue, client(database) as own:
        queue.submit(a_spec())
        work.begun.wait(30)
        assert own.cancel(a_spec().job)
        assert queue.running() == [a_spec().job]
        work.go_on.set()
        until(lambda: not queue.running())
        told = own.show(a_spec().job)
    assert left == [Interrupted]
    assert told.state == "cancelled" and [step.name for step in told.steps] == ["one"]
    assert work.done == ["one", "two"]


def test_a_clean_stop_hands_jobs_back_to_their_queue_without_an_attempt(database):  # noqa: F811
    with client(database) as own:
        for _ in range(6):  # more often than a job may be recovered
            work = Held()
            with running(database, work, cpu=0, gpu=1) as queue:
                work.queue = queue
                queue.submit(a_spec(device="gpu"))
                work.begun.wait(30)
            told = own.show(a_spec().job)
            assert (told.state, [step.name for step in told.steps]) == ("waiting", ["one"])
            table = module.tables.jobs.c
            with own._records.engine.connect() as connection:
                row = connection.execute(sa.select(table.queue_name, table.recovery_attempts, table.owner_xid)).one()
            assert tuple(row) == ("rigdrop-gpu", 0, None)
        work = Held()
        work.go_on.set()
        with running(database, work, worker="another", cpu=0, gpu=1):
            assert ends(own, a_spec().job) == "done"
        assert work.done == ["two", "three"]


def test_a_worker_that_keeps_its_jobs_goes_on_with_them(database):  # noqa: F811
    work = Held()
    with running(database, work, release=False) as queue:
        work.queue = queue
        queue.submit(a_spec())
        work.begun.wait(30)
    with client(database) as own:
        assert own.state(a_spec().job) == "running"
        with running(database, lambda spec, step: {}, worker="another"):
            threading.Event().wait(0.3)
            assert own.state(a_spec().job) == "running"
        work.go_on.set()
        with running(database, work):
            assert ends(own, a_spec().job) == "done"
    assert work.done == ["one", "two", "three"]


def test_a_stop_starts_no_more_jobs_while_it_waits_for_others(file):  # noqa: F811
    starts = []

    def work(spec, step):
        starts.append(spec.relative)
        until(lambda: queue._stopping.is_set())
        queue.submit(a_spec("late"))
        threading.Event().wait(0.3)
        raise Interrupted

    with running(file, work, cpu=2) as queue:
        queue.submit(a_spec("early"))
        until(lambda: starts)
    with client(file) as own:
        assert own.counts()["waiting"] == 2
    assert starts == ["early"]


def test_a_job_that_was_taken_over_between_two_steps_does_not_begin_the_next(database):  # noqa: F811
    handed_back, runs, done = [], [], []

    def work(spec, step):
        runs.append(1)
        step("one", lambda: {})
        if not handed_back:
            handed_back.extend(queue._records.hand_back("w"))  # as a worker does that thinks that we are dead
        return step("two", lambda: done.append(len(runs)) or {"end": True})

    with running(database, work) as queue:
        queue.submit(a_spec())
        assert ends(queue, a_spec().job) == "done"
    # Once, and not by the run that lost the job; on a busy machine the database may have interrupted another.
    assert handed_back == [a_spec().job] and len(done) == 1 and done[0] >= 2


def test_a_job_that_does_not_stop_is_told_of_and_does_no_harm(file, monkeypatch):  # noqa: F811
    monkeypatch.setattr(module, "_PATIENCE_S", 0.2)
    work = Held()  # knows of no stop
    queue = Queue(file, "w", {"cpu": 1}, work)
    queue.start()
    queue.submit(a_spec())
    work.begun.wait(30)
    assert not queue.stop(release=True)
    with running(file, lambda spec, step: {"by": "another"}, worker="another") as other:
        assert ends(other, a_spec().job) == "done"
        work.go_on.set()
        until(lambda: not queue.running())
        told = other.show(a_spec().job)
    queue.close()
    assert told.result == {"by": "another"} and [step.name for step in told.steps] == ["one"]
    assert work.done == ["one", "two"]
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("dbos")])


def test_nothing_is_left_behind_in_the_process(database):  # noqa: F811
    before = set(threading.enumerate())
    for _ in range(2):
        with running(database, lambda spec, step: step("one", lambda: {}), cpu=2, gpu=1) as queue:
            queue.submit(a_spec())
            ends(queue, a_spec().job)
    assert set(threading.enumerate()) == before


def test_one_queue_runs_in_a_process(file, tmp_path):  # noqa: F811
    with running(file, lambda spec, step: {}):
        second = Queue(Database.parse(str(tmp_path / "other.db")), "w", {"cpu": 1}, lambda spec, step: {})
        with pytest.raises(RigdropError, match="one runs in this process"):
            second.start()
        assert second.stop(release=True)
        second.close()


def test_a_start_that_fails_leaves_the_way_free(file, monkeypatch):  # noqa: F811
    queue = Queue(file, "w", {"cpu": 1}, lambda spec, step: {})
    with monkeypatch.context() as broken:
        broken.setattr(module.DBOS, "launch", lambda: (_ for _ in ()).throw(OSError("no")))
        with pytest.raises(OSError, match="no"):
            queue.start()
    queue.close()
    with running(file, lambda spec, step: {}) as queue:
        queue.submit(a_spec())
        assert ends(queue, a_spec().job) == "done"


def test_an_unknown_job_is_nothing(file):  # noqa: F811
    with client(file) as own:
        assert own.show("nobody-1") is None and own.state("nobody-1") is None
        assert own.list() == [] and own.of_key("ab") == [] and own.workers() == []
        assert own.oldest_waiting_s() is None and set(own.counts().values()) == {0}


def test_jobs_of_one_key_come_in_their_own_order(database):  # noqa: F811
    queue = Queue(database, "w", {"cpu": 1}, lambda spec, step: {})
    for number in (2, 10, 1, 3):
        queue.submit(a_spec(number=number))
    queue.submit(a_spec("other"))
    key = a_spec().key
    queue.submit(a_spec(job=f"{key[:16]}-4", key=f"{key[:16]}{'0' * 48}"))  # the same beginning, and nothing else
    assert [job.job.rpartition("-")[2] for job in queue.of_key(key)] == ["1", "2", "3", "10"]
    assert queue.of_key("%" * 64) == [] and queue.of_key("_" * 64) == []
    queue.close()


def test_how_long_the_oldest_waits_goes_by_the_database_s_clock(database):  # noqa: F811
    queue = Queue(database, "w", {"cpu": 1}, lambda spec, step: {})
    queue.submit(a_spec("a"))
    queue.submit(a_spec("b"))
    with queue._records.engine.begin() as connection:
        old = module.tables.jobs.update().where(module.tables.jobs.c.workflow_uuid == a_spec("b").job)
        connection.execute(old.values(created_at=module.tables.jobs.c.created_at - 100_000))
    assert 99 <= queue.oldest_waiting_s() < 160
    queue.close()


def test_thousands_of_jobs_are_counted_without_reading_them(database):  # noqa: F811
    queue = Queue(database, "w", {"cpu": 1}, lambda spec, step: {})
    queue.submit(a_spec("0.mp4"))
    _multiply(queue, 9_999)
    asked: list[str] = []
    sa.event.listen(queue._engine, "before_cursor_execute", lambda *all: asked.append(all[2]))
    assert queue.counts()["waiting"] == 10_000
    assert queue.oldest_waiting_s() is not None
    assert queue.state(a_spec("0.mp4").job) == "waiting"
    assert len(asked) == 3 and not any("workflow_input" in statement for statement in asked)
    assert len(queue.list(("waiting",), limit=20)) == 20
    assert len(asked) == 4 and "LIMIT" in asked[-1]
    assert len(queue.list()) == 10_000
    queue.close()


def _multiply(queue: Queue, count: int) -> None:
    """Copy the only job ``count`` times, with ids of their own: submitting as many would take a minute."""
    series = (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})" if queue.database.is_sqlite
        else f"WITH n AS (SELECT generate_series(1, {count}) AS i)"
    )
    schema = "" if queue.database.is_sqlite else "rigdrop."
    with queue._engine.begin() as connection:
        for table in ("workflow_status", "workflow_input"):
            row = connection.exec_driver_sql(f"SELECT * FROM {schema}{table}")
            columns = [name for name in row.keys() if name != "workflow_uuid"]  # noqa: SIM118 (a result is no mapping)
            row.close()
            names = ", ".join(f'"{name}"' for name in columns)
            connection.exec_driver_sql(
                f"{series} INSERT INTO {schema}{table} (workflow_uuid, {names}) "
                f"SELECT workflow_uuid || '.' || i, {names} FROM {schema}{table}, n"
            )


def test_progress_reaches_the_database_once_a_second(database, monkeypatch):  # noqa: F811
    work, now_s = Held(), [100.0]
    with running(database, work) as queue, client(database) as own:
        work.queue = queue
        queue.submit(a_spec())
        work.begun.wait(30)
        asked: list[str] = []
        sa.event.listen(queue._engine, "before_cursor_execute", lambda *all: asked.append(all[2]) if "rigdrop_progress" in all[2] else None)
        monkeypatch.setattr(module.time, "monotonic", lambda: now_s[0])
        for done in range(100):
            now_s[0] += 0.03
            queue.progress(a_spec().job, "two", done, 100)
        told = own.show(a_spec().job)
        monkeypatch.undo()
        assert (told.step, told.done, told.total) == ("two", 68, 100)
        assert len([statement for statement in asked if "INSERT" in statement]) == 3
        work.go_on.set()
        assert ends(queue, a_spec().job) == "done"
        told = own.show(a_spec().job)
    assert (told.step, told.done, told.total) == (None, 0, None)


def test_progress_never_fails_a_job(file):  # noqa: F811
    with client(file) as own:
        with own._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE rigdrop_progress")
        own.progress("a-1", "fit", 1, 2)


def test_crashes_are_counted_for_good(database):  # noqa: F811
    queue = Queue(database, "w", {"cpu": 1}, lambda spec, step: {})
    queue.submit(a_spec())
    assert [queue.add_crash(a_spec().job) for _ in range(2)] == [1, 2]
    queue.close()
    with client(database) as own:
        assert own.add_crash(a_spec().job) == 3 and own.add_crash("another-1") == 1
        assert own.show(a_spec().job).crashes == 3


def test_a_killed_worker_goes_on_with_the_step_that_it_was_at(database, workers: Workers):  # noqa: F811
    workers.hold("two")
    first = workers.start(database, "a")
    workers.ready(first)
    with client(database) as own:
        queue = Queue(database, "me", {}, lambda spec, step: {})
        queue.submit(a_spec())
        until(lambda: workers.journal("two", "begin"))
        workers.kill(first)
        assert own.state(a_spec().job) == "running"
        workers.let_go("two")
        again = workers.start(database, "a")
        workers.ready(again)
        assert ends(own, a_spec().job) == "done"
        assert own.show(a_spec().job).result == {"by": ["a", "a", "a"]}
        assert workers.tell(again, "stop") == ""
        queue.close()
    counted = {step: (len(workers.journal(step, "begin")), len(workers.journal(step, "end"))) for step in ("one", "two", "three")}
    assert counted == {"one": (1, 1), "two": (2, 1), "three": (1, 1)}


def test_two_workers_share_the_jobs_and_do_each_once(database, workers: Workers):  # noqa: F811
    both = [workers.start(database, name, cpu=2) for name in "ab"]
    workers.ready(*both)
    queue = Queue(database, "me", {}, lambda spec, step: {})
    for number in range(20):
        queue.submit(a_spec(number=number))
    until(lambda: queue.counts()["done"] == 20)
    queue.close()
    assert [workers.tell(worker, "stop") for worker in both] == ["", ""]
    assert len(workers.journal("three", "end")) == len(set(workers.journal("three", "end"))) == 20
    assert workers.journal("a") and workers.journal("b")


def test_a_step_whose_result_the_full_database_does_not_take_is_not_done_again(file):  # noqa: F811
    """The job waits until there is room, keeps what the step returned, and counts no attempt."""
    full, done, queue = threading.Event(), [], Queue(file, "w", {"cpu": 1}, lambda spec, step: work(spec, step))

    def refuse(connection, cursor, statement, *_):
        if full.is_set() and statement.startswith("INSERT INTO main.operation_outputs"):
            raise sa.exc.OperationalError(statement, {}, sqlite3.OperationalError("database or disk is full"))

    def work(spec, step):
        step("one", lambda: done.append("one") or {"big": "x" * 1000})
        return step("two", lambda: done.append("two") or full.set() or {"y": 1}) | {"end": True}

    sa.event.listen(queue._engine, "before_cursor_execute", refuse)
    queue.start()
    queue.submit(a_spec())
    until(lambda: done == ["one", "two"] and not queue.running())
    threading.Event().wait(0.5)  # some rounds
    assert queue.state(a_spec().job) in ("running", "waiting")
    full.clear()
    assert ends(queue, a_spec().job) == "done"
    assert queue.show(a_spec().job).result == {"y": 1, "end": True}
    assert done == ["one", "two"]
    queue.stop(release=True)
    queue.close()


def test_a_job_whose_end_the_full_database_does_not_take_ends_later(file, caplog):  # noqa: F811
    full, tries, queue = threading.Event(), [], Queue(file, "w", {"cpu": 1}, lambda spec, step: step("one", lambda: {"a": 1}))
    full.set()

    def refuse(connection, cursor, statement, *_):
        if full.is_set() and statement.startswith("INSERT INTO main.workflow_output"):
            tries.append(statement)
            raise sa.exc.OperationalError(statement, {}, sqlite3.OperationalError("database or disk is full"))

    sa.event.listen(queue._engine, "before_cursor_execute", refuse)
    queue.start()
    queue.submit(a_spec())
    until(lambda: len(tries) > 5)  # more often than a job may be recovered
    full.clear()
    assert ends(queue, a_spec().job) == "done"
    queue.stop(release=True)
    queue.close()


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_really_full_disk_under_the_database_loses_no_job(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a disk")
    try:
        _fill_and_free(disk)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def _fill_and_free(disk: Path) -> None:
    done: list[str] = []
    with running(Database.parse(str(disk / "jobs.db")), lambda spec, step: _grow(spec, step, done), cpu=2) as queue:
        for number in range(6):
            queue.submit(a_spec(number=number))
        until(lambda: queue.counts()["done"] >= 1)
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(b"0" * 4096):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
        threading.Event().wait(1.0)
        with pytest.raises(WriteError, match="the disk is full"):
            for number in range(100, 400):
                queue.submit(a_spec(number=number, settings={"text": "y" * 20_000}))
        assert queue.counts()["failed"] == 0
        (disk / "ballast").unlink()
        until(lambda: not queue.counts()["waiting"] + queue.counts()["running"])
        assert queue.counts()["failed"] == 0 and queue.counts()["done"] >= 6
        assert {a_spec(number=number).job for number in range(6)} <= {job.job for job in queue.list(("done",))}


def _grow(spec, step, done):
    for name in ("one", "two", "three", "four"):
        step(name, lambda name=name: done.append(name) or threading.Event().wait(0.05) or {"text": "x" * 20_000})
    return {}


def test_a_database_that_is_locked_is_waited_for(file):  # noqa: F811
    queue = Queue(file, "w", {"cpu": 1}, lambda spec, step: {})
    holder = sqlite3.connect(file.path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: holder.execute("COMMIT"))
    release.start()
    assert queue.submit(a_spec())
    release.join()
    holder.close()
    queue.close()


def test_a_server_that_goes_away_is_told_to_who_asks_and_jobs_go_on_afterwards(postgres: Server):  # noqa: F811
    work = Held()
    with postgres.new_database() as url, running(Database.parse(url), work) as queue:
        queue.submit(a_spec())
        work.begun.wait(30)
        name = sa.make_url(url).database
        postgres.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        with pytest.raises(RigdropError) as caught:
            queue.submit(a_spec(number=2))
        assert isinstance(caught.value, TryAgainError)
        postgres.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        work.go_on.set()
        assert ends(queue, a_spec().job) == "done"
    assert work.done == ["one", "two", "three"]


def test_importing_the_queue_costs_no_service_anything():
    """The command line must not wait for the database's library."""
    script = "import sys, rigdrop.cli.app as app; app.build_app(); sys.exit('dbos' in sys.modules or 'sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
