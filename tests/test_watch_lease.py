from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from rigdrop.errors import SettingsError, TryAgainError, WriteError
from rigdrop.watch import lease as module
from rigdrop.watch import tables
from rigdrop.watch.database import Database
from rigdrop.watch.lease import Interrupted, Lease, Lost, worker_name
from rigdrop.watch.queue import Queue

from .watch_values import a_spec
from .watch_workers import Workers, client, database, file, quick, until, workers  # noqa: F401 (fixtures)

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows can't freeze a process")
FAR_S = 40.0  # a lease that does not end by itself while a test runs, however slow the machine
SOON_S = 0.4  # one that does


@pytest.fixture(autouse=True)
def brisk(monkeypatch):
    """Let leases beat and look after the dead each tenth of a second all the same."""
    monkeypatch.setattr(module, "_BEATS_A_LEASE", FAR_S * 10)


class Heard:
    """What a lease called."""

    def __init__(self) -> None:
        self.dead: list[str] = []
        self.lost = threading.Event()
        self.times_lost = 0

    def recover(self, dead: str) -> int:
        self.dead.append(dead)
        return 1

    def on_lost(self) -> None:
        self.times_lost += 1
        self.lost.set()


@contextmanager
def leased(database: Database, worker: str = "me", lease_s: float = FAR_S, heard: Heard | None = None, **more) -> Iterator[Lease]:  # noqa: F811
    heard = heard or Heard()
    lease = Lease(database, worker, lease_s, heard.recover, heard.on_lost, **more)
    lease.start()
    try:
        yield lease
    finally:
        lease.stop()


@contextmanager
def rows(database: Database) -> Iterator[sa.Connection]:  # noqa: F811
    """A connection for looking into, and meddling with, the table of workers."""
    engine = database.engine()
    tables.create(engine)
    try:
        with tables.scoped(engine).begin() as connection:
            yield connection
    finally:
        engine.dispose()


def add(database: Database, worker: str, age_s: float, **more) -> None:  # noqa: F811
    """Put a worker into the table that was last heard of ``age_s`` ago, and has a lease of 10 s."""
    with rows(database) as connection:
        values = {"worker": worker, "token": "t", "host": "elsewhere", "pid": 1, "process": "", "lease_ms": 10_000, "taken_by": None} | more
        connection.execute(tables.workers.insert().values(**values, beat_ms=tables.now_ms(connection.engine) - int(age_s * 1000)))


def names(database: Database) -> set[str]:  # noqa: F811
    with rows(database) as connection:
        return set(connection.execute(sa.select(tables.workers.c.worker)).scalars())


def test_a_worker_joins_and_leaves(database):  # noqa: F811
    before = set(threading.enumerate())
    with leased(database) as lease, client(database) as own:
        lease.check()
        assert lease.held and 0 <= lease.age_s < 60 and lease.worker == "me"
        (told,) = own.workers()
        assert (told.worker, told.host, told.pid, told.alive) == ("me", socket.gethostname(), os.getpid(), True)
        assert 0 <= told.beat_age_s < 60
    assert names(database) == set()
    assert set(threading.enumerate()) == before


def test_it_beats_by_both_clocks(database):  # noqa: F811
    def beat_ms() -> int:
        with rows(database) as connection:
            return connection.execute(sa.select(tables.workers.c.beat_ms)).scalar_one()

    with leased(database) as lease:
        first_ms, seen_s = beat_ms(), set()
        until(lambda: seen_s.add(lease._beaten_s) or len(seen_s) > 5)
        until(lambda: beat_ms() > first_ms)
        lease.check()


def test_others_see_who_is_dead(database):  # noqa: F811
    add(database, "alive", 5)
    add(database, "dead", 15)
    add(database, "buried", 15, taken_by="alive")
    with client(database) as own:
        assert {worker.worker: worker.alive for worker in own.workers()} == {"alive": True, "buried": False, "dead": False}


def test_a_name_that_lives_on_another_machine_is_refused(database):  # noqa: F811
    add(database, "me", 5)
    with pytest.raises(SettingsError, match="me runs on elsewhere already"), leased(database):
        pass
    assert names(database) == {"me"}


def test_a_name_whose_worker_died_is_free(database):  # noqa: F811
    add(database, "me", 15)
    with leased(database) as lease:
        lease.check()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the lock on the name has told")
