"""The service: folders are watched, jobs done, others told, until somebody asks it to stop.

The main thread goes round: it sees to signals, tells how things stand, and settles what no job sees to. Files are taken in
by a thread of its own, so that a slow share stops nothing else; jobs run in the queue's threads, their work in children.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Literal

from ..config.settings import Settings
from ..errors import RigdropError, SettingsError, Stopped, TryAgainError
from .child import Children
from .database import Database
from .disks import free_mb
from .intake import Intake
from .janitor import Janitor
from .job import State
from .lease import Lease, worker_name
from .log import JobLog
from .metrics import CONTENT_TYPE, Metrics
from .notify import receivers
from .options import WatchOptions
from .prober import Prober
from .queue import Queue
from .ready import Readiness
from .status import Snapshot, StatusFile, default_place
from .systemd import Supervisor
from .wake import Wake
from .web import Health, Web, pages
from .work import Work

_TURN_S = 0.5
_JANITOR_S = 2.0
_IDLE_LOOK_S = 5.0  # how often the database is asked how things stand where nothing runs
_TIDY_S = 3600.0
_FAILURES_TOLD = 20
_INSISTS_S = 1.0
_RUNNING: tuple[State, ...] = ("running",)
_FAILED: tuple[State, ...] = ("failed",)


@dataclass
class Service:
    """One worker with its folders; `run` returns the exit code."""

    roots: tuple[Path, ...]
    settings: Settings
    options: WatchOptions
    state_folder: Path
    read_again: Callable[[], tuple[Settings, WatchOptions]]  # the settings as they are now, for SIGHUP
    service_file: Path | None = None  # the TOML file that they come from
    log: JobLog = field(default_factory=JobLog)

    def __post_init__(self) -> None:
        self.health, self.metrics, self.supervisor = Health(), Metrics(), Supervisor()
        self.stopping, self.reload, self.lost = threading.Event(), threading.Event(), threading.Event()
        self._awake = threading.Event()
        self._started_utc = datetime.now(UTC).isoformat(timespec="seconds")
        self._due: dict[str, float] = {}

    @property
    def out(self) -> Path:
        """Where the takes go, absolute."""
        return self.settings.output.out.absolute()

    def run(self) -> int:
        """Serve until SIGTERM or Ctrl-C (143), or until the lease is lost (75). Raises `SettingsError` for what can't be."""
        _check(self.roots, self.settings, self.options)
        database = Database.parse(self.options.database)
        worker, lock = worker_name(self.options.worker, self.state_folder)
        with contextlib.ExitStack() as after, self.log.of_libraries(), _signals(self):
            after.callback(lock.close)
            self._build(database, worker)
            after.callback(self.prober.stop)
            self.lease.start()
            after.callback(self.lease.stop)
            self._start(after)
            self._serve()
            return self._stop()

    def _build(self, database: Database, worker: str) -> None:
        options = self.options
        self.children = Children({"cpu": options.jobs, "gpu": options.gpus}, options.hang_s)
        self.prober = Prober()
        self.lease = Lease(database, worker, options.lease_s, self._take_over, self._lost)
        self.work = Work(options, self.children, self.lease, self.metrics, self.log)
        self.queue = Queue(database, worker, {"cpu": options.jobs, "gpu": options.gpus}, self.work)
        self.work.queue = self.queue
        self.intake = Intake(self.roots, self.settings, options, worker, self.queue, self.prober, self.log)
        self.intake.service_file = self.service_file
        self.janitor = Janitor(self.roots, options, worker, self.queue, self.work, self.log)
        self.status = StatusFile(options.status or default_place(self.roots[0]), self._warn)
        self.worker = worker
        self.metrics.ask_beat_age(lambda: self.lease.age_s)

    def _start(self, after: contextlib.ExitStack) -> None:
        self.queue.start()
        self.wake = Wake(self.roots, self.options.watching, self.options.poll_s, self._warn)
        after.callback(self.wake.close)
        if self.options.port:
            web = Web(self.options.host, self.options.port, pages(self.health, self.metrics.text, CONTENT_TYPE))
            web.start()
            after.callback(web.stop)
        self._intake_thread = threading.Thread(target=self._take_in, name="rigdrop-intake", daemon=True)
        self._intake_thread.start()
        self.supervisor.ready()
        self.log.service("started", worker=self.worker, inboxes=[str(root) for root in self.roots], out=str(self.out))

    def _serve(self) -> None:
        while not self.stopping.is_set() and not self.lost.is_set():
            self._turned()
            if self.reload.is_set():
                self._reload()
            if self._is_due("janitor", _JANITOR_S):
                self._guarded("database", self.janitor.turn)
                self._turned()
            if self._is_due("tidy", _TIDY_S):
                self._guarded("inbox", self.janitor.tidy)
            if self._is_due("look", _TURN_S if self.queue.running() else _IDLE_LOOK_S):
                self._guarded("database", self._tell)
            self._awake.wait(_TURN_S)
            self._awake.clear()

    def _take_in(self) -> None:
        """The intake's thread: looks into the folders whenever something may have changed there."""
        roots, soon = set(self.roots), None
        while not self.stopping.is_set() and not self.lost.is_set():
            try:
                soon = self.intake.turn(roots)
                self.health.say("inbox", "; ".join(self.intake.unread.values()) or None)
            except Exception as error:  # a share that is gone for a minute must not end the intake for good
                self.health.say("inbox", str(error))
                self.log.service("error", message=f"the inbox can't be looked at: {error!r}; it is tried again")
                soon = self.options.poll_s
            roots = self.wake.wait(soon) or set(self.roots)

    def _stop(self) -> int:
        """Let every job come to the end of its step, or stop it where that takes too long; then hand all of them back."""
        until_s = time.monotonic() + self.options.stop_s
        self.supervisor.stopping()
        self.log.service("stopping", running=self.queue.running())
        self.work.stopping.set()
        self.intake.stopping.set()
        self.wake.wake()
        self._wait_until_left(until_s)
        if self.lost.is_set():
            self.children.kill()
            return TryAgainError.exit_code
        self.children.stop(grace_s=0.0)  # the steps have had their time
        self.queue.stop(release=True)
        self._guarded("database", lambda: self.status.close(self._snapshot("stopped")))
        self.log.service("stopped")
        return Stopped.exit_code

    def _wait_until_left(self, until_s: float) -> None:
        """Wait until the intake and the jobs have come to a halt, for both no longer than ``until_s``; jobs that were lost are not ours."""
        while (self._intake_thread.is_alive() or (self.queue.running() and not self.lost.is_set())) and time.monotonic() < until_s:
            self._turned()
            time.sleep(0.1)

    def _turned(self) -> None:
        """Say that the main loop goes round; each of its parts may have to wait for a busy database or a slow share."""
        self.health.turned()
        self.supervisor.turned()

    def _tell(self) -> None:
        snapshot = self._snapshot(None)
        self.status.show(snapshot)
        self.metrics.show(snapshot)
        if self.work.paused:
            self.queue.pause()
        else:
            self.queue.resume()
        self.health.say("database", None)
        self.health.say("lease", None if self.lease.held else "the lease is over; the worker stops")
        self.health.say("disk", snapshot.paused)
        counts = snapshot.counts
        self.supervisor.turned(f"{counts.get('running', 0)} running, {counts.get('waiting', 0)} waiting")

    def _snapshot(self, state: Literal["stopped"] | None) -> Snapshot:
        paused = self.work.paused or self.intake.see_room()  # the intake itself looks only when there may be something to take
        running = self.queue.list(_RUNNING)
        inbox = dict.fromkeys(Readiness.STATES, 0)
        for readiness in self.intake.readiness.values():
            for name, count in readiness.counts().items():
                inbox[name] += count
        return Snapshot(
            worker=self.worker, state=state or ("paused" if paused else "running"), started_utc=self._started_utc,
            inboxes=tuple(str(root) for root in self.roots), out=str(self.out), paused=paused, counts=self.queue.counts(),
            oldest_waiting_s=self.queue.oldest_waiting_s(), inbox=inbox, running=tuple(running),
            failures=tuple(self.queue.list(_FAILED, limit=_FAILURES_TOLD, newest_first=True)), workers=tuple(self.queue.workers()),
            beat_age_s=self.lease.age_s, child_memory_bytes=int(self.children.memory_mb * 1e6),
            disk_free_bytes={str(place): int(free_mb(place) * 1e6) for place in (*self.roots, self.out)},
        )

    def _reload(self) -> None:
        """Read the settings again; what is wrong with them is said, and the old ones stay."""
        self.reload.clear()
        self.supervisor.reloading()
        try:
            settings, options = self.read_again()
            _check(self.roots, settings, options)
            self.settings = self.intake.settings = settings
            self.options = self.intake.options = self.work.options = options
            self.log.service("reloaded")
        except RigdropError as error:
            self.log.service("error", message=f"{error}; the settings stay as they were")
        self.supervisor.ready()

    def _guarded(self, part: str, run: Callable[[], object]) -> None:
        """Do something that the next turn can do as well, where the database or a disk is away for a while."""
        try:
            run()
        except Exception as error:
            self.health.say(part, str(error))
            self.log.service("warning", message=f"{error!r}; it is tried again")

    def _take_over(self, dead: str) -> int:
        """What the lease calls for a worker that died: its claims become ours, its jobs wait again."""
        self.janitor.inherit(dead)
        count = self.queue.recover(dead)
        self.intake.adoption.set()
        self.wake.wake()
        self.log.service("took over", dead=dead, jobs=count)
        return count

    def _lost(self) -> None:
        """What the lease calls when this worker counts as dead: nothing it does may count any more."""
        self.lost.set()  # first: whoever sees a child end must see why
        self.children.kill()
        self._awake.set()

    def _warn(self, message: str) -> None:
        self.log.service("warning", message=message)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True


