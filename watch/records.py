"""How jobs and workers stand, read from the database by plain statements: nothing here starts or changes a job but `hand_back`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ..errors import RigdropError
from . import tables
from .job import JobSpec, JobState, State, StepState, WorkerState
from .tables import jobs

STATE_OF: dict[str, State] = {
    "ENQUEUED": "waiting", "DELAYED": "waiting", "PENDING": "running", "SUCCESS": "done", "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed", "CANCELLED": "cancelled",
}
_WAITING = ("ENQUEUED", "DELAYED")
GIVEN_UP = "the service died each time that it worked on this, {0} times in all; look at the log, then retry it"
# Names of files need not be Unicode, but what a database keeps must be: such a text is kept as its bytes, under this key.
_BYTES = "$bytes"


class Records:
    """Reads one database; any thread may call."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = tables.scoped(engine)
        self._now_ms = tables.now_ms(engine)

    def select(self, states: Collection[State] = (), limit: int = 0, newest_first: bool = False) -> list[JobState]:
        """Return the jobs in ``states``, or all, the oldest first; at most ``limit`` of them, where that is not 0."""
        query = _select_jobs()
        if states:
            query = query.where(jobs.c.status.in_(_statuses(states)))
        return self._jobs(query.order_by(*self._by_age(newest_first)).limit(limit or None))

    def of_key(self, key: str) -> list[JobState]:
        """Return the jobs of one source with one set of options, the first first."""
        found = self._jobs(_select_jobs().where(jobs.c.workflow_uuid.startswith(f"{key[:16]}-", autoescape=True)))
        return sorted((job for job in found if job.spec.key == key), key=lambda job: (len(job.job), job.job))

    def show(self, job: str) -> JobState | None:
        """Return one job with its steps; nothing where there is none of this id."""
        with self.engine.connect() as connection:
            row = connection.execute(_select_jobs().where(jobs.c.workflow_uuid == job)).mappings().first()
            steps = connection.execute(
                sa.select(tables.steps).where(tables.steps.c.workflow_uuid == job).order_by(tables.steps.c.function_id)
            )
            return None if row is None else _job(row, tuple(_step(step) for step in steps.mappings()))

    def state(self, job: str) -> State | None:
        """Return how one job stands, and nothing else of it."""
        with self.engine.connect() as connection:
            status = connection.execute(sa.select(jobs.c.status).where(jobs.c.workflow_uuid == job)).scalar()
        return None if status is None else STATE_OF[status]

    def counts(self) -> dict[State, int]:
        """Return how many jobs are in each state."""
        counts: dict[State, int] = dict.fromkeys(STATE_OF.values(), 0)
        with self.engine.connect() as connection:
            for status, count in connection.execute(sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)):
                counts[STATE_OF[status]] += count
        return counts

    def oldest_waiting_s(self) -> float | None:
        """Return for how many seconds the job that waits longest has waited; nothing where none waits."""
        query = sa.select(self._now_ms - sa.func.min(jobs.c.created_at)).where(jobs.c.status.in_(_WAITING))
        with self.engine.connect() as connection:
            age_ms = connection.execute(query).scalar()
        return None if age_ms is None else max(0.0, age_ms / 1000)

    def workers(self) -> list[WorkerState]:
        """Return the workers that have registered, by name."""
        table = tables.workers.c
        query = sa.select(tables.workers, (self._now_ms - table.beat_ms).label("age_ms")).order_by(table.worker)
        with self.engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            WorkerState(row.worker, row.host, row.pid, max(0.0, row.age_ms / 1000), row.age_ms < row.lease_ms and row.taken_by is None)
            for row in rows
        ]

    def run_of(self, job: str, worker: str) -> str | None:
        """Return the mark of the run of ``job`` that ``worker`` is at; nothing where it is not its any more."""
        query = sa.select(jobs.c.owner_xid).where(
            jobs.c.workflow_uuid == job, jobs.c.executor_id == worker, jobs.c.status == "PENDING"
        )
        with self.engine.connect() as connection:
            return connection.execute(query).scalar()

    def last_run_by(self, worker: str) -> dict[str, State]:
        """Return the jobs that ``worker`` runs, by the database's account, and those that wait and nobody has run since."""
        query = sa.select(jobs.c.workflow_uuid, jobs.c.status).where(
            jobs.c.executor_id == worker, jobs.c.status.in_(("PENDING", "ENQUEUED"))
        )
        with self.engine.connect() as connection:
            return {row.workflow_uuid: STATE_OF[row.status] for row in connection.execute(query)}

    def hand_back(self, worker: str, only: Collection[str] | None = None, refund: bool = True) -> set[str]:
        """Let jobs that ``worker`` runs, or ``only`` these of them, wait again in their own queue; returns which.

        With ``refund`` their last start does not count among those after which a job is given up.
        """
        attempts = sa.case((jobs.c.recovery_attempts > 0, jobs.c.recovery_attempts - 1), else_=0)
        change = jobs.update().where(_runs_on(worker)).values(
            status="ENQUEUED", owner_xid=None, started_at_epoch_ms=None, updated_at=self._now_ms,
            **({"recovery_attempts": attempts} if refund else {}),
        )
        if only is not None:
            change = change.where(jobs.c.workflow_uuid.in_(only))
        with self.engine.begin() as connection:
            return set(connection.execute(change.returning(jobs.c.workflow_uuid)).scalars())

    def waited_in(self, queues: Sequence[str]) -> set[str]:
        """Return those of ``queues`` that any job waits in."""
        if not queues:
            return set()
        waits = [sa.exists().where(jobs.c.queue_name == queue, jobs.c.status == "ENQUEUED") for queue in queues]
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(*(each.label(f"q{number}") for number, each in enumerate(waits)))).one()
        return {queue for queue, waited in zip(queues, row, strict=True) if waited}

    def note_progress(self, job: str, step: str, done: int, total: int | None) -> None:
        """Keep how far a step of ``job`` is."""
        values = {"step": step, "done": done, "total": total}
        with self.engine.begin() as connection:
            connection.execute(tables.upsert(self.engine, tables.progress, {"job": job, **values}, values))

    def add_crash(self, job: str) -> int:
        """Count one more crash of the process that works on ``job``; returns how many there were."""
        table = tables.crashes
        change = tables.upsert(self.engine, table, {"job": job, "count": 1}, {"count": table.c.count + 1})
        with self.engine.begin() as connection:
            return int(connection.execute(change.returning(table.c.count)).scalar_one())

    def _jobs(self, query: sa.Select[Any]) -> list[JobState]:
        with self.engine.connect() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def _by_age(self, newest_first: bool) -> Iterator[sa.ColumnElement[Any]]:
        # SQLite's times may be whole seconds; there the rows' own order tells who came first.
        last = sa.literal_column("workflow_status.rowid") if self.engine.dialect.name == "sqlite" else jobs.c.workflow_uuid
        for column in (jobs.c.created_at, last):
            yield column.desc() if newest_first else column.asc()


