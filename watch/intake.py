"""From files in watched folders to jobs: what is quiet and opens is taken, named by its content, and submitted.

    seen ─ quiet ─ opens ─ taken ─ hashed ─ named ─ submitted
                     └ never opens ─ taken ─────┘ (as a job that is refused)

Whatever a crash leaves between two of these is found again at the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .. import __version__
from ..config.settings import Settings
from ..errors import ReadError, RigdropError, SettingsError
from ..files import sha256_of
from ..ingest.motion_files.options import MotionFileOptions
from ..needs import contents_named
from ..report import read_report
from . import claim as claims
from . import settle
from .claim_file import Claim
from .disks import too_full
from .job import JobSpec, JobState
from .log import JobLog
from .options import WatchOptions
from .place import settings_of
from .prober import Prober
from .queue import Queue
from .ready import Readiness
from .scan import Entry, scan

_PROBE_TIMEOUT_S = 30.0
_HELD_BACK_S = 2.0
# What lasts is met again at each look, a minute apart at most; what was not met for so long is news when it comes back.
_REMEMBERED_S = 600.0


@dataclass
class Intake:
    """Watches over some folders; `turn` is called whenever something may have changed in them."""

    roots: tuple[Path, ...]
    settings: Settings
    options: WatchOptions
    worker: str
    queue: Queue
    prober: Prober
    log: JobLog
    readiness: dict[Path, Readiness] = field(default_factory=dict)
    service_file: Path | None = None  # the TOML file of the service itself, which may lie in a root
    stopping: threading.Event = field(default_factory=threading.Event)
    paused: str | None = None  # why nothing is taken just now

    def __post_init__(self) -> None:
        self.unread: dict[Path, str] = {}  # the roots that can't be read just now, each with the reason, in words
        self._said_s: dict[str, float] = {}  # what was said, and when it was last met
        self._again_s: dict[Path, float | None] = {}
        self.adoption = threading.Event()  # set where claims may lie about that never became jobs
        self.adoption.set()
        for root in self.roots:
            self.readiness[root] = Readiness(self.options.settle_s, self.options.grace_s)

    def _adopt(self) -> None:
        """Go on with what this worker, or one that it inherited from, had taken when it died: claims that never became jobs."""
        self.adoption.clear()
        for root in self.roots:
            with self._at_the_next_turn():
                orphans = [claim for job, claim in claims.named(root, self.worker) if self.queue.state(job) is None]
                for claim in [*claims.unnamed(root, self.worker), *orphans]:
                    with self._at_the_next_turn():
                        self._submit(claim)

    @contextlib.contextmanager
    def _at_the_next_turn(self) -> Iterator[None]:
        """Let what the database or a disk refuses just now be adopted again, and hold up nothing else."""
        try:
            yield
        except RigdropError as error:
            self.adoption.set()
            self._say_once("warning", f"{error}; it is tried again")

    def turn(self, roots: Iterable[Path]) -> float | None:
        """Look into ``roots`` and take what is ready; returns in how many seconds to look again, where something is waited for."""
        self._forget_what_is_over()
        if self.adoption.is_set():
            self._adopt()
        if self.see_room() is not None:
            self._say_once("paused", str(self.paused))
        for root in roots:
            self._again_s[root] = self._turn(root)
        now_s = time.monotonic()
        due = [readiness.due_s(now_s) for readiness in self.readiness.values()]
        adoption_s = _HELD_BACK_S if self.adoption.is_set() else None
        return min((seconds for seconds in (*due, *self._again_s.values(), adoption_s) if seconds is not None), default=None)

    def see_room(self) -> str | None:
        """Look at the disks, and return why nothing is taken just now, where one of them has too little room."""
        self.paused = too_full([*self.roots, self.settings.output.out], self.options.floor_mb)
        return self.paused

    def _turn(self, root: Path) -> float | None:
        """Look into one root; returns in how many seconds to look again whatever happens, where that is known."""
        try:
            entries = scan(root, lambda message: self._say_once("warning", message))
        except OSError as error:
            why = f"{root}: can't be read ({error.strerror}); it is looked at again"
            if self.unread.get(root) != why:
                self.log.service("warning", message=why)
            self.unread[root] = why
            return self.options.poll_s
        self.unread.pop(root, None)
        readiness = self.readiness[root]
        held_back = False
        for entry in readiness.update(entries, time.monotonic()):
            held_back = self.paused is not None or self._room() <= 0 or self.stopping.is_set()
            if held_back:
                break
            self._look(entry, readiness)
        return _HELD_BACK_S if held_back else None

    def _room(self) -> int:
        """How many files may still be taken ahead of the work."""
        return self.options.ahead - sum(claims.held(root, self.worker) for root in self.roots)

    def _look(self, entry: Entry, readiness: Readiness) -> None:
        """Take a quiet file if it opens, or never will."""
        why = self.prober.probe(entry.path, _PROBE_TIMEOUT_S, self._reading(entry))
        if why is not None:
            why = why.replace(str(entry.path), entry.relative)
        if why is not None and readiness.not_open(entry, why, time.monotonic()) == "wait":
            return
        try:
            claim = claims.take(entry, self.worker)
        except RigdropError as error:
            readiness.not_open(entry, str(error), time.monotonic())
            self._say_once("warning", str(error))
            return
        if claim is None:
            return
        readiness.forget(entry)
        try:
            self._submit(claim, why)
        except RigdropError:
            self.adoption.set()  # it lies in no inbox any more, and is no job yet
            raise

    def _reading(self, entry: Entry) -> MotionFileOptions:
        """How the file will be read; where its own settings are wrong, which the job will tell of, as the service reads."""
        settings = self.settings
        with contextlib.suppress(SettingsError):
            settings = self._settings_of(entry.root, entry.relative, entry.sidecar_path if entry.sidecar else None)
        return settings.motion_files

    def _settings_of(self, root: Path, relative: str, sidecar: Path | None) -> Settings:
        base = [("the service's settings", self.settings.as_table())]
        return settings_of(root, relative, sidecar, base, self.service_file)

    def _submit(self, claim: Claim, refused: str | None = None) -> None:
        """Make a job of a claim: once for each content with the same settings."""
        try:
            spec = self._spec(claim, refused)
        except (OSError, ReadError) as error:
            self._say_once("warning", f"{claim.relative}: {error}; it was handed back")
            claims.hand_back(claim)
            return
        if claims.changed(claim):
            claims.hand_back(claim)
            return
        twin = self._twin(spec)
        if twin is not None:
            self._duplicate(claim, spec, twin)
            return
        claims.name(claim, spec.job)
        self.queue.submit(spec)
        self.log.event(spec, "submitted", bytes=spec.size_bytes, refused=spec.refused)

    def _spec(self, claim: Claim, refused: str | None) -> JobSpec:
        code, settings, named = ReadError.exit_code, self.settings, list[str]()
        try:
            settings = self._settings_of(claim.root, claim.relative, claim.sidecar)
            named = contents_named(settings)
        except (SettingsError, ReadError) as error:
            refused, code = refused or str(error), error.exit_code
        content = _digest(claim, refused)
        out = settings.output.out.absolute()
        parts = (
            content, settings.motion_fingerprint(__version__, *named), settings.files_fingerprint(__version__), str(out), refused or "",
        )
        key = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
        device: Literal["cpu", "gpu"] = "cpu" if settings.pose.estimator == "blazepose" else "gpu"
        return JobSpec(
            job=f"{key[:16]}-{len(self.queue.of_key(key)) + 1}", key=key, root=str(claim.root), relative=claim.relative,
            out=str(out / Path(claim.relative).parent), settings=settings.as_table(), source_sha256=content, size_bytes=claim.size,
            mtime_ns=claim.mtime_ns, sources=self.options.sources, device=device, refused=refused, refused_code=code if refused else 0,
        )

    def _twin(self, spec: JobSpec) -> JobState | None:
        """The job that does, or has done, the same: one that is under way, or whose take is still there."""
        before = self.queue.of_key(spec.key)
        last = before[-1] if before else None
        if last is None or last.state in ("waiting", "running"):
            return last
        folder = str((last.result or {}).get("folder") or "")
        return last if last.state == "done" and folder and read_report(Path(folder)).get("job") == last.job else None

    def _duplicate(self, claim: Claim, spec: JobSpec, twin: JobState) -> None:
        if claim.folder.name == twin.job:
            return  # our own claim, adopted twice
        settle.to_done(claim, self.options.sources)
        self.log.event(twin.spec, "duplicate", source=spec.relative, message=f"{spec.relative}: same content and settings as {twin.job}")

    def _say_once(self, event: str, message: str) -> None:
        """Say what is news; what lasts is told once, for as long as it is met again and again."""
        if message not in self._said_s:
            self.log.service(event, message=message)
        self._said_s[message] = time.monotonic()

    def _forget_what_is_over(self) -> None:
        now_s = time.monotonic()
        self._said_s = {message: met_s for message, met_s in self._said_s.items() if now_s - met_s < _REMEMBERED_S}


def _digest(claim: Claim, refused: str | None) -> str:
    """The sha256 of a file's content; of one that is refused because it can't be read, of what is known about it. Raises `OSError`."""
    try:
        return sha256_of(claim.source)
    except OSError:
        if refused is None:
            raise
        return hashlib.sha256(f"{claim.relative}\0{claim.stamp}".encode("utf-8", "surrogateescape")).hexdigest()
