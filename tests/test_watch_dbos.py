"""What we count on of dbos beyond what it promises, and the traps in what it does: each fails here when a new version changes it.

watch/queue.py uses of it, without a promise: `DBOS._recover_pending_workflows`, `_register_internal_queue` of its registry with
`_worker_concurrency` of what that returns, `_BACKGROUND_JOBS_INTERVAL_SEC`, and columns of its tables.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import logging
import sqlite3
import subprocess
import sys
import threading
import tomllib

import dbos
import dbos._workflow_commands as commands
import pytest
import sqlalchemy as sa
from dbos import DBOS

from rigdrop.errors import MissingPartError, RigdropError
from rigdrop.watch import queue as module
from rigdrop.watch import records, tables
from rigdrop.watch.database import Database
from rigdrop.watch.queue import APPLICATION_VERSION, MOST_RECOVERIES, Interrupted, JobFailed, Queue

from .watch_values import a_spec
from .watch_workers import Workers, client, database, file, quick, running, until, workers  # noqa: F401 (fixtures)

PINNED = "3.4.0"


def _row(database: Database, job: str) -> dict:  # noqa: F811
    """All that dbos keeps of a job itself."""
    engine = database.engine()
    schema = "" if database.is_sqlite else "rigdrop."
    query = sa.text(f"SELECT * FROM {schema}workflow_status WHERE workflow_uuid = :job")
    with engine.connect() as connection:
        row = connection.execute(query, {"job": job}).mappings().one()
    engine.dispose()
    return dict(row)


def test_dbos_is_the_version_that_we_know(root):
    assert importlib.metadata.version("dbos") == PINNED
    asked = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert [line for line in asked if line.startswith("dbos")] == [f"dbos=={PINNED}"]


def test_what_we_use_without_a_promise_is_there_and_takes_what_we_give():
    recover = inspect.signature(DBOS._recover_pending_workflows)
    assert list(recover.parameters) == ["executor_ids"] and recover.parameters["executor_ids"].default == ["local"]
    from dbos._dbos import DBOSRegistry

    assert list(inspect.signature(DBOSRegistry._register_internal_queue).parameters) == ["self", "name", "limits"]
    # Above 5 s PostgreSQL would end the transaction that is open meanwhile.
    from dbos._sys_db_postgres import BACKGROUND_JOB_LOCK_IDLE_TIMEOUT_MS

    assert isinstance(commands._BACKGROUND_JOBS_INTERVAL_SEC, float)
    assert BACKGROUND_JOB_LOCK_IDLE_TIMEOUT_MS / 1000 > module._CHORES_S


def test_a_dbos_that_lacks_one_of_them_is_refused_at_the_start(file, monkeypatch):  # noqa: F811
    queue = Queue(file, "w", {"cpu": 1}, lambda spec, step: {})
    with monkeypatch.context() as older:
        older.delattr(DBOS, "_recover_pending_workflows")
        with pytest.raises(MissingPartError, match=rf"has no _recover_pending_workflows.*dbos=={PINNED}"):
            queue.start()
    queue.close()


def test_its_tables_have_the_columns_that_we_read(database):  # noqa: F811
    with client(database) as own:
        schema = None if database.is_sqlite else tables.SCHEMA
        found = sa.inspect(own._engine)
        for table in (tables.jobs, tables.inputs, tables.outputs, tables.steps):
            assert {column.name for column in table.columns} <= {column["name"] for column in found.get_columns(table.name, schema)}


def test_its_states_are_those_that_we_know():
    assert {state.value for state in dbos.WorkflowStatusString} == set(records.STATE_OF)


def _stuck(database: Database, worker: str, *devices: str) -> None:  # noqa: F811
    """Leave behind jobs, one for each device, as a worker does that dies while it is at them."""
    begun = threading.Semaphore(0)

    def work(spec, step):
        step("one", lambda: {})
        begun.release()
        until(lambda: queue._stopping.is_set())
        raise Interrupted

    queue = Queue(database, worker, {"cpu": 4, "gpu": 4}, work)
    queue.start()
    for device in devices:
        queue.submit(a_spec(f"{worker}-{device}", device=device))
        assert begun.acquire(timeout=60)
    queue.stop(release=False)
    queue.close()


def test_the_private_call_lets_exactly_the_dead_worker_s_jobs_wait_in_their_own_queues(database):  # noqa: F811
    _stuck(database, "dead", "cpu", "gpu")
    _stuck(database, "alive", "cpu")
    with running(database, lambda spec, step: {}, worker="heir") as queue:
        queue.pause()
        assert queue.recover("dead") == 2
        assert queue.recover("dead") == 0
        for device in ("cpu", "gpu"):
            row = _row(database, a_spec(f"dead-{device}").job)
            told = {name: row[name] for name in ("status", "queue_name", "owner_xid", "recovery_attempts")}
            assert told == {"status": "ENQUEUED", "queue_name": f"rigdrop-{device}", "owner_xid": None, "recovery_attempts": 1}
        assert _row(database, a_spec("alive-cpu").job)["status"] == "PENDING"
        with client(database) as own:
            assert [step.name for step in own.show(a_spec("dead-cpu").job).steps] == ["one"]


def test_jobs_of_another_version_are_nobody_s(database):  # noqa: F811
    """The private call, and every worker, sees only jobs of its own application_version: that is why it is ours, and stays."""
    _stuck(database, "dead", "cpu")
    with client(database) as own, own._engine.begin() as connection:
        schema = "" if database.is_sqlite else "rigdrop."
        connection.exec_driver_sql(f"UPDATE {schema}workflow_status SET application_version = 'older'")
    with running(database, lambda spec, step: {}) as queue:
        assert queue.recover("dead") == 0


def test_the_application_version_and_the_executor_are_ours_whatever_the_environment_says(file, workers: Workers, monkeypatch):  # noqa: F811
    for name in ("DBOS__VMID", "DBOS__APPVERSION", "DBOS__APPID"):
        monkeypatch.setenv(name, "theirs")
    worker = workers.start(file, "mine")
    workers.ready(worker)
    with client(file) as own:
        queue = Queue(file, "nobody", {}, lambda spec, step: {})
        queue.submit(a_spec())
        until(lambda: own.state(a_spec().job) == "done")
        queue.close()
    row = _row(file, a_spec().job)
    assert (row["executor_id"], row["application_version"], row["application_name"]) == ("mine", APPLICATION_VERSION, "rigdrop")
    assert workers.tell(worker, "stop") == ""


@pytest.mark.parametrize(("name", "stolen"), [("b", False), ("a", True)])
def test_a_second_worker_steals_live_jobs_only_under_the_same_name(file, workers: Workers, name, stolen):  # noqa: F811
    """Which is why a name is held by a lock on the machine and a lease in the database; dbos gives all the same by default."""
    workers.hold("two")
    first = workers.start(file, "a")
    workers.ready(first)
    queue = Queue(file, "nobody", {}, lambda spec, step: {})
    queue.submit(a_spec())
    until(lambda: workers.journal("two", "begin"))
    second = workers.start(file, name)
    workers.ready(second)
    if stolen:
        until(lambda: len(workers.journal("two", "begin")) == 2)
    else:
        queue.submit(a_spec("another"))  # it is at work, and has looked for what there is to do
        until(lambda: workers.journal("b", "two", "begin"))
    workers.let_go("two")
    until(lambda: queue.state(a_spec().job) == "done")
    queue.close()
    begun = len(workers.journal(a_spec().job, "two", "begin"))
    assert begun == (2 if stolen else 1)


def test_a_job_that_kills_its_worker_each_time_is_given_up(database):  # noqa: F811
    starts = []

    def work(spec, step):
        starts.append(1)
        until(lambda: queue._stopping.is_set())
        raise Interrupted

    with client(database) as own:
        for _ in range(MOST_RECOVERIES + 1):
            queue = Queue(database, "w", {"cpu": 1}, work)
            queue.start()
            queue.submit(a_spec())
            before = len(starts)
            until(lambda: len(starts) > before or own.state(a_spec().job) == "failed")  # noqa: B023
            queue.stop(release=False)  # to the database this is as if it had died
            queue.close()
        assert (len(starts), own.state(a_spec().job)) == (4, "running")
        with running(database, work):
            until(lambda: own.state(a_spec().job) == "failed")
        told = own.show(a_spec().job)
        assert told.reason == "the service died each time that it worked on this, 4 times in all; look at the log, then retry it"
        assert told.code == RigdropError.exit_code and told.ended_utc
        with running(database, work) as queue:
            assert queue.recover("w") == 0 and not queue.submit(a_spec())
            queue.submit(a_spec("other", number=1))
            until(lambda: len(starts) == 5)
            assert own.state(a_spec().job) == "failed"


@pytest.mark.slow
@pytest.mark.faults
def test_a_job_whose_worker_is_really_killed_each_time_is_given_up(database, workers: Workers):  # noqa: F811
    workers.hold("two")
    with client(database) as own:
        queue = Queue(database, "nobody", {}, lambda spec, step: {})
        queue.submit(a_spec())
        for number in range(1, MOST_RECOVERIES + 2):
            worker = workers.start(database, "a")
            until(lambda number=number: len(workers.journal("two", "begin")) == number)
            workers.kill(worker)
        worker = workers.start(database, "a")
        until(lambda: own.state(a_spec().job) == "failed")
        queue.close()
    assert (len(workers.journal("one", "begin")), len(workers.journal("two", "begin"))) == (1, 4)


def test_all_that_is_kept_is_json_that_anybody_reads(file):  # noqa: F811
    def work(spec, step):
        step("one", lambda: {"name": "踊り", "none": None, "numbers": [1, 2.5, True]})
        if spec.relative == "bad":
            step("two", lambda: (_ for _ in ()).throw(JobFailed("it is bad", 66)))
        return {"folder": "/out/踊り"}

    with running(file, work, cpu=2) as queue:
        queue.submit(a_spec("good"))
        queue.submit(a_spec("bad"))
        until(lambda: queue.counts()["done"] == queue.counts()["failed"] == 1)
    connection = sqlite3.connect(file.path)
    assert connection.execute("SELECT DISTINCT serialization FROM workflow_status").fetchall() == [("portable_json",)]
    assert connection.execute("SELECT DISTINCT serialization FROM operation_outputs").fetchall() == [("portable_json",)]
    asked = {
        "inputs": "SELECT inputs FROM workflow_input", "results": "SELECT output FROM workflow_output WHERE output IS NOT NULL",
        "errors": "SELECT error FROM workflow_output WHERE error IS NOT NULL",
        "steps": "SELECT output FROM operation_outputs WHERE output IS NOT NULL",
        "failed steps": "SELECT error FROM operation_outputs WHERE error IS NOT NULL",
    }
    kept = {what: [json.loads(text) for (text,) in connection.execute(query)] for what, query in asked.items()}
    connection.close()
    assert sorted(each["positionalArgs"][0]["relative"] for each in kept["inputs"]) == ["bad", "good"]
    assert kept["results"] == [{"folder": "/out/踊り"}]
    assert [(each["name"], each["message"], each["code"]) for each in kept["errors"]] == [("JobFailed", "it is bad", 66)]
    assert kept["steps"] == [{"name": "踊り", "none": None, "numbers": [1, 2.5, True]}] * 2
    assert [(each["name"], each["message"], each["code"]) for each in kept["failed steps"]] == [("JobFailed", "it is bad", 66)]


def test_queues_are_declared_and_each_worker_keeps_its_own_limit(file, workers: Workers):  # noqa: F811
    """What dbos keeps of a queue holds for all workers: with that alone, the last to start would set the others' limits."""
    workers.hold("one")
    started = {}
    for name, cpu in (("big", 3), ("small", 1)):
        started[name] = workers.start(file, name, cpu=cpu, gpu=1)
        workers.ready(started[name])
    connection = sqlite3.connect(file.path)
    declared = connection.execute("SELECT name, worker_concurrency FROM queues ORDER BY name").fetchall()
    assert declared == [("rigdrop-cpu", 1), ("rigdrop-gpu", 1)]
    connection.close()
    queue = Queue(file, "nobody", {}, lambda spec, step: {})
    for number in range(8):
        queue.submit(a_spec(number=number))
    for number in range(4):
        queue.submit(a_spec("gpu", number=number, device="gpu"))
    until(lambda: len(workers.journal("begin")) == 6)
    threading.Event().wait(0.5)  # several looks
    assert (len(workers.journal("big", "begin")), len(workers.journal("small", "begin"))) == (4, 2)
    assert queue.counts()["running"] == 6
    workers.let_go("one")
    until(lambda: queue.counts()["done"] == 12)
    queue.close()
    assert [workers.tell(worker, "stop") for worker in started.values()] == ["", ""]