def _check(roots: tuple[Path, ...], settings: Settings, options: WatchOptions) -> None:
    """Raise `SettingsError` for settings that would go wrong only with the first clip, or its outcome: before they are taken over."""
    _check_places(roots, settings.output.out.absolute())
    receivers(options)


def _check_places(roots: tuple[Path, ...], out: Path) -> None:
    for root in roots:
        if not root.is_dir():
            raise SettingsError(f"inbox: found no folder {root}, expected one that is there; make it, or mount the share")
        for other in roots:
            if other is not root and _lies_in(other, root):
                raise SettingsError(f"inbox: {other} lies in {root}, or is it; expected folders apart: watch {root} alone")
        if _lies_in(out, root):
            raise SettingsError(f"out: {out} lies in the inbox {root}, expected a folder outside it; choose another --out")


def _lies_in(path: Path, folder: Path) -> bool:
    """Tell whether a place is in a folder, or the folder itself, by whatever links and names they are told."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


@contextlib.contextmanager
def _signals(service: Service) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the service in peace, another one some time later at once; SIGHUP lets it read its settings again."""

    asked_s: list[float] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked_s.append(time.monotonic())
        # Whoever stops us may tell the whole group, or twice in one breath; somebody who insists does so after a moment.
        if asked_s[-1] - asked_s[0] > _INSISTS_S:
            service.children.kill()
            os._exit(Stopped.exit_code)
        service.stopping.set()
        service._awake.set()

    def reload(number: int, frame: FrameType | None) -> None:
        service.reload.set()
        service._awake.set()

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = reload
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
