"""A real ``rigdrop watch`` for tests that break things: started, stopped and killed from outside, and watched by its log.

    place = Place(tmp_path)                                  # inbox, out, database and state in one folder
    with RunningService(place, "--jobs", "1") as service:    # the process, and all that it said, however often it was started
        place.drop("a.mp4", unique(rendered_clip(), 1))
        service.wait_for("step", step="fit")
        service.kill()
        service.start()
        place.wait_until_ended()
    place.outcome(service).check()                           # one take for each good file, one reason for each bad, nothing else

Several services may share a place: give each a ``--worker``, and all of them to `Place.outcome`. Each wait has an end, at
which the log's last lines are told. `tally` prints what a file of tests has counted.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from rigdrop.errors import TryAgainError
from rigdrop.files import sha256_of
from rigdrop.formats.verify.file import verify_file
from rigdrop.motion.store import read_take, write_take
from rigdrop.motion.take import Take
from rigdrop.render.demo import DemoOptions, render_demo, stage_demo
from rigdrop.watch.database import Database
from rigdrop.watch.job import JobState
from rigdrop.watch.queue import QueueClient

PATIENCE_S = 120.0  # far more than anything takes; only a test that fails waits so long
_USUAL = {
    "--quality": ("draft",), "--no-preview": (), "--floor-mb": ("100",), "--settle": ("0.3",), "--backoff": ("0.2",), "--lease": ("5",),
    "--format": ("glb-skeletal,glb-baked",),
}
_LAST_LINES = 30
_OURS = ("error.txt", "log.jsonl")  # what the service puts beside a source that failed

Line = dict[str, Any]
Listener = Callable[[Line], None]


@dataclass(frozen=True)
class Dropped:
    """A file that was put into the inbox, and whether a take should become of it."""

    relative: str
    sha256: str
    good: bool
    sidecar: str | None = None


@dataclass
class Place:
    """The folders of a service, and what was dropped there; a ``database`` other than the file may be named."""

    folder: Path
    database: str = ""
    stay: bool = False  # finished sources go back to where they lay: the service has --sources stay
    dropped: list[Dropped] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox, self.out = self.folder / "inbox", self.folder / "out"
        self.database = self.database or str(self.folder / "jobs.db")
        self.inbox.mkdir(parents=True, exist_ok=True)

    def drop(self, relative: str, content: bytes, *, good: bool = True, sidecar: str | None = None) -> Path:
        """Let a file appear in the inbox at once and whole, with its settings just before it; returns where."""
        target = self.inbox / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if sidecar is not None:
            self._appear(target.with_name(f"{target.name}.toml"), sidecar.encode())
        self._appear(target, content)
        self.dropped.append(Dropped(relative, sha256(content).hexdigest(), good, sidecar))
        return target

    def _appear(self, target: Path, content: bytes) -> None:
        draft = self.folder / f"draft-{threading.get_ident()}"
        draft.write_bytes(content)
        os.rename(draft, target)

    def client(self) -> contextlib.AbstractContextManager[QueueClient]:
        """The jobs, as from another process."""
        return contextlib.closing(QueueClient(Database.parse(self.database)))

    def jobs(self) -> list[JobState]:
        """All jobs, the oldest first."""
        with self.client() as client:
            return client.list()

    def wait_until_ended(self, timeout_s: float = PATIENCE_S, jobs: int | None = None) -> None:
        """Wait until `is_ended`."""
        until_s = time.monotonic() + timeout_s
        with self.client() as client:
            while not self.is_ended(client, jobs):
                left = f"{client.counts()}; taken: {self.taken()}; in the inbox: {self.waiting()[:9]}"
                assert time.monotonic() < until_s, f"not everything has ended in {timeout_s:g} s: {left}"
                time.sleep(0.1)

    def is_ended(self, client: QueueClient, jobs: int | None = None) -> bool:
        """Tell whether inbox and claims are empty, and all jobs, and so many of them as different files were dropped, have ended."""
        counts = client.counts()
        wanted = len({(each.sha256, each.sidecar) for each in self.dropped}) if jobs is None else jobs
        live = counts["waiting"] + counts["running"]
        return not live and sum(counts.values()) >= wanted and not self.taken() and not self.waiting()

    def waiting(self) -> list[str]:
        """The files that lie in the inbox, taken by nobody; where they stay none that was dropped counts as such."""
        # os.walk, unlike rglob, minds no folder that goes while it looks.
        there = {os.path.relpath(os.path.join(folder, name), self.inbox) for folder, _, names in os.walk(self.inbox) for name in names}
        if self.stay:
            there -= {each.relative + end for each in self.dropped for end in ("", ".toml")}
        return sorted(name for name in there if name.split("/")[0] not in ("done", "failed", ".rigdrop"))

    def taken(self) -> list[str]:
        """The claims that there are, as ``worker/job``."""
        claims = str(self.inbox / ".rigdrop" / "claims")
        walk = [(os.path.relpath(folder, claims), names) for folder, names, _ in os.walk(claims)]
        return sorted(f"{worker}/{name}" for worker, names in walk for name in names if worker != "." and "/" not in worker)

    def outcome(self, *services: RunningService, verify: bool = True, foreseen: tuple[str, ...] = ()) -> Outcome:
        """Count what has become of everything that was dropped; ``services`` are those that worked here, for what they logged.

        Errors and tracebacks in their logs are faults, but for those with a word that is ``foreseen``.
        """
        return _Audit(self, services, verify, foreseen).outcome()


class RunningService:
    """The service as a process of its own, which may be started again after each end; leaving the block kills it."""

    def __init__(self, place: Place, *options: str, name: str = "", environment: dict[str, str] | None = None) -> None:
        self.place, self.name = place, name
        self.lines: list[Line] = []  # of all starts; ``run`` tells of which, from 1
        self.listeners: list[Listener] = []  # called in the reading thread with each line, as soon as it is there
        self.pids: list[int] = []  # of the service itself, a number for each start
        worker = ("--worker", name) if name else ()
        self._command = [
            sys.executable, "-m", "rigdrop", "watch", str(place.inbox), "--out", str(place.out), "--database", place.database,
            *(part for option, values in _USUAL.items() if option not in options for part in (option, *values)), *worker, *options,
        ]
        self._environment = {**os.environ, "XDG_STATE_HOME": str(place.folder / "state"), **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._news = threading.Condition()

    def __enter__(self) -> RunningService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, wait: bool = True) -> None:
        """Start it; ``wait`` until it says that it has started."""
        assert not self.alive, "it runs already"
        since = len(self.lines)
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", env=self._environment
        )
        self.pids.append(self._process.pid)
        self._reader = threading.Thread(target=self._read, args=(self._process, self.runs), daemon=True)
        self._reader.start()
        if wait:
            self.wait_for("started", since=since)

    def kill(self) -> None:
        """End it by SIGKILL, if it runs; all that it had said is read then."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self.wait_ended()

    def stop(self, timeout_s: float = PATIENCE_S) -> int:
        """End it by SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_ended(timeout_s)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait_ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until it has ended, by whatever came; returns the exit code, negative for a signal."""
        process, reader = self._process, self._reader
        assert process is not None and reader is not None
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended in {timeout_s:g} s\n{self.tail()}") from None
        reader.join(PATIENCE_S)
        assert process.stderr is not None
        process.stderr.close()
        return code

    @property
    def runs(self) -> int:
        """How often it was started."""
        return len(self.pids)

    @property
    def pid(self) -> int:
        """The process' number."""
        return self.pids[-1]

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def children(self, module: str = "steps") -> list[int]:
        """The processes that do the steps of jobs; for ``prober`` the one that looks into files."""
        return [pid for pid in child_pids(self.pid) if f"rigdrop.watch.{module} " in _command_of(pid)]

    def find(self, event: str, since: int = 0, **fields: object) -> list[Line]:
        """The lines that tell of ``event`` with these fields, from the ``since``-th line on."""
        with self._news:
            return [line for line in self.lines[since:] if _matches(line, event, fields)]

    def wait_for(self, event: str, timeout_s: float = PATIENCE_S, since: int = 0, **fields: object) -> Line:
        """Wait for a line, from the ``since``-th on (``len(service.lines)`` means: from now on); returns the first."""
        until_s, next_line = time.monotonic() + timeout_s, since
        with self._news:
            while True:
                for line in self.lines[next_line:]:
                    if _matches(line, event, fields):
                        return line
                next_line = len(self.lines)
                ended = self._reader is None or not self._reader.is_alive()
                assert not ended, f"it ended without {event} {fields}\n{self.tail()}"
                assert time.monotonic() < until_s, f"no {event} {fields} in {timeout_s:g} s\n{self.tail()}"
                self._news.wait(0.2)

    def tail(self) -> str:
        """The last lines of the log, for a message."""
        return "\n".join(json.dumps(line) for line in self.lines[-_LAST_LINES:])

    def _read(self, process: subprocess.Popen[str], run: int) -> None:
        assert process.stderr is not None
        for text in process.stderr:
            if not text.endswith("\n"):
                break  # torn by its death
            try:
                line = json.loads(text)
            except ValueError:
                line = {"event": "text", "message": text.rstrip("\n")}  # a traceback, or what a library prints
            line |= {"run": run, "worker_name": self.name}
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
            for listener in self.listeners:
                listener(line)


