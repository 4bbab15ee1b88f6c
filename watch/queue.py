"""Jobs that outlive processes and machines: a small interface over ``dbos``, which nothing else of ours knows.

    submit ─▶ waiting ─▶ running ─▶ done | failed | cancelled
                 ▲          │
                 └──────────┘  its worker stopped, or died

A job is run by one worker at a time, as a row of steps; what a step returned is kept, and a job that starts again goes on
with the first step that had not ended. `QueueClient` looks at jobs from anywhere; `Queue` also runs them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import dbos._workflow_commands as dbos_commands
import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, PortableWorkflowError
from dbos import error as dbos_error

from ..errors import MissingPartError, RigdropError, Stopped
from . import tables
from .database import Database
from .job import JobSpec, JobState, State, WorkerState
from .lease import Interrupted
from .quiet import quieten
from .records import Records, pack, unpack

__all__ = ["Interrupted", "JobFailed", "Queue", "QueueClient", "Step", "Work"]

Step = Callable[[str, Callable[[], Mapping[str, Any]]], dict[str, Any]]
Work = Callable[[JobSpec, Step], Mapping[str, Any]]

APPLICATION = "rigdrop"
# Jobs run only on workers of the version that they were submitted to: a new one means that old jobs can't be gone on with.
APPLICATION_VERSION = "1"
WORKFLOW = "convert"
MOST_RECOVERIES = 3

_UNDER_WAY = ("waiting", "running")
_POLL_S = 0.2  # how soon a free slot takes a job that waits; costs nothing while none does
_LOOK_S = 1.0  # how soon a job is seen that another process submitted or handed back
_STRAYS_S = 5.0
_MESSAGES_S = 0.5  # between jobs, which there are none of; but a stop takes as long
_CHORES_S = 4.0  # below 5 s, after which PostgreSQL ends the transaction that is held meanwhile
_PROGRESS_S = 1.0
_PATIENCE_S = 5.0

_log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()  # dbos is one for a process


class JobFailed(Exception):
    """Raised out of a job, or a step of it, that has failed for good: why, in one sentence, and the exit code that goes with it."""

    def __init__(self, reason: str, code: int = RigdropError.exit_code) -> None:
        self.reason = reason.encode("utf-8", "backslashreplace").decode()
        self.code = int(code)
        super().__init__(self.reason)


class QueueClient:
    """Looks at jobs and cancels them, from any process; starts none."""

    def __init__(self, database: Database) -> None:
        """Open ``database``, and make what is missing in it. Raises what `Database.plain_errors` raises."""
        self.database = database
        quieten("dbos", JobFailed)
        self._engine = database.engine()
        try:
            with database.plain_errors():
                _prepare(database, self._engine)
        except BaseException:
            self._engine.dispose()
            raise
        self._records = Records(self._engine)
        self._client = DBOSClient(
            system_database_engine=self._engine, dbos_system_schema=tables.SCHEMA, serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION, lazy=True, retry_connection_errors=False,
        )
        self._noted_s: dict[str, float] = {}

    def list(self, states: Collection[State] = (), limit: int = 0, newest_first: bool = False) -> Jobs:
        """Return the jobs in ``states``, or all, the oldest first; at most ``limit`` of them, where that is not 0."""
        with self.database.plain_errors():
            return self._records.select(states, limit, newest_first)

    def of_key(self, key: str) -> Jobs:
        """Return the jobs of one source with one set of options, the first first."""
        with self.database.plain_errors():
            return self._records.of_key(key)

    def show(self, job: str) -> JobState | None:
        """Return one job with its steps; nothing where there is none of this id."""
        with self.database.plain_errors():
            return self._records.show(job)

    def state(self, job: str) -> State | None:
        """Return how one job stands, and nothing else of it: cheaper than `show`."""
        with self.database.plain_errors():
            return self._records.state(job)

    def counts(self) -> dict[State, int]:
        """Return how many jobs are in each state."""
        with self.database.plain_errors():
            return self._records.counts()

    def oldest_waiting_s(self) -> float | None:
        """Return for how many seconds the job that waits longest has waited; nothing where none waits."""
        with self.database.plain_errors():
            return self._records.oldest_waiting_s()

    def workers(self) -> Workers:
        """Return the workers that have registered, by name."""
        with self.database.plain_errors():
            return self._records.workers()

    def cancel(self, job: str) -> bool:
        """Cancel a job that waits or runs; false where there is none. One that runs is left at its next step."""
        with self.database.plain_errors():
            if self._records.state(job) not in _UNDER_WAY:
                return False
            self._client.cancel_workflow(job)
            return self._records.state(job) == "cancelled"

    def progress(self, job: str, step: str, done: int, total: int | None) -> None:
        """Tell how far a step is; at most once a second for each job this reaches the database. Never raises."""
        now_s = time.monotonic()
        if now_s - self._noted_s.get(job, float("-inf")) < _PROGRESS_S:
            return
        self._noted_s[job] = now_s
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            self._records.note_progress(job, step, done, total)

    def add_crash(self, job: str) -> int:
        """Count one more crash of the process that works on ``job``; returns how many there were."""
        with self.database.plain_errors():
            return self._records.add_crash(job)

    def close(self) -> None:
        """Close every connection."""
        self._client.destroy()
        self._engine.dispose()


class Queue(QueueClient):
    """Runs jobs: as many at a time as there are ``slots`` for their device, each in a thread, by calling ``work``.

    Only one at a time can be started in a process.
    """

    def __init__(self, database: Database, worker: str, slots: Mapping[str, int], work: Work) -> None:
        super().__init__(database)
        self.worker = worker
        self._work = work
        self._slots = {device: count for device, count in slots.items() if count > 0}
        self._paused, self._stopping = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._begun: set[str] = set()  # jobs that were at work here at any time and may be in the database as such
        self._unkept: dict[tuple[str, str], dict[str, Any]] = {}  # what steps returned that the database did not take
        self._gates: dict[str, Any] = {}
        self._caretaker = threading.Thread(target=self._care, name="rigdrop-queue", daemon=True)

    def start(self) -> None:
        """Take jobs from now on; those that this worker ran when it died go on. Raises what `Database.plain_errors` raises."""
        if not _one_at_a_time.acquire(blocking=False):
            raise RigdropError("queue: one runs in this process already")
        try:
            with self.database.plain_errors():
                self._launch()
        except BaseException:
            self._shut_down()
            raise
        self._caretaker.start()

    def stop(self, release: bool) -> bool:
        """Take no more jobs, and leave those that run at their next step, where they raise `Interrupted`.

        With ``release`` they wait again, for anybody, and it does not count as an attempt; otherwise this worker goes on with them when it
        starts again. Returns whether every job was left within some seconds; a process with one that was not ends only by ``os._exit``.
        """
        if not self._caretaker.is_alive():
            return True
        self.pause()
        self._stopping.set()
        self._caretaker.join()
        left = self._wait_until_left()
        self._shut_down()
        if release:
            try:
                with self.database.plain_errors():
                    self._records.hand_back(self.worker)
            except RigdropError as error:
                _log.warning("%s; this worker goes on with its jobs when it starts again", error)
        return left

    def submit(self, spec: JobSpec) -> bool:
        """Let a job wait for its turn; false where there is one of this id already.

        Raises what `Database.plain_errors` raises, and then it is not there.
        """
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW, "queue_name": queue_name(spec.device), "workflow_id": spec.job, "app_version": APPLICATION_VERSION,
            "workflow_id_reuse_policy": "reject",
        }
        with self.database.plain_errors():
            try:
                self._client.enqueue(options, pack(spec.as_json()))
            except dbos_error.DBOSWorkflowIDInUseError:
                return False
        self._set_gate(spec.device, True)
        return True

    def recover(self, dead_worker: str) -> int:
        """Let the jobs that a dead worker ran wait again, in their own queues; returns how many."""
        with self.database.plain_errors():
            return len(DBOS._recover_pending_workflows([dead_worker]))

    def running(self) -> Ids:
        """Return the jobs that are at work in this process: also one that is not ours any more, until it is left."""
        with self._lock:
            return sorted(self._running)

    def pause(self) -> None:
        """Start no more jobs here; those that run go on."""
        self._paused.set()
        for device in self._gates:
            self._set_gate(device, False)

    def resume(self) -> None:
        """Start jobs again."""
        self._paused.clear()

    def _launch(self) -> None:
        dbos = DBOS(config=_config(self._engine, self.worker))
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=MOST_RECOVERIES)(self._workflow())
        # What dbos keeps of a queue in the database holds for all workers alike, but machines differ: so each worker's own limit is set
        # on a queue of the same name in its memory, which comes first. 0 is a closed gate: dbos then asks the database nothing.
        register = _private(dbos._registry, "_register_internal_queue")
        self._gates = {
            device: register(queue_name(device), worker_concurrency=0, polling_interval_sec=_POLL_S) for device in self._slots
        }
        register("_dbos_internal_queue", polling_interval_sec=60.0)  # dbos' own, which no job of ours ever waits in
        # Jobs of ours have no deadlines and no delays, which it looks for each second otherwise.
        _private(dbos_commands, "_BACKGROUND_JOBS_INTERVAL_SEC")
        dbos_commands._BACKGROUND_JOBS_INTERVAL_SEC = _CHORES_S
        _private(DBOS, "_recover_pending_workflows")
        DBOS.listen_queues([queue_name(device) for device in self._slots])
        DBOS.launch()
        for device, count in self._slots.items():
            DBOS.register_queue(queue_name(device), worker_concurrency=count, on_conflict="always_update")

    def _shut_down(self) -> None:
        DBOS.destroy(destroy_registry=True)
        until_s = time.monotonic() + _PATIENCE_S
        for thread in threading.enumerate():
            if thread.name.startswith("dbos-executor-") and not self.running():
                thread.join(max(0.0, until_s - time.monotonic()))
        _one_at_a_time.release()

    def _workflow(self) -> Callable[[Any], Any]:
        # A function of its own for each start, because dbos hangs what it knows of it on it.
        def convert(content: Any) -> Any:
            return self._run(JobSpec.of_json(unpack(content)))

        return convert

    def _run(self, spec: JobSpec) -> Any:
        """Do one job in this thread, which is one of dbos'."""
        with self._at_work(spec.job):
            run = self._of_database(lambda: self._records.run_of(spec.job, self.worker))
            if run is None:
                raise Interrupted

            def step(name: str, do: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
                return self._step(spec.job, run, name, do)

            return _as_failure(lambda: pack(self._work(spec, step)))

    def _step(self, job: str, run: str, name: str, do: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Give what the step ``name`` returned, or raise what it raised; it is done first, where it has not been.

        Raises `Interrupted` where the job is not ours any more, this worker stops, or the database takes nothing: then the job is gone on
        with later, and what the step returned is not lost.
        """
        if self._stopping.is_set() or self._of_database(lambda: self._records.run_of(job, self.worker)) != run:
            raise Interrupted
        try:
            result = self._of_database(lambda: DBOS.run_step({"name": name}, lambda: self._done(job, name, do)))
        except (dbos_error.DBOSWorkflowCancelledError, dbos_error.DBOSWorkflowConflictIDError) as error:
            self._unkept.pop((job, name), None)  # who has the job now may do the step differently
            raise Interrupted from error
        except PortableWorkflowError as error:  # as it was kept when the step failed, in an earlier run
            raise JobFailed(error.message, int(error.code or RigdropError.exit_code)) from error
        except dbos_error.DBOSException as error:
            if self._stopping.is_set():
                raise Interrupted from error
            raise JobFailed(f"{name}: {error}; please report this") from error
        self._unkept.pop((job, name), None)
        return dict(unpack(result))

    def _done(self, job: str, name: str, do: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Do a step, unless it was done here before and only could not be kept."""
        key = (job, name)
        if key not in self._unkept:
            self._unkept[key] = _as_failure(lambda: pack(do()))
        return self._unkept[key]

    def _of_database(self, ask: Callable[[], Any]) -> Any:
        """Return what the database says; where it says nothing the job is left, and goes on when it is well again."""
        try:
            return ask()
        except sa.exc.SQLAlchemyError as error:
            _log.warning("a job is left until the database is well again: %s", getattr(error, "orig", error))
            raise Interrupted from error

    @contextlib.contextmanager
    def _at_work(self, job: str) -> Iterator[None]:
        with self._lock:
            self._running[job] += 1
            self._begun.add(job)
        try:
            yield
        finally:
            with self._lock:
                self._running[job] -= 1
                self._running += Counter()  # forgets those that are 0
            self._noted_s.pop(job, None)

    def _wait_until_left(self) -> bool:
        until_s = time.monotonic() + _PATIENCE_S
        while self.running() and time.monotonic() < until_s:
            time.sleep(0.02)
        return not self.running()

    def _care(self) -> None:
        """Open the gates where jobs wait, and see to jobs that nobody is at though the database says that this worker is."""
        strays: set[str] = set()
        next_s = time.monotonic() + _STRAYS_S
        while not self._stopping.wait(_LOOK_S):
            try:
                waiting = self._records.waited_in([queue_name(device) for device in self._gates])
                for device in self._gates:
                    self._set_gate(device, queue_name(device) in waiting)
                if time.monotonic() >= next_s:
                    next_s = time.monotonic() + _STRAYS_S
                    strays = self._look_for_strays(strays)
            except Exception as error:  # whatever it is, nobody else would open the gates
                _log.warning("the queue can't be looked at: %s", getattr(error, "orig", error))

    def _look_for_strays(self, before: set[str]) -> set[str]:
        """Hand back what was a stray ``before`` too; returns what is one now: a job whose end, or start, could not be written down."""
        last_ours = self._records.last_run_by(self.worker)
        with self._lock:
            strays = {job for job, state in last_ours.items() if state == "running" and not self._running[job]}
            begun = strays & before & self._begun
            self._begun &= set(last_ours) | set(self._running)
            for key in [key for key in self._unkept if key[0] not in last_ours]:
                del self._unkept[key]
        # One that never even began counts as an attempt, so that it does not go round for ever.
        for jobs, refund in ((begun, True), ((strays & before) - begun, False)):
            if jobs:
                self._records.hand_back(self.worker, jobs, refund)
        return strays

    def _set_gate(self, device: str, is_open: bool) -> None:
        gate = self._gates.get(device)
        if gate is not None:
            gate._worker_concurrency = self._slots[device] if is_open and not self._paused.is_set() else 0


def queue_name(device: str) -> str:
    """Return the queue that jobs for ``device`` wait in."""
    return f"{APPLICATION}-{device}"


def _as_failure(do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something of a job; whatever goes wrong with it becomes `JobFailed`, and a stop `Interrupted`."""
    try:
        return do()
    except JobFailed:
        raise
    except Stopped as error:
        raise Interrupted from error
    except RigdropError as error:
        raise JobFailed(str(error), error.exit_code) from error
    except Exception as error:
        _log.exception("a fault of ours in a job")
        raise JobFailed(f"a fault of ours ({error!r}); please report this") from error


def _config(engine: sa.Engine, worker: str) -> DBOSConfig:
    return {
        "name": APPLICATION, "executor_id": worker, "application_version": APPLICATION_VERSION,
        "serializer": DBOSPortableJSONSerializer(), "dbos_system_schema": tables.SCHEMA,
        "system_database_engine": engine,
        # Only tells which kind it is, where there is an engine.
        "system_database_url": "sqlite:///jobs.db" if engine.dialect.name == "sqlite" else "postgresql://rigdrop/rigdrop",
        "log_level": "WARNING", "use_listen_notify": False,
        "notification_listener_polling_interval_sec": _MESSAGES_S,
        "scheduler_polling_interval_sec": 3600.0,
    }


def _prepare(database: Database, engine: sa.Engine) -> None:
    tables.create(engine)
    if not tables.there_are_jobs(engine):
        DBOS.migrate(database.url, schema=tables.SCHEMA)


def _private(owner: object, name: str) -> Any:
    """Return what dbos does not promise to keep; dbos is pinned for it, and tests/test_watch_dbos.py looks after each."""
    found = getattr(owner, name, None)
    if found is None:
        raise MissingPartError(f"dbos: this version has no {name}; install the one that rigdrop asks for: pip install 'dbos==3.4.0'")
    return found


# `list` means the method in the classes above.
Jobs = list[JobState]
Workers = list[WorkerState]
Ids = list[str]
