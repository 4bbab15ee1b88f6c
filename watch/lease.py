"""Who is alive: each worker beats in a table, and the jobs of one that has not been heard of go to another.

A worker that could not beat for as long as its lease counts as dead to the others, so it takes itself for dead too: it stops
at once, and nothing that it does afterwards may count. All of them go by the database's clock; how long ago its own
last beat was, each knows from its own machine's, which also counts the time that it was asleep.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import sqlalchemy as sa

from ..errors import SettingsError, TryAgainError, WriteError
from . import tables
from .database import Database
from .tables import jobs, workers

_log = logging.getLogger(__name__)

_BEATS_A_LEASE = 4
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_ON_A_HOST = 999
_JOIN_S = 5.0

T = TypeVar("T")


class Interrupted(BaseException):
    """Raised out of a job that must go no further here, though nothing is wrong with it: it is neither done nor failed.

    Like Ctrl-C it passes by ``except Exception``.
    """


class Lost(Interrupted):
    """Raised where the lease is over: to the others this worker is dead, and its jobs are theirs."""


class Lease:
    """This worker's place among the living.

    ``recover`` is called with the name of a worker that died, by exactly one live worker, and lets its jobs run again; it is called
    once more, by whoever is alive, where it fails or its caller dies. ``on_lost`` is called once, when this worker counts as dead.
    Each is called from a thread of its own, so that it may take its time.
    """

    def __init__(
        self, database: Database, worker: str, lease_s: float, recover: Callable[[str], int], on_lost: Callable[[], None],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.worker, self.lease_s = worker, lease_s
        self._database, self._recover, self._on_lost = database, recover, on_lost
        self._clock = clock or clock_s
        self._token = secrets.token_hex(8)
        self._beaten_s = float("-inf")  # by our clock, when the last beat that succeeded was sent
        self._over, self._stop = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Join the living, and beat until `stop`.

        Raises `SettingsError` where a live worker has this name, and what `Database.plain_errors` raises.
        """
        self._engine = self._database.engine()
        try:
            with self._database.plain_errors():
                tables.create(self._engine)
                self._members = _Members(self._engine, self.worker, self._token, int(self.lease_s * 1000))
                self._join()
        except BaseException:
            self._engine.dispose()
            raise
        for run in (self._beat, self._guard, self._look_after_the_dead):
            thread = threading.Thread(target=run, name=f"rigdrop-lease{run.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def check(self) -> None:
        """Raise `Lost` where the lease is over: call it before each thing that only the holder of a job may do."""
        if not self.held:
            raise Lost(f"{self.worker}: could not reach the database for {self.lease_s:g} s, so others take its jobs")

    @property
    def held(self) -> bool:
        """Whether this worker is alive to the others."""
        if self.age_s >= self.lease_s:
            self._over.set()  # for good: somebody may have taken over by now
        return not self._over.is_set()

    @property
    def age_s(self) -> float:
        """How many seconds ago the last beat was."""
        return self._clock() - self._beaten_s

    def stop(self) -> None:
        """Leave the living; never raises. Where the database is away the others find out by themselves."""
        self._stop.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)
        if self._threads:
            if not self._over.is_set():  # otherwise our jobs must find an heir first
                self._try("leave", self._members.leave)
            self._engine.dispose()
        self._threads.clear()

    def _join(self) -> None:
        """Register; where somebody is just taking over the jobs of a worker of our name, wait until that is done."""
        until_s = time.monotonic() + self.lease_s
        while True:
            sent_s = self._clock()
            if self._members.join():
                self._beaten_s = sent_s
                return
            if time.monotonic() > until_s:
                raise TryAgainError(f"worker: {self.worker}: its old jobs are just being taken over; start it again in a minute")
            self._stop.wait(min(0.1, self.lease_s / 10))

    def _beat(self) -> None:
        every_s = self.lease_s / _BEATS_A_LEASE
        while not self._stop.wait(every_s) and self.held:
            sent_s = self._clock()
            alive = self._try("beat", self._members.beat)
            if alive:
                self._beaten_s = sent_s
            elif alive is False:
                self._over.set()  # somebody took over, or another worker took our name
                break
            every_s = self.lease_s / _BEATS_A_LEASE if alive else min(1.0, self.lease_s / 8)

    def _guard(self) -> None:
        """Tell in time that the lease is over, even while a beat hangs."""
        while not self._stop.wait(min(1.0, self.lease_s / 8)):
            if not self.held:
                _log.error("worker %s counts as dead: its last beat was %.0f s ago; it stops", self.worker, self.age_s)
                self._on_lost()
                return

    def _look_after_the_dead(self) -> None:
        while not self._stop.wait(self.lease_s / _BEATS_A_LEASE) and self.held:
            for dead in self._try("look", self._members.dead) or ():
                self._try("take over", lambda dead=dead: self._take_over(dead))  # type: ignore[misc]

    def _take_over(self, dead: _Dead) -> None:
        if not self.held or not self._members.take(dead):
            return  # somebody was quicker, or it lives after all
        count = self._recover(dead.worker)
        self._members.bury(dead)
        _log.warning("worker %s died; its %d jobs wait for another", dead.worker, count)

    def _try(self, what: str, run: Callable[[], T]) -> T | None:
        """Do what the next turn can do as well; nothing where the database is away."""
        try:
            with self._database.plain_errors():
                return run()
        except Exception as error:
            _log.warning("worker %s: %s: %s", self.worker, what, error)
            return None