def pack(value: Any) -> Any:
    """Return ``value`` as a database can keep it: what JSON holds, and nothing that is not Unicode.

    Raises `TypeError` for what JSON has no word for.
    """
    return _walk(json.loads(json.dumps(value)), _packed)


def unpack(value: Any) -> Any:
    """Return what `pack` was given, as JSON holds it."""
    return _walk(value, lambda text: text)


def _unpacked(text: str) -> Any:
    """What a database kept, as it was before."""
    value = json.loads(text)
    return unpack(value) if _BYTES in text else value  # nearly always there is nothing to look for


def _walk(value: Any, text: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [_walk(item, text) for item in value]
    if isinstance(value, dict):
        if set(value) == {_BYTES}:
            return bytes.fromhex(value[_BYTES]).decode("utf-8", "surrogatepass")
        return {key: _walk(item, text) for key, item in value.items()}
    return value


def _packed(text: str) -> str | dict[str, str]:
    try:
        text.encode()
    except UnicodeEncodeError:
        return {_BYTES: text.encode("utf-8", "surrogatepass").hex()}
    return text


def _statuses(states: Collection[State]) -> list[str]:
    return [status for status, state in STATE_OF.items() if state in states]


def _runs_on(worker: str) -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.executor_id == worker, jobs.c.status == "PENDING")


def _select_jobs() -> sa.Select[Any]:
    own, progress, crashes = jobs.c, tables.progress.c, tables.crashes.c
    joined = jobs
    for other in (tables.inputs, tables.outputs):
        joined = joined.outerjoin(other, other.c.workflow_uuid == own.workflow_uuid)  # type: ignore[assignment]
    for other in (tables.progress, tables.crashes):
        joined = joined.outerjoin(other, other.c.job == own.workflow_uuid)  # type: ignore[assignment]
    return sa.select(
        own.workflow_uuid, own.status, own.executor_id, own.recovery_attempts, own.created_at, own.started_at_epoch_ms, own.completed_at,
        tables.inputs.c.inputs, tables.outputs.c.output, tables.outputs.c.error,
        progress.step, progress.done, progress.total, crashes.count.label("crashes"),
    ).select_from(joined)


def _job(row: Mapping[Any, Any], steps: tuple[StepState, ...] = ()) -> JobState:
    state = STATE_OF[row["status"]]
    at_work = state == "running" and row["step"] is not None
    reason, code = _reason(row) if state == "failed" else (None, 0)
    return JobState(
        job=row["workflow_uuid"], state=state, spec=JobSpec.of_json(_unpacked(row["inputs"])["positionalArgs"][0]),
        worker=row["executor_id"], submitted_utc=_utc(row["created_at"]) or "", started_utc=_utc(row["started_at_epoch_ms"]),
        ended_utc=_utc(row["completed_at"]), crashes=row["crashes"] or 0,
        step=row["step"] if at_work else None, done=row["done"] if at_work else 0, total=row["total"] if at_work else None,
        result=None if row["output"] is None else _unpacked(row["output"]), reason=reason, code=code, steps=steps,
    )


def _reason(row: Mapping[Any, Any]) -> tuple[str, int]:
    if row["status"] == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        return GIVEN_UP.format((row["recovery_attempts"] or 1) - 1), RigdropError.exit_code
    error = json.loads(row["error"])
    return error["message"], int(error.get("code") or RigdropError.exit_code)


def _step(row: Mapping[Any, Any]) -> StepState:
    started_ms, ended_ms = row["started_at_epoch_ms"] or 0, row["completed_at_epoch_ms"] or 0
    error = None if row["error"] is None else json.loads(row["error"])["message"]
    return StepState(row["function_name"], _utc(started_ms) or "", max(0, ended_ms - started_ms) / 1000, error)


def _utc(ms: int | None) -> str | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