@dataclass(frozen=True)
class Outcome:
    """What has become of all files that were dropped in a place."""

    good: int  # dropped, each content once
    bad: int
    takes: int  # finished ones
    files: int  # verified against their takes
    failures: int  # folders with an error.txt
    sources: int  # found in done/ and failed/
    faults: tuple[str, ...]  # what is not as it should be, in words

    def check(self) -> Outcome:
        """Fail with all that is wrong."""
        assert not self.faults, "\n".join(("what is left is not as it should be:", *self.faults))
        return self

    def counts(self) -> dict[str, int]:
        """The numbers, for `tally`."""
        names = ("good", "bad", "takes", "files", "failures", "sources")
        return {**{name: getattr(self, name) for name in names}, "faults": len(self.faults)}


@dataclass
class _Audit:
    """Looks at everything in a place, and writes down what is wrong."""

    place: Place
    services: tuple[RunningService, ...]
    verify: bool
    foreseen: tuple[str, ...]
    faults: list[str] = field(default_factory=list)

    def outcome(self) -> Outcome:
        place, all_jobs = self.place, self.place.jobs()
        # A file that changed after it was taken is handed back, and its job has ended so; another job does it later.
        jobs = [job for job in all_jobs if (job.state, job.code) != ("failed", TryAgainError.exit_code)]
        good = {(each.sha256, each.sidecar) for each in place.dropped if each.good}
        bad = {(each.sha256, each.sidecar) for each in place.dropped if not each.good}
        self._jobs(jobs, Counter(key for key, _ in good), Counter(key for key, _ in bad))
        done = [job for job in jobs if job.state == "done"]
        takes, files = self._takes(done)
        failures = self._failures([job for job in jobs if job.state == "failed"])
        sources = self._sources()
        self._strays()
        self._logs()
        self._processes()
        return Outcome(len(good), len(bad), takes, files, failures, sources, tuple(self.faults))

    def _say(self, condition: bool, message: str) -> None:
        if not condition:
            self.faults.append(message)

    def _jobs(self, jobs: list[JobState], good: Counter[str], bad: Counter[str]) -> None:
        """Each content has one job, which ended as it should."""
        for job in jobs:
            self._say(job.state in ("done", "failed", "cancelled"), f"{job.job} of {job.spec.relative} has not ended: {job.state}")
        for wanted, state in ((good, "done"), (bad, "failed")):
            found = Counter(job.spec.source_sha256 for job in jobs if job.state == state)
            for key in wanted.keys() | found.keys():
                names = sorted(each.relative for each in self.place.dropped if each.sha256 == key)
                self._say(found[key] == wanted[key], f"{names}: {found[key]} jobs are {state}, expected {wanted[key]}")

    def _takes(self, jobs: list[JobState]) -> tuple[int, int]:
        """Each job that is done has one folder with a report, which holds just what the report tells of, and all of that verifies."""
        reports = {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in self.place.out.rglob("report.json")}
        owners = Counter(report.get("job") for report in reports.values())
        for job in jobs:
            folder = Path(str((job.result or {}).get("folder")))
            self._say(owners[job.job] == 1, f"{job.job} of {job.spec.relative}: {owners[job.job]} takes, expected one")
            self._say(reports.get(folder, {}).get("job") == job.job, f"{job.job}: its take is not in {folder}")
        self._say(len(reports) == len(jobs), f"{len(reports)} takes of {len(jobs)} jobs that are done")
        return len(reports), sum(self._take(folder, report) for folder, report in reports.items())

    def _take(self, folder: Path, report: dict[str, Any]) -> int:
        told = {"report.json", *(entry["file"] for entry in report["files"])}
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        self._say(told == there, f"{folder}: {sorted(told ^ there)} are in the report or in the folder, but not in both")
        written = [entry["file"] for person in report["people"] for entry in person["files"]]
        self._say(bool(written) or not report["people"], f"{folder}: nothing was written")
        if self.verify:
            take = read_take(folder / "take.h5")
            for name in written:
                found = verify_file(folder / name, take)
                self._say(found.ok, f"{folder / name}: {found}")
        return len(written)

    def _failures(self, jobs: list[JobState]) -> int:
        """Each job that failed has one folder, with the source and one plain reason."""
        folders = {path.name: path for path in (self.place.inbox / "failed").glob("*")}
        self._say(folders.keys() == {job.job for job in jobs}, f"failed/ holds {sorted(folders)}, failed have {[job.job for job in jobs]}")
        for job in jobs:
            path = self.place.inbox / "failed" / job.job / "error.txt"
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            self._say(bool(job.reason) and str(job.reason) in text, f"{path}: found {text!r}, expected the reason {job.reason!r}")
        return len(folders)

    def _sources(self) -> int:
        """Every file that was dropped lies in done/ or failed/, or where it stays, just as often as it was dropped."""
        expected: Counter[str] = Counter(each.sha256 for each in self.place.dropped)
        expected += Counter(sha256(each.sidecar.encode()).hexdigest() for each in self.place.dropped if each.sidecar is not None)
        inbox = self.place.inbox
        folders = [each for each in inbox.iterdir() if each.name != ".rigdrop"] if self.place.stay else [inbox / "done", inbox / "failed"]
        paths = [path for folder in folders for path in (folder, *folder.rglob("*")) if path.is_file()]
        found = Counter(sha256_of(path) for path in paths if path.name not in _OURS)
        names = {each.sha256: each.relative for each in self.place.dropped}
        for key in expected.keys() | found.keys():
            name = names.get(key, f"content {key[:8]}")
            self._say(found[key] == expected[key], f"{name}: is {found[key]} times in done/ and failed/, was dropped {expected[key]} times")
        return sum(found.values())

    def _strays(self) -> None:
        """Nothing half-done is left anywhere."""
        place = self.place
        for path in place.folder.rglob("*"):
            self._say(".part" not in path.name and not path.name.startswith("draft-"), f"{path}: is a stray temporary file")
        for path in place.out.rglob(".rigdrop"):
            self._say(False, f"{path}: is left, with {sorted(str(each.relative_to(path)) for each in path.rglob('*'))}")
        self._say(not place.taken(), f"claims are left: {place.taken()}")
        self._say(not place.waiting(), f"the inbox still holds {place.waiting()}")

    def _logs(self) -> None:
        """No step is begun again once a later one was, and nothing unforeseen was said."""
        begun: dict[str, list[str]] = {}
        lines = sorted((line for service in self.services for line in service.lines), key=lambda line: line.get("timestamp", ""))
        for line in lines:
            is_foreseen = any(word in str(line.get("message")) for word in self.foreseen)
            self._say(line["event"] not in ("text", "error") or is_foreseen, f"the log says: {line.get('message')}")
            if line["event"] == "step":
                begun.setdefault(line["job"], []).append(line["step"])
        for job, steps in begun.items():
            for earlier, step in itertools.pairwise(steps):
                self._say(step == earlier or step not in steps[: steps.index(earlier)], f"{job}: {step} was done again after {earlier}")


    def _processes(self) -> None:
        """No child has outlived its service."""
        for service in self.services:
            for number, pid in enumerate(service.pids, start=1):
                children = {line["pid"] for line in service.lines if line["run"] == number and "pid" in line}
                left = sorted(child for child in children if f"child_main {pid} " in _command_of(child))
                is_live = service.alive and number == service.runs
                self._say(is_live or not left, f"processes {left} are left of a service that has ended")