def clock_s() -> float:
    """Return seconds that also pass while the machine sleeps or this process is stopped, where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


@dataclass(frozen=True)
class _Dead:
    """A worker that has not been heard of for its lease."""

    worker: str
    token: str | None = None  # nothing where it has left the table but not its jobs
    beat_ms: int = 0
    taken_by: str | None = None


class _Members:
    """The table of workers, as one of them sees it. Each change says what it expects to find, so that only one of two wins."""

    def __init__(self, engine: sa.Engine, worker: str, token: str, lease_ms: int) -> None:
        self._engine, self._worker, self._token, self._lease_ms = tables.scoped(engine), worker, token, lease_ms
        self._now_ms = tables.now_ms(engine)
        self._there_are_jobs = False

    def join(self) -> bool:
        """Add this worker; false where one of its name is just being buried. Raises `SettingsError` where one lives."""
        rows = self._rows()
        old = rows.get(self._worker)
        own = {
            "token": self._token, "host": socket.gethostname(), "pid": os.getpid(), "process": _process(os.getpid()),
            "lease_ms": self._lease_ms, "beat_ms": self._now_ms, "taken_by": None,
        }
        if old is None:
            return self._insert(worker=self._worker, **own)
        if old.taken_by is not None and _lives(rows.get(old.taken_by)):
            return False
        if _lives(old) and not _is_gone(old):
            raise SettingsError(
                f"worker: {self._worker} runs on {old.host} already (process {old.pid}); give each worker a name of its own with --worker"
            )
        return self._update(self._is(old.worker, old.token, old.taken_by), own)

    def beat(self) -> bool:
        """Say that this worker lives; false where it does not any more."""
        return self._update(self._is(self._worker, self._token, None), {"beat_ms": self._now_ms})

    def leave(self) -> None:
        """Remove this worker."""
        with self._engine.begin() as connection:
            connection.execute(workers.delete().where(self._is(self._worker, self._token, None)))

    def dead(self) -> list[_Dead]:
        """Return who died and has nobody who sees to its jobs."""
        rows = self._rows()
        found = [
            _Dead(row.worker, row.token, row.beat_ms, row.taken_by)
            for row in rows.values()
            if row.worker != self._worker
            and (row.taken_by is not None or row.age_ms >= row.lease_ms)
            and (row.taken_by in (None, self._worker) or not _lives(rows.get(row.taken_by)))
        ]
        return found + [_Dead(worker) for worker in self._without_a_row()]

    def take(self, dead: _Dead) -> bool:
        """Be the one who sees to the jobs of ``dead``; false where another is, or it lives after all."""
        if dead.token is None:
            values = {"token": self._token, "host": "", "pid": 0, "process": "", "lease_ms": 0, "beat_ms": 0, "taken_by": self._worker}
            return self._insert(worker=dead.worker, **values)
        still = sa.and_(self._is(dead.worker, dead.token, dead.taken_by), workers.c.beat_ms == dead.beat_ms)
        return self._update(still, {"taken_by": self._worker})

    def bury(self, dead: _Dead) -> None:
        """Forget a worker whose jobs have been seen to."""
        with self._engine.begin() as connection:
            connection.execute(workers.delete().where(self._is(dead.worker, dead.token or self._token, self._worker)))

    def _rows(self) -> dict[str, Any]:
        with self._engine.connect() as connection:
            return {row.worker: row for row in connection.execute(sa.select(workers, (self._now_ms - workers.c.beat_ms).label("age_ms")))}

    def _without_a_row(self) -> list[str]:
        """Return who runs jobs but is not in the table: one that was frozen, woke after its burial and took one more job."""
        self._there_are_jobs = self._there_are_jobs or tables.there_are_jobs(self._engine)
        if not self._there_are_jobs:
            return []
        query = sa.select(jobs.c.executor_id).distinct().where(
            jobs.c.status == "PENDING", jobs.c.updated_at < self._now_ms - self._lease_ms,
            jobs.c.executor_id.not_in(sa.select(workers.c.worker)),
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def _insert(self, **values: Any) -> bool:
        try:
            with self._engine.begin() as connection:
                connection.execute(workers.insert().values(**values))
        except sa.exc.IntegrityError:
            return False
        return True

    def _update(self, where: sa.ColumnElement[bool], values: dict[str, Any]) -> bool:
        with self._engine.begin() as connection:
            return bool(connection.execute(workers.update().where(where).values(**values)).rowcount == 1)

    @staticmethod
    def _is(worker: str, token: str, taken_by: str | None) -> sa.ColumnElement[bool]:
        return sa.and_(workers.c.worker == worker, workers.c.token == token, workers.c.taken_by.is_not_distinct_from(taken_by))


def _lives(row: Any) -> bool:
    return row is not None and row.taken_by is None and bool(row.age_ms < row.lease_ms)


def _is_gone(row: Any) -> bool:
    """Tell whether a worker of this machine ended without leaving: its process is not there any more."""
    if row.host != socket.gethostname():
        return False
    # Elsewhere than on Linux the lock on its name has told so: `worker_name`.
    return sys.platform != "linux" or bool(_process(row.pid) != row.process)


def _process(pid: int) -> str:
    """Return what tells a process from a later one with the same number: when the machine and when it was started."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()} {started}"
    except (OSError, IndexError):
        return ""


