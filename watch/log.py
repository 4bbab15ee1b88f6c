"""What the service says: one JSON object a line on its error stream, and each job's lines in a file of its own too.

The file of a job is ``<root>/.rigdrop/logs/<job>.jsonl``. What the job's process prints by itself lands there as well, so a
reader must expect lines that are not JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import structlog

from .job import JobSpec, logs_folder

_PROGRESS_S = 5.0
_DAY_S = 86_400.0
_FOLLOW_S = 0.5
_LEVELS = {"warning": "warning", "crash": "warning", "paused": "warning", "error": "error", "failed": "error"}
# What comes after these belongs to no frame any more.
_ENDS = ("published", "failed", "cancelled")


class JobLog:
    """The service's log: of the service itself, and of each job with its step and frame, which has a file of its own too.

    JSON lines, or short plain ones where ``stream`` (without it the error stream) is a terminal. Any thread may call, and
    nothing is raised: a stream that is gone is passed over, and a job's file that can't be written is told of once.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = _to(sys.stderr if stream is None else stream)
        self._clock = clock
        self._at: dict[str, _At] = {}
        self._lock = threading.Lock()
        self._refused: set[Path] = set()

    def service(self, event: str, /, **fields: Any) -> None:
        """Say that ``event`` happened to the service."""
        getattr(self._log, _LEVELS.get(event, "info"))(event, **fields)

    def event(self, spec: JobSpec, event: str, /, **fields: Any) -> None:
        """Say that ``event`` happened to a job; progress, of which there is much, at most once in five seconds."""
        with self._lock:
            told = self._with_frame(spec.job, event, fields)
        if told is None:
            return
        told = {"job": spec.job, **told}
        self.service(event, **told)
        self._append(spec, {"event": event, "level": _LEVELS.get(event, "info"), **told})

    @contextlib.contextmanager
    def of_libraries(self) -> Iterator[None]:
        """Let warnings, and what libraries log at WARNING or above, come out here while the block runs."""
        root, handler = logging.getLogger(), _Forward(self)
        root.addHandler(handler)
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            root.removeHandler(handler)

    def _with_frame(self, job: str, event: str, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """Give what is to be said: ``done`` and ``total`` as frames, and for anything else the frame that the step is at."""
        step = fields.get("step", fields.get("stage"))
        hidden = ("done", "total", "take", "stage") if fields.get("stage") == step else ("done", "total", "take")
        told = {"step": step} if step is not None else {}
        told |= {name: value for name, value in fields.items() if name not in hidden and value is not None}
        if event == "stage" and "stage" not in told:
            return None  # the step of that name was told of
        if event == "progress":
            due = self._is_due(job, step, fields["done"], fields["total"])
            return {**told, "frame": fields["done"], "frames": fields["total"]} if due else None
        at = self._at.pop(job, None) if event in _ENDS else self._at.get(job)
        if at is not None and at.step == step and event not in _ENDS:
            told["frame"] = at.frame
        return told

    def _is_due(self, job: str, step: object, done: object, total: object) -> bool:
        at = self._at.setdefault(job, _At())
        at.step, at.frame = step, done
        if done != total and self._clock() - at.said_s < _PROGRESS_S:
            return False
        at.said_s = self._clock()
        return True

    def _append(self, spec: JobSpec, line: Mapping[str, Any]) -> None:
        path = logs_folder(Path(spec.root)) / f"{spec.job}.jsonl"
        try:
            # Not the root itself: where it is gone, as an unmounted share is, no other may appear in its place.
            path.parent.parent.mkdir(exist_ok=True)
            path.parent.mkdir(exist_ok=True)
            # One write to the end of the file: it stays in one piece beside what the job's own process prints there.
            with path.open("ab", buffering=0) as file:
                file.write(_bytes({**line, "timestamp": _now()}))
        except OSError as error:
            if path.parent not in self._refused:
                self._refused.add(path.parent)
                self.service("warning", job=spec.job, message=f"{path}: the job's log can't be written ({error.strerror})")
        else:
            self._refused.discard(path.parent)


def prune(root: Path, days: float, live: Collection[str] = ()) -> int:
    """Remove the logs of jobs on ``root`` that have not grown for ``days``, but for those of ``live`` jobs; returns how many."""
    count = 0
    for path in logs_folder(root).glob("*.jsonl"):
        # Another worker of the same folder prunes as well.
        with contextlib.suppress(OSError):
            if path.stem not in live and time.time() - path.stat().st_mtime > days * _DAY_S:
                path.unlink()
                count += 1
    return count


def find_log(spec: JobSpec) -> Path | None:
    """Return where the log of a job is: with the others, or with its source where the job has failed."""
    root = Path(spec.root)
    places = (logs_folder(root) / f"{spec.job}.jsonl", root / "failed" / spec.job / "log.jsonl")
    return next((path for path in places if path.is_file()), None)


def read_lines(path: Path, ended: Callable[[], bool] | None = None, poll_s: float = _FOLLOW_S) -> Iterator[str]:
    """Yield the lines of a job's log; with ``ended``, those that still come as well, until it says that there are no more."""
    with path.open("rb") as file:
        rest = b""
        while True:
            over = ended is None or ended()  # asked first: what is written before the end is read after it
            *lines, rest = (rest + file.read()).split(b"\n")
            yield from (line.decode("utf-8", errors="replace") for line in lines)
            if over:
                break
            time.sleep(poll_s)
        if rest:
            yield rest.decode("utf-8", errors="replace")


@dataclass
class _At:
    """Where a job is."""

    step: object = None
    frame: object = None
    said_s: float = float("-inf")


class _Lines:
    """Writes whole lines from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def msg(self, message: str) -> None:
        # ValueError: the stream is closed.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(message + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


class _Forward(logging.Handler):
    """Hands what the standard library's logging gets to ours."""

    def __init__(self, log: JobLog) -> None:
        super().__init__(logging.WARNING)
        self._to = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._to.service("error" if record.levelno >= logging.ERROR else "warning", **fields)


def _to(stream: TextIO) -> structlog.typing.FilteringBoundLogger:
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        _Lines(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Quoted: a file's name must not talk to the terminal.
            structlog.dev.ConsoleRenderer(repr_native_str=True) if stream.isatty() else _json_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return log


def _json_line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return _bytes(event).decode("utf-8").rstrip("\n")


def _bytes(line: Mapping[str, Any]) -> bytes:
    # A file name need not be Unicode; what is left of it as a surrogate becomes an escape, which JSON knows too.
    return json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", errors="backslashreplace") + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