def test_a_worker_of_this_machine_that_crashed_starts_again_at_once(database):  # noqa: F811
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    add(database, "me", 1, host=socket.gethostname(), pid=ended.pid, process="some boot 1")
    add(database, "you", 1, host=socket.gethostname(), pid=os.getpid(), process="another boot 1")  # the same number, another process
    with leased(database), leased(database, "you"):
        assert names(database) == {"me", "you"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the lock on the name has told")
def test_a_name_that_lives_on_this_machine_is_refused(database):  # noqa: F811
    with leased(database), pytest.raises(SettingsError, match="give each worker a name of its own"), leased(database):
        pass


def test_only_one_of_several_that_start_under_one_name_gets_it(database):  # noqa: F811
    leases = [Lease(database, "me", FAR_S, lambda dead: 0, lambda: None) for _ in range(4)]
    told: list[object] = []

    def start(lease: Lease) -> None:
        try:
            told.append(lease.start())
        except SettingsError as error:
            told.append(error)

    threads = [threading.Thread(target=start, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lease in leases:
        lease.stop()
    assert told.count(None) == 1


def test_the_jobs_of_the_dead_go_to_exactly_one(database):  # noqa: F811
    dead = {f"dead-{number}" for number in range(10)}
    for name in sorted(dead):
        add(database, name, 15)
    add(database, "alive", 0, lease_ms=3_600_000)
    heard = [Heard() for _ in range(3)]
    leases = [Lease(database, f"w{number}", FAR_S, own.recover, own.on_lost) for number, own in enumerate(heard)]
    for lease in leases:
        lease.start()
    until(lambda: not names(database) & dead)
    for lease in leases:
        lease.stop()
    assert sorted(name for own in heard for name in own.dead) == sorted(dead)
    assert names(database) == {"alive"}


def test_taking_over_that_failed_is_tried_again(database, caplog):  # noqa: F811
    add(database, "dead", 15)
    tries = []

    def recover(dead: str) -> int:
        tries.append(dead)
        if len(tries) < 3:
            raise TryAgainError("the share is gone")
        return 2

    lease = Lease(database, "me", FAR_S, recover, lambda: None)
    lease.start()
    until(lambda: "dead" not in names(database))
    lease.stop()
    assert tries == ["dead"] * 3
    assert "the share is gone" in caplog.text and "worker dead died; its 2 jobs wait for another" in caplog.text


def test_an_heir_that_died_half_way_has_an_heir(database):  # noqa: F811
    add(database, "dead", 100, taken_by="heir")
    add(database, "heir", 15)
    heard = Heard()
    with leased(database, heard=heard):
        until(lambda: not names(database) & {"dead", "heir"})
    assert sorted(heard.dead) == ["dead", "heir"]


def test_what_a_live_heir_is_at_is_left_to_it(database):  # noqa: F811
    add(database, "dead", 100, taken_by="heir")
    add(database, "heir", 0, lease_ms=3_600_000)
    add(database, "other", 100)
    heard = Heard()
    with leased(database, heard=heard):
        until(lambda: "other" not in names(database))
    assert heard.dead == ["other"] and names(database) == {"dead", "heir"}


def test_a_worker_that_starts_again_waits_until_it_is_buried(database):  # noqa: F811
    """Otherwise its heir might take away jobs that it has just begun."""
    add(database, "heir", 0, lease_ms=3_600_000)
    add(database, "me", 100, taken_by="heir")
    started = threading.Event()
    lease = Lease(database, "me", FAR_S, lambda dead: 0, lambda: None)
    thread = threading.Thread(target=lambda: (lease.start(), started.set()))
    thread.start()
    assert not started.wait(0.3)
    with rows(database) as connection:
        connection.execute(tables.workers.delete().where(tables.workers.c.worker == "me"))
    assert started.wait(30)
    thread.join()
    lease.stop()


def test_a_burial_that_never_ends_is_told(database):  # noqa: F811
    add(database, "heir", 0, lease_ms=3_600_000)
    add(database, "me", 100, taken_by="heir")
    with pytest.raises(TryAgainError, match="being taken over"), leased(database, lease_s=SOON_S):
        pass


def test_jobs_of_one_that_is_in_no_table_are_found_too(database):  # noqa: F811
    """Such as of a worker that woke after its burial and took one more job."""
    queue = Queue(database, "me", {}, lambda spec, step: {})
    for name, worker, age_s in (("a", "ghost", 15), ("b", "ghost", 15), ("c", "young", 0), ("d", "me", 15)):
        queue.submit(a_spec(name))
        with queue._records.engine.begin() as connection:
            updated = tables.now_ms(queue._engine) - age_s * 1000
            row = tables.jobs.update().where(tables.jobs.c.workflow_uuid == a_spec(name).job)
            connection.execute(row.values(status="PENDING", executor_id=worker, updated_at=updated))
    queue.close()
    heard = Heard()
    with leased(database, lease_s=10.0, heard=heard) as lease:
        found = lease._members.dead()
        assert [(dead.worker, dead.token) for dead in found] == [("ghost", None)]
        lease._take_over(found[0])
        lease._take_over(found[0])  # by another, at the same time, would be the same
        assert heard.dead[:1] == ["ghost"] and "ghost" not in names(database)


def test_the_lease_is_over_when_too_long_has_passed(database):  # noqa: F811
    """Frozen, asleep, or cut off from the database: it is all the same, and for good."""
    heard, now_s = Heard(), [1000.0]
    with leased(database, lease_s=10.0, heard=heard, clock=lambda: now_s[0]) as lease:
        now_s[0] += 9.9
        lease.check()
        now_s[0] += 0.1
        with pytest.raises(Lost, match="for 10 s"):
            lease.check()
        assert heard.lost.wait(30)
        now_s[0] -= 5.0
        with pytest.raises(Lost):
            lease.check()
        assert not lease.held
        with rows(database) as connection:
            before = connection.execute(sa.select(tables.workers.c.beat_ms)).scalar()
        threading.Event().wait(0.3)
        with rows(database) as connection:
            assert connection.execute(sa.select(tables.workers.c.beat_ms)).scalar() == before
    assert heard.times_lost == 1
    assert names(database) == {"me"}  # until somebody takes over what it leaves


def test_the_lease_is_over_when_somebody_took_over(database):  # noqa: F811
    heard = Heard()
    with leased(database, heard=heard) as lease:
        with rows(database) as connection:
            connection.execute(tables.workers.update().values(taken_by="heir"))
        assert heard.lost.wait(30)
        with pytest.raises(Lost):
            lease.check()
    assert names(database) == {"me"}


def test_that_it_is_over_is_told_even_while_a_beat_hangs(file):  # noqa: F811
    heard = Heard()
    with leased(file, lease_s=SOON_S, heard=heard) as lease:
        holder = sqlite3.connect(file.path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert heard.lost.wait(30)
        assert not lease.held
        holder.execute("COMMIT")
        holder.close()


def test_a_database_that_is_away_for_a_while_ends_nothing(database, caplog):  # noqa: F811
    heard = Heard()
    with leased(database, heard=heard) as lease:
        beat, failed = lease._members.beat, []

        def broken() -> bool:
            failed.append(1)
            raise sa.exc.OperationalError("UPDATE", {}, OSError("gone"))

        lease._members.beat = broken  # type: ignore[method-assign]
        until(lambda: failed)
        last_s = lease._beaten_s
        lease._members.beat = beat  # type: ignore[method-assign]
        until(lambda: lease._beaten_s > last_s)
        lease.check()
    assert "worker me: beat:" in caplog.text and not heard.lost.is_set()


def test_leaving_never_raises(file):  # noqa: F811
    with leased(file), rows(file) as connection:
        connection.exec_driver_sql("DROP TABLE rigdrop_workers")


def test_lost_passes_by_what_catches_errors():
    assert issubclass(Lost, Interrupted) and not issubclass(Interrupted, Exception)


def test_a_database_that_can_t_be_reached_is_told_at_the_start(tmp_path):
    with pytest.raises(TryAgainError), leased(Database.parse(f"postgresql://me@/jobs?host={tmp_path}&connect_timeout=2")):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts sleep")
def test_the_clock_counts_sleep_too():
    import time

    assert module.clock_s() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)


@pytest.mark.faults
def test_a_worker_that_is_killed_has_an_heir(database, workers: Workers):  # noqa: F811
    workers.hold("two")
    first = workers.start(database, "a", lease_s=3.0)
    workers.ready(first)
    queue = Queue(database, "nobody", {}, lambda spec, step: {})
    for number in range(3):
        queue.submit(a_spec(number=number))
    until(lambda: workers.journal("two", "begin"))
    second = workers.start(database, "b", lease_s=3.0)
    workers.ready(second)
    workers.kill(first)
    workers.let_go("two")
    until(lambda: queue.counts()["done"] == 3)
    assert [queue.show(a_spec(number=0).job).result, queue.workers()[0].worker] == [{"by": ["a", "b", "b"]}, "b"]
    queue.close()
    assert "worker a died; its 1 jobs wait" in workers.tell(second, "stop")
    assert len(workers.journal("one", "end")) == len(workers.journal("two", "end")) == len(workers.journal("three", "end")) == 3


@POSIX
@pytest.mark.faults
def test_a_worker_that_was_frozen_for_too_long_stops_and_its_job_is_done_once(database, workers: Workers):  # noqa: F811
    workers.hold("two")
    first = workers.start(database, "a", lease_s=3.0)
    workers.ready(first)
    queue = Queue(database, "nobody", {}, lambda spec, step: {})
    queue.submit(a_spec())
    until(lambda: workers.journal("two", "begin"))
    first.send_signal(signal.SIGSTOP)
    second = workers.start(database, "b", lease_s=3.0)
    workers.ready(second)
    until(lambda: workers.journal("b", "two", "begin"))
    first.send_signal(signal.SIGCONT)
    assert first.wait(60) == 75
    workers.let_go("two")
    until(lambda: queue.counts()["done"] == 1)
    assert queue.show(a_spec().job).result == {"by": ["a", "b", "b"]}
    queue.close()
    workers.tell(second, "stop")
    assert workers.journal("lost") == ["a - lost end"]
    assert workers.journal("two", "end") == [f"b {a_spec().job} two end"]


@POSIX
@pytest.mark.faults
def test_a_worker_that_was_frozen_for_a_moment_goes_on(file, workers: Workers):  # noqa: F811
    workers.hold("two")
    worker = workers.start(file, "a", lease_s=60.0)
    workers.ready(worker)
    queue = Queue(file, "nobody", {}, lambda spec, step: {})
    queue.submit(a_spec())
    until(lambda: workers.journal("two", "begin"))
    worker.send_signal(signal.SIGSTOP)
    threading.Event().wait(0.2)
    worker.send_signal(signal.SIGCONT)
    workers.let_go("two")
    until(lambda: queue.counts()["done"] == 1)
    queue.close()
    assert workers.tell(worker, "stop") == ""


def test_a_name_is_the_host_s_with_the_first_number_that_is_free(tmp_path):
    first, held = worker_name("", tmp_path)
    second, also = worker_name("", tmp_path)
    assert (first[-2:], second[-2:], first[:-2]) == ("-1", "-2", second[:-2])
    held.close()
    again, held = worker_name("", tmp_path)
    assert again == first
    held.close()
    also.close()


def test_a_name_that_was_asked_for_is_taken_as_it_is_but_once(tmp_path):
    name, held = worker_name("farm-07.b_2", tmp_path)
    assert name == "farm-07.b_2"
    with pytest.raises(SettingsError, match=r"farm-07\.b_2 runs on this machine already"):
        worker_name("farm-07.b_2", tmp_path)
    held.close()
    worker_name("farm-07.b_2", tmp_path)[1].close()


@pytest.mark.parametrize("asked", ["a/b", "..", ".hidden", "a b", "ü", "-x", "x" * 65, "a\n"])
def test_a_name_must_be_good_for_a_folder(tmp_path, asked):
    with pytest.raises(SettingsError, match="worker: found"):
        worker_name(asked, tmp_path)


@pytest.mark.parametrize("host", ["Büro 7.example.org", "x" * 80, "...", "---"])
def test_any_host_gives_a_name_that_is_good_for_a_folder(tmp_path, monkeypatch, host):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    name, held = worker_name("", tmp_path)
    held.close()
    assert module._NAME.fullmatch(name)


def test_a_name_is_free_when_its_holder_was_killed(tmp_path):
    script = """
import sys
from pathlib import Path
from rigdrop.watch.lease import worker_name
held = worker_name("x", Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(SettingsError):
            worker_name("x", tmp_path)
        holder.kill()
    worker_name("x", tmp_path)[1].close()


def test_a_folder_that_can_t_be_written_is_told(tmp_path):
    (tmp_path / "workers").touch()
    with pytest.raises(WriteError, match="can't be written"):
        worker_name("", tmp_path)
