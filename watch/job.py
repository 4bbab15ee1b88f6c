"""What a job is, as plain values that JSON can hold: what is asked, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ..errors import RigdropError

State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class JobSpec:
    """One source to convert, and everything that a worker on any machine must know for it; every path is absolute."""

    job: str  # the id: the first 16 digits of the key, a dash, and which time round this is
    key: str  # sha256 over the source's content, its settings and our version: equal where the takes would be
    root: str  # the watched folder
    relative: str  # the source's place below the root, with slashes: "unreal/clip.mp4"
    out: str  # the folder in which the take gets its own
    settings: Mapping[str, Any]  # as `Settings.as_table` gives them
    source_sha256: str
    size_bytes: int
    mtime_ns: int
    sources: Literal["move", "stay"] = "move"  # what becomes of the source when it is done
    device: Literal["cpu", "gpu"] = "cpu"  # which queue it waits in
    refused: str | None = None  # why it can't be converted at all: a setting with a wrong name, a file that never opened
    refused_code: int = 0  # the exit code that goes with it

    @property
    def name(self) -> str:
        """The source's own file name."""
        return self.relative.rsplit("/", 1)[-1]

    def as_json(self) -> dict[str, Any]:
        """Return the job as JSON holds it."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> JobSpec:
        """Return the job that `as_json` described; keys that a newer version added are passed over.

        Raises `RigdropError` where one is missing.
        """
        known = {own.name for own in fields(cls)}
        try:
            return cls(**{name: value for name, value in values.items() if name in known})
        except TypeError as error:
            raise RigdropError(f"job: found {sorted(values)}, expected what watch/job.py describes ({error})") from error


@dataclass(frozen=True)
class StepState:
    """A step of a job that has ended."""

    name: str
    started_utc: str  # ISO 8601
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class JobState:
    """How a job stands."""

    job: str
    state: State
    spec: JobSpec
    worker: str | None = None  # who runs it, or ran it
    submitted_utc: str = ""  # ISO 8601, as all times here
    started_utc: str | None = None
    ended_utc: str | None = None
    crashes: int = 0  # how often the process that worked on it died
    step: str | None = None  # what it is at, where it runs
    done: int = 0  # frames, or whatever the step counts
    total: int | None = None
    result: Mapping[str, Any] | None = None  # what publishing returned: folder, source, people
    reason: str | None = None  # why it failed, in one sentence
    code: int = 0  # and the exit code of `errors` that goes with it
    steps: tuple[StepState, ...] = field(default=())


@dataclass(frozen=True)
class WorkerState:
    """A worker that has registered in the database."""

    worker: str
    host: str
    pid: int
    beat_age_s: float  # by the database's clock
    alive: bool  # it beat within the lease


def claims_folder(root: Path) -> Path:
    """Return where the claims of all workers on ``root`` are."""
    return root / ".rigdrop" / "claims"


def logs_folder(root: Path) -> Path:
    """Return where the logs of the jobs of ``root`` are, ``<job>.jsonl`` each."""
    return root / ".rigdrop" / "logs"


def staging_folder(out: Path, job: str) -> Path:
    """Return where a job works until its take is published: beside the takes, so that one rename publishes it."""
    return out / ".rigdrop" / job