def test_a_worker_without_slots_for_a_device_leaves_its_queue_to_others(file, workers: Workers):  # noqa: F811
    both = [workers.start(file, "none", cpu=1, gpu=0), workers.start(file, "some", cpu=0, gpu=1)]
    workers.ready(*both)
    queue = Queue(file, "nobody", {}, lambda spec, step: {})
    for number in range(3):
        queue.submit(a_spec("gpu", number=number, device="gpu"))
        queue.submit(a_spec("cpu", number=number))
    until(lambda: queue.counts()["done"] == 6)
    assert {job.worker for job in queue.list() if job.spec.device == "gpu"} == {"some"}
    assert {job.worker for job in queue.list() if job.spec.device == "cpu"} == {"none"}
    queue.close()


def test_an_idle_queue_asks_the_database_little(file, monkeypatch):  # noqa: F811
    """A closed gate keeps dbos from asking; only our own look, twice a round, and its list of queues remain."""
    monkeypatch.setattr(module, "_LOOK_S", 1000.0)
    with running(file, lambda spec, step: {}, cpu=2, gpu=1) as queue:
        asked: list[str] = []
        sa.event.listen(queue._engine, "before_cursor_execute", lambda *all: asked.append(all[2]))
        threading.Event().wait(0.5)  # twenty-five polls of each queue
        assert not [statement for statement in asked if "rigdrop-cpu" in statement or "ENQUEUED" in statement.partition("WHERE")[2][:200]]


def test_nothing_is_said_on_the_terminal(file, tmp_path):  # noqa: F811
    script = """
import sys
from rigdrop.watch.database import Database
from rigdrop.watch.queue import JobFailed, Queue
import time
def work(spec, step):
    raise JobFailed("bad", 66)
queue = Queue(Database.parse(sys.argv[1]), "w", {"cpu": 1}, work)
queue.start()
from rigdrop.watch.job import JobSpec
queue.submit(JobSpec("a-1", "a", "/in", "a", "/out", {}, "0", 0, 0))
while queue.state("a-1") != "failed":
    time.sleep(0.01)
queue.stop(release=True)
queue.close()
"""
    run = [sys.executable, "-W", "error", "-c", script, file.url]
    told = subprocess.run(run, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_its_warnings_go_where_ours_go(file, caplog):  # noqa: F811
    with running(file, lambda spec, step: {}), caplog.at_level(logging.INFO):
        logging.getLogger("dbos").warning("the sky falls")
        logging.getLogger("dbos").info("hello")
    assert [record.getMessage() for record in caplog.records if record.name == "dbos"] == ["the sky falls"]
