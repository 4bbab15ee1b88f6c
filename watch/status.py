"""How the service stands: one value that the status file, the metrics and a person's question are all answered from.

The status file is for scripts: whole at any moment, written when something changed, and once a minute even if nothing did,
so that an old one tells that nobody writes it any more. docs/service.md describes it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from .. import __version__
from ..errors import WriteError
from ..files import write_bytes
from .job import JobState, State, WorkerState

SCHEMA, SCHEMA_VERSION = "rigdrop.status", 1
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed", "cancelled")
# Files in the inbox that are no jobs yet: still changing, not to be opened yet, and ready but not taken (paused, or enough ahead).
InboxState = Literal["settling", "unopened", "ready"]
INBOX_STATES: tuple[InboxState, ...] = ("settling", "unopened", "ready")

_LEAST_S = 1.0
_MOST_S = 60.0
# Figures that change by themselves all the time: told with the rest, but no reason to write.
_RESTLESS = ("beat_age_s", "oldest_waiting_s", "disk_free_bytes", "child_memory_bytes", "workers")


@dataclass(frozen=True)
class Snapshot:
    """How the service, its inbox and its queue stand at one moment."""

    worker: str  # who says so
    state: Literal["starting", "running", "paused", "stopping", "stopped"]
    started_utc: str = ""  # ISO 8601
    inboxes: tuple[str, ...] = ()
    out: str = ""
    paused: str | None = None  # why nothing is taken or written, in words
    counts: Mapping[State, int] = field(default_factory=dict)  # of all jobs in the database
    oldest_waiting_s: float | None = None  # how long the first of the queue has waited
    inbox: Mapping[InboxState, int] = field(default_factory=dict)
    running: tuple[JobState, ...] = ()
    failures: tuple[JobState, ...] = ()  # the latest first
    workers: tuple[WorkerState, ...] = ()  # all that share the database
    beat_age_s: float | None = None  # since this worker was last heard of
    child_memory_bytes: int = 0  # of the processes that work
    disk_free_bytes: Mapping[str, int] = field(default_factory=dict)  # by folder

    def as_json(self) -> dict[str, Any]:
        """Return what the status file holds, but for the time that it was written."""
        return {
            "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "rigdrop_version": __version__,
            "state": self.state, "paused": self.paused,
            "worker": self.worker, "started_utc": self.started_utc, "inboxes": list(self.inboxes), "out": self.out,
            "jobs": {state: self.counts.get(state, 0) for state in STATES},
            "oldest_waiting_s": _rounded(self.oldest_waiting_s),
            "inbox": {state: self.inbox.get(state, 0) for state in INBOX_STATES},
            "running": [_running(job) for job in self.running],
            "failures": [_failure(job) for job in self.failures],
            "workers": [_worker(worker) for worker in self.workers],
            "beat_age_s": _rounded(self.beat_age_s), "child_memory_bytes": self.child_memory_bytes,
            "disk_free_bytes": dict(self.disk_free_bytes),
        }


class StatusFile:
    """The status file: `show` it every turn of the main loop; it decides when to write, and never raises."""

    def __init__(self, path: Path, say: Callable[[str], None] = lambda message: None, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._say = say
        self._clock = clock
        self._written_s = float("-inf")
        self._last: object = None
        self._refused = False
        self._others: set[str] = set()  # workers that have been seen to write this file too

    def show(self, snapshot: Snapshot) -> bool:
        """Write ``snapshot`` where it says something new and the last one is a second old; returns whether it was written."""
        since_s = self._clock() - self._written_s
        news = _news(snapshot)
        if since_s < _LEAST_S or (news == self._last and since_s < _MOST_S):
            return False
        self._last = news
        return self._write(snapshot)

    def close(self, snapshot: Snapshot) -> bool:
        """Write the last word, unless another live worker goes on writing this file; returns whether it was written."""
        self._see_who_wrote(snapshot.worker)
        if any(other.alive and other.worker in self._others for other in snapshot.workers):
            return False
        return self._write(snapshot)

    def _write(self, snapshot: Snapshot) -> bool:
        self._written_s = self._clock()
        self._see_who_wrote(snapshot.worker)
        content = {**snapshot.as_json(), "written_utc": datetime.now(UTC).isoformat(timespec="milliseconds")}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        try:
            # A file name need not be Unicode; what is left of it as a surrogate becomes an escape, which JSON knows too.
            write_bytes(self.path, text.encode("utf-8", errors="backslashreplace") + b"\n", self._draft(snapshot.worker))
        except WriteError as error:
            if not self._refused:
                self._say(str(error))
            self._refused = True
            return False
        self._refused = False
        return True

    def _see_who_wrote(self, worker: str) -> None:
        """Note whose the file is just now: who shares the database may well have inboxes and a file of their own."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self._others |= {str(json.loads(self.path.read_bytes())["worker"])} - {worker}

    def _draft(self, worker: str) -> Path:
        """Where a worker writes at first: always the same place, so that it writes over what it left there when it was killed."""
        return self.path.with_name(f".{sha256(f'{worker}/{self.path}'.encode(errors='surrogateescape')).hexdigest()[:12]}.part")


def default_place(inbox: Path) -> Path:
    """Return where the status file of ``inbox`` is where nobody says otherwise: beside it, ``<inbox>.status.json``."""
    return inbox.with_name(f"{inbox.name}.status.json")


def job_as_json(state: JobState) -> dict[str, Any]:
    """Return a job as JSON, every field of it."""
    own = {each.name: getattr(state, each.name) for each in fields(state) if each.name not in ("spec", "steps")}
    steps = [{each.name: getattr(step, each.name) for each in fields(step)} for step in state.steps]
    return {**own, "spec": state.spec.as_json(), "steps": steps}


def _news(snapshot: Snapshot) -> object:
    """What makes a snapshot worth writing; of the workers only who they are and whether they live."""
    told = {each.name: getattr(snapshot, each.name) for each in fields(snapshot) if each.name not in _RESTLESS}
    return told, [(worker.worker, worker.alive) for worker in snapshot.workers]


def _running(job: JobState) -> dict[str, Any]:
    return {
        "job": job.job, "root": job.spec.root, "source": job.spec.relative, "worker": job.worker, "started_utc": job.started_utc,
        "step": job.step, "done": job.done, "total": job.total, "crashes": job.crashes,
    }


def _failure(job: JobState) -> dict[str, Any]:
    return {
        "job": job.job, "root": job.spec.root, "source": job.spec.relative, "worker": job.worker, "ended_utc": job.ended_utc,
        "code": job.code, "reason": job.reason,
    }


def _worker(worker: WorkerState) -> dict[str, Any]:
    return {
        "worker": worker.worker, "host": worker.host, "pid": worker.pid, "beat_age_s": _rounded(worker.beat_age_s), "alive": worker.alive,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