def _matches(line: Line, event: str, fields: dict[str, object]) -> bool:
    return line["event"] == event and all(line.get(name) == value for name, value in fields.items())


def child_pids(parent: int) -> list[int]:
    """The processes that a process has started and that live."""
    found = []
    for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in tasks.read_text(encoding="ascii").split()]
    return found


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@functools.cache
def rendered_clip() -> bytes:
    """A small clip of a person, as mp4: 21 pictures, done in two seconds. `unique` makes others of it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        render_demo(path, DemoOptions(seconds=0.7, seed=1, width=240, height=320))
        return path.read_bytes()


def unique(clip: bytes, number: int) -> bytes:
    """The same clip as another content: a box of free space at the end, which every reader passes over, holds the number."""
    return clip + (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")


@functools.cache
def _staged() -> Take:
    return stage_demo(DemoOptions(seconds=0.2, seed=1))


def stored_take(number: int) -> bytes:
    """A stored take (take.h5) of a few frames, another content and name for each number; it costs a service only the writing."""
    name = f"take_{number:04d}"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "take.h5"
        write_take(path, replace(_staged(), source_name=f"{name}.mp4", source_sha256=sha256(name.encode()).hexdigest()))
        return path.read_bytes()


class Tally:
    """Adds up what tests count, by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, outcome: Outcome | None = None, **counts: int) -> None:
        """Add an outcome's counts, or others."""
        self.counts.update({**(outcome.counts() if outcome is not None else {}), **counts})


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Prints, after the last test of a file, what its tests have added up."""
    own = Tally()
    yield own
    plugins = request.config.pluginmanager
    reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    if reporter is None or not own.counts:
        return
    with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
        reporter.write_line("")
        reporter.write_line(f"{Path(str(request.path)).name}:")
        for name, count in own.counts.items():
            reporter.write_line(f"{count:8d}  {name.replace('_', ' ')}")
