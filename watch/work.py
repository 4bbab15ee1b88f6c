"""What is done for one job, from its claim to its end: the order of the steps, and what happens when one goes wrong.

    probe ─ estimate ─ fit ─ store ─ (write ─ verify) for each format ─ extras ─ preview ─ report ─ publish ─ tell
                             └── a step fails for good ──▶ fail (failed/<job>/) ─ tell

Each step runs once and durably. A child that dies is replaced and the step tried again; a full disk is waited for; only
what is wrong with the input, or dies again and again, fails the job.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

from ..assets import assets_folder
from ..errors import RigdropError, Stopped, TryAgainError, WriteError
from . import claim as claims
from . import notify, settle, staging
from .child import ChildDied, Children
from .disks import is_full, too_full
from .job import JobSpec, State, logs_folder
from .lease import Lease
from .log import JobLog
from .metrics import Metrics
from .options import WatchOptions
from .queue import Interrupted, JobFailed, Queue, Step

_FULL_DISK_POLL_S = 2.0
_FULL_DISK_MOST_S = 60.0  # between two tries where we can't tell which disk is full
_LOOK_S = 0.5
_CHANGED = "changed after it was taken, and was handed back; it is taken again when it is quiet"


@dataclass
class Work:
    """Does jobs; one object for all of them, called by as many threads as there are slots."""

    options: WatchOptions
    children: Children
    lease: Lease
    metrics: Metrics
    log: JobLog
    queue: Queue | None = None  # set once it is there: each needs the other
    stopping: threading.Event = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.paused: str | None = None  # the disk that is full, in words
        self._stops: dict[str, threading.Event] = {}
        self._roots: dict[Path, None] = {}
        self._untold: SimpleQueue[tuple[JobSpec, dict[str, Any]]] = SimpleQueue()
        self._teller: threading.Thread | None = None

    def __call__(self, spec: JobSpec, step: Step) -> dict[str, Any]:
        """Do the job ``spec``; ``step(name, run)`` makes a step durable. Raises `JobFailed` with the reason."""
        self.was_in(Path(spec.root))
        with contextlib.suppress(WriteError):
            # Who does a job is who stops it and settles its claim where it is cancelled; else another would, while this one is at it.
            claims.bring(Path(spec.root), spec.job, self.lease.worker)
        try:
            result = self._convert(spec, step)
        except JobFailed as failed:
            reason, code = failed.reason, failed.code
            step("fail", lambda: self._once_there_is_room(spec, lambda: self._fail(spec, reason, code)))
            step("tell", lambda: self._tell(spec, {"state": "failed", "reason": reason, "code": code}))
            raise
        step("tell", lambda: self._tell(spec, {"state": "done", **result}))
        return result

    def cancel(self, job: str) -> None:
        """Stop what is being done for a job."""
        if job in self._stops:
            self._stops[job].set()

    def roots(self) -> set[Path]:
        """The inboxes, of this service or of others, that jobs which were done here have come from."""
        return set(tuple(self._roots))  # at once: jobs come meanwhile

    def was_in(self, root: Path) -> None:
        """Remember that jobs from this inbox were, or may have been, done here."""
        self._roots[root] = None

    def settled(self, spec: JobSpec, state: State, reason: str, code: int) -> None:
        """Count a job that ended without doing so itself, and tell of it: in a thread, since whoever settles jobs has no time to wait.

        Not to be called by several threads at once.
        """
        self._stops.pop(spec.job, None)
        self.metrics.failed(code)
        self._untold.put((spec, {"state": state, "reason": reason, "code": code}))
        if self._teller is None:
            self._teller = threading.Thread(target=self._tell_one_by_one, name="rigdrop-tell", daemon=True)
            self._teller.start()

    def _convert(self, spec: JobSpec, step: Step) -> dict[str, Any]:
        if spec.refused is not None:
            raise JobFailed(spec.refused, spec.refused_code)
        plan = step("probe", lambda: self._in_child("probe", spec, {}))
        told: dict[str, Any] = {}
        for name in plan["steps"]:
            told = step(name, lambda name=name: self._in_child(name, spec, plan))  # type: ignore[misc]
        return step("publish", lambda: self._once_there_is_room(spec, lambda: self._publish(spec, plan, told)))

    def _in_child(self, name: str, spec: JobSpec, plan: dict[str, Any]) -> dict[str, Any]:
        """Run a step in a child, until it is done or has failed for good."""
        try:
            return self._once_there_is_room(spec, lambda: self._unless_it_crashes(name, spec, plan))
        except Stopped:
            self._interrupted(spec)
        except RigdropError as error:
            raise JobFailed(_plain(str(error), spec), error.exit_code) from error

    def _unless_it_crashes(self, name: str, spec: JobSpec, plan: dict[str, Any]) -> dict[str, Any]:
        """Run a step in a child, and in another one where that dies."""
        while True:
            self._may_go_on(spec)
            try:
                return self._run(name, spec, plan)
            except ChildDied as died:
                self._after_a_crash(name, spec, died)

    def _run(self, name: str, spec: JobSpec, plan: dict[str, Any]) -> dict[str, Any]:
        log = logs_folder(Path(spec.root)) / f"{spec.job}.jsonl"
        stop = self._stops.setdefault(spec.job, threading.Event())
        with self.children.lend(spec.device, spec.job) as child:
            self.log.event(spec, "step", step=name, worker=self.lease.worker, pid=child.pid)
            job = {**spec.as_json(), "plan": plan}
            return child.run(name, job, self._listener(name, spec), stop, log)

    def _listener(self, name: str, spec: JobSpec) -> Callable[..., None]:
        def listen(event: str, /, **fields: Any) -> None:
            if event == "progress":
                self._queue.progress(spec.job, name, int(fields["done"]), fields["total"])
            self.log.event(spec, event, **{"step": name, **fields})

        return listen

    def _may_go_on(self, spec: JobSpec) -> None:
        """Go no further where the lease is over, we are asked to stop, or the source is not what it was."""
        self._may_work()
        held = claims.find(Path(spec.root), spec.job)
        if held is not None and claims.changed(held):
            raise JobFailed(f"{spec.relative}: {_CHANGED}", TryAgainError.exit_code)

    def _may_work(self) -> None:
        self.lease.check()
        if self.stopping.is_set():
            raise Interrupted

    def _after_a_crash(self, name: str, spec: JobSpec, died: ChildDied) -> None:
        if self.stopping.is_set():
            raise Interrupted from died
        crashes = self._queue.add_crash(spec.job)
        self.log.event(spec, "crash", step=name, message=died.reason, crashes=crashes)
        if crashes > self.options.retries:
            message = f"{spec.relative}: {name}: the process that worked on it {died.reason}, {crashes} times in all; see the log"
            raise JobFailed(message, RigdropError.exit_code) from died
        self._pause(self.options.backoff_s * 2 ** (crashes - 1), spec)

    def _once_there_is_room(self, spec: JobSpec, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do something that may be done again, as often as a full disk makes it necessary."""
        blind_s = _FULL_DISK_POLL_S
        while True:
            try:
                return do()
            except RigdropError as error:
                if not is_full(error):
                    raise
                blind_s = self._wait_for_room(spec, str(error), blind_s)

    def _wait_for_room(self, spec: JobSpec, message: str, blind_s: float) -> float:
        """Wait until no disk is too full any more; the job, and with it this slot of the queue, stands still and fails nothing.

        Where none of our places is the full one, only another try can tell: it is waited ``blind_s`` for. Returns how long to wait so
        where that is in vain.
        """
        self.log.event(spec, "paused", message=message)
        self.paused = message
        places = _places(spec, message)
        is_ours = too_full(places, self.options.floor_mb) is not None
        # Twice, so that what is freed is not eaten up again by the same write at once.
        wait_s = _FULL_DISK_POLL_S if is_ours else blind_s
        try:
            self._pause(wait_s, spec)
            while (full := too_full(places, self.options.floor_mb)) is not None:
                self.paused = full
                self._pause(_FULL_DISK_POLL_S, spec)
        finally:
            self.paused = None
        self.log.event(spec, "resumed")
        return _FULL_DISK_POLL_S if is_ours else min(2 * blind_s, _FULL_DISK_MOST_S)

    def _pause(self, seconds: float, spec: JobSpec) -> None:
        """Stand still; a stop of the service, or of this job, ends it."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self.stopping.wait(min(left_s, _LOOK_S))
            self._may_work()
            if spec.job in self._stops and self._stops[spec.job].is_set():
                self._interrupted(spec)

    def _interrupted(self, spec: JobSpec) -> NoReturn:
        """Tell apart why a child stopped: others have the job now, the whole service stops, or this job was cancelled."""
        self.lease.check()
        if self.stopping.is_set():
            raise Interrupted
        raise JobFailed(f"{spec.relative}: cancelled", Stopped.exit_code)

    def _publish(self, spec: JobSpec, plan: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
        """Let the take appear, put the source where it belongs, and leave nothing else behind."""
        self._may_go_on(spec)
        out = Path(spec.out)
        folder = staging.publish(out, plan["take"], spec.job)
        held = claims.find(Path(spec.root), spec.job)
        source = settle.to_done(held, spec.sources) if held is not None else None
        staging.clear(out, spec.job)
        self._stops.pop(spec.job, None)
        self.metrics.finished(told)
        self.log.event(spec, "published", folder=str(folder))
        return {"folder": str(folder), "source": None if source is None else str(source), **told}

    def _fail(self, spec: JobSpec, reason: str, code: int) -> dict[str, Any]:
        """Put the source where a person finds it, with the reason; or back, where it is only not ready."""
        self.lease.check()
        held = claims.find(Path(spec.root), spec.job)
        where: Path | None = None
        if held is not None and code == TryAgainError.exit_code:
            where = claims.hand_back(held)
        elif held is not None:
            where = settle.to_failed(held, spec.job, reason, code, logs_folder(Path(spec.root)) / f"{spec.job}.jsonl")
        staging.clear(Path(spec.out), spec.job)
        self._stops.pop(spec.job, None)
        self.metrics.failed(code)
        self.log.event(spec, "failed", message=reason, exit_code=code, folder=None if where is None else str(where))
        return {"folder": None if where is None else str(where)}

    def _tell(self, spec: JobSpec, outcome: dict[str, Any]) -> dict[str, Any]:
        """Tell who asked to be told; one that can't be reached is tried again, then noted and left."""
        content = {"job": spec.job, "root": spec.root, "relative": spec.relative, **outcome}
        for send in notify.receivers(self.options):
            for attempt in range(self.options.retries + 1):
                try:
                    send(content)
                    break
                except RigdropError as error:
                    self.log.event(spec, "warning", message=str(error))
                    if not isinstance(error, TryAgainError):
                        break
                    self._pause(self.options.backoff_s * 2**attempt, spec)
        return {}

    def _tell_one_by_one(self) -> None:
        while True:
            spec, outcome = self._untold.get()
            try:
                self._may_work()
                self._tell(spec, outcome)
            except Interrupted:
                self.log.event(spec, "warning", message=f"{spec.relative}: who asked to be told was not: the service stops")
            except Exception as error:  # nobody else would tell of the next one
                self.log.event(spec, "warning", message=f"{spec.relative}: who asked to be told was not: {error!r}")

    @property
    def _queue(self) -> Queue:
        assert self.queue is not None
        return self.queue


def _places(spec: JobSpec, message: str) -> list[Path]:
    """The folders that a job writes to. That of the parts may be as small as they are, so it counts only where ``message`` tells of it."""
    parts = assets_folder()
    return [Path(spec.out), Path(spec.root), *([parts] if str(parts) in message else [])]


def _plain(message: str, spec: JobSpec) -> str:
    """Return a message with the source's name for the place where it lies only while it is taken."""
    held = claims.find(Path(spec.root), spec.job)
    return message if held is None else message.replace(str(held.source), spec.relative)