class NameLock:
    """Holds a worker's name on this machine for as long as the process lives, or until it is closed."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def close(self) -> None:
        """Let another worker have the name."""
        self._stream.close()


def worker_name(asked: str, state_folder: Path) -> tuple[str, NameLock]:
    """Return a worker's name that is the same from start to start and that no other process of this machine has, and what holds it.

    ``asked`` is taken as it is; without it the host's name and the first number that is free. Raises `SettingsError` for a name that can't
    be, or is taken, and `WriteError` where ``state_folder`` can't be written.
    """
    if asked and not _NAME.fullmatch(asked):
        raise SettingsError(f"worker: found {asked!r}, expected up to 64 letters, digits, dots, dashes and underscores")
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().split(".")[0]).strip("-_")[:56] or "worker"
    for name in [asked] if asked else [f"{host}-{number}" for number in range(1, _MOST_ON_A_HOST + 1)]:
        lock = _lock(state_folder / "workers" / f"{name}.lock")
        if lock is not None:
            return name, lock
    raise SettingsError(f"worker: {asked or host} runs on this machine already; give each worker a name of its own with --worker")


def _lock(path: Path) -> NameLock | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a", encoding="utf-8")
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror}); make its folder writable") from error
    try:
        _lock_file(stream)
    except OSError:
        stream.close()
        return None
    return NameLock(stream)


def _lock_file(stream: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
