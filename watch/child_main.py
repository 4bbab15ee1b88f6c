"""The process that does the work, one step after another: ``python -m rigdrop.watch.child_main PARENT MODULE IDLE_S``.

It is asked by JSON lines on what was its standard input, and answers by JSON lines on what was its standard output:

    ← {"step": "estimate", "job": {…}, "log": "/…/job.jsonl"}     please do this
    → {"taken": true}                                              it is being done
    → {"event": "progress", "fields": {…}}                         as often as there is something to tell
    → {"result": {…}}                                              it is done, or
    → {"error": {"code": 66, "message": "…", "errno": null}}       it failed, or
    → {"died": "ran out of memory"}                                so did this process, nearly

``"leaving": true`` in an answer means that the process ends after it. Both pipes are moved away from where libraries
read and print: what those say goes to the job's log. What a step leaves in memory is there when the next one comes.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import errno
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePath
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from ..errors import RigdropError, Stopped, WriteError

if TYPE_CHECKING:
    from ..events import Emit

# A reader sees no more than this many steps a second, and telling more costs the work more than it is worth.
_PROGRESS_S = 0.1
_PR_SET_PDEATHSIG = 1
# The first process that the system takes when memory runs out: this one, not the service.
_OOM_SCORE = 500
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)

Requests = queue.SimpleQueue[dict[str, Any] | None]


def main(arguments: list[str]) -> int:
    """Do what is asked until there is no more to do; returns the exit code."""
    parent, module, idle_s = int(arguments[0]), arguments[1], float(arguments[2])
    _die_with(parent)
    requests: Requests = queue.SimpleQueue()
    stop = StopSign(requests)
    asked, answered = _own_pipes()
    _prepare(stop)
    answers = Answers(answered, stop)
    threading.Thread(target=_listen, args=(asked, requests, stop), daemon=True).start()
    try:
        serve(requests, answers, stop, module, idle_s)
    finally:
        # The other side need not wait for what the libraries do at the end.
        with contextlib.suppress(OSError):
            os.close(answered)
    return 0


class StopSign:
    """Turns SIGTERM into `Stopped` in the main thread: only while a step runs, and only once."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self.asked = False
        self.exposed = False  # the main thread is where it may be interrupted
        self.busy = False  # something was asked and is not answered yet

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal. A second one must not interrupt the cleaning."""
        if self.asked:
            return
        self.asked = True
        self._requests.put(None)
        if self.exposed:
            self.check()

    def check(self) -> None:
        """Raise `Stopped` where we were asked: also where a library has swallowed the first one."""
        if self.asked:
            raise Stopped("stopped by SIGTERM; nothing half-written is left")

    @contextlib.contextmanager
    def sheltered(self) -> Iterator[None]:
        """Keep a message from being torn in two."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        exposed, self.exposed = self.exposed, False
        try:
            yield
        finally:
            self.exposed = exposed


class Answers:
    """Whole lines to the other side, from any thread."""

    def __init__(self, descriptor: int, stop: StopSign) -> None:
        self._descriptor, self._stop = descriptor, stop
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let nobody else write, and no signal break in."""
        with self._stop.sheltered(), self._lock:
            yield

    def send(self, line: bytes) -> None:
        """Write a line as it is."""
        with self.turn():
            left = memoryview(line + b"\n")
            while left:
                left = left[os.write(self._descriptor, left) :]


class StepEvents:
    """A step's `Emit`: of its progress no more is told than anybody can see, and nothing once it is over."""

    def __init__(self, answers: Answers, stop: StopSign) -> None:
        self._answers, self._stop = answers, stop
        self._held: dict[str, dict[str, object]] = {}  # the last progress of each stage that was not told
        self._due: dict[tuple[str, bool], float] = {}
        self._over = False

    def __call__(self, event: str, /, **fields: object) -> None:
        """Tell of an event. Raises `Stopped` where the step should end."""
        self._stop.check()
        if event != "progress" or self._is_due(fields):
            self._tell(event, fields)
        self._stop.check()

    def close(self) -> None:
        """Tell what was held, then nothing more: a thread that a step has left behind must not talk into the next one."""
        with self._answers.turn():
            self._tell_held()
            self._over = True

    def _is_due(self, fields: dict[str, object]) -> bool:
        stage, now = str(fields.get("stage")), time.monotonic()
        kind = stage, fields.get("done") == fields.get("total")  # the end of a stage is told even right after a step of it
        if now < self._due.get(kind, 0.0):
            self._held[stage] = fields
            return False
        self._due[kind] = now + _PROGRESS_S
        self._held.pop(stage, None)
        return True

    def _tell(self, event: str, fields: dict[str, object]) -> None:
        with self._answers.turn():
            if event != "progress":
                self._tell_held()
            self._send(event, fields)

    def _tell_held(self) -> None:
        held, self._held = self._held, {}
        for fields in held.values():
            self._send("progress", fields)

    def _send(self, event: str, fields: dict[str, object]) -> None:
        if not self._over:
            self._answers.send(_encode({"event": event, "fields": fields}, _plain_or_text))


def open_log(path: Path | None) -> IO[bytes]:
    """Open a log to append to; nowhere, where there is none or the disk refuses: no step fails for want of a log."""
    with contextlib.suppress(OSError):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("ab")
    return open(os.devnull, "ab")


def serve(requests: Requests, answers: Answers, stop: StopSign, module: str, idle_s: float) -> None:
    """Do one step after another until nobody asks for another."""
    timeout_s = idle_s if idle_s < threading.TIMEOUT_MAX else None
    with contextlib.suppress(queue.Empty):
        while (request := requests.get(timeout=timeout_s)) is not None:
            if stop.asked:  # nobody counts it as begun: another process gets it
                return
            answers.send(_encode({"taken": True}))
            with _logging_to(request["log"]):
                answer = _attempt(request, StepEvents(answers, stop), stop, module)
            stop.busy = False
            answers.send(answer.line)
            if answer.leaves:
                return


@dataclass(frozen=True)
class _Answer:
    line: bytes
    leaves: bool = False  # the process ends after it


def _attempt(request: Mapping[str, Any], emit: StepEvents, stop: StopSign, module: str) -> _Answer:
    """Run a step and return what to answer, whatever becomes of it; only what ends the process goes through."""
    try:
        try:
            stop.exposed = True
            stop.check()
            result = _find_step(module)(request["step"], request["job"], emit)
        finally:
            stop.exposed = False
        emit.close()
        return _Answer(_encode({"result": result}))
    except Exception as error:
        emit.close()
        return _failure(error)
    except BaseException:
        traceback.print_exc()  # while the log is still there
        raise


def _find_step(module: str) -> Callable[[str, dict[str, Any], Emit], Mapping[str, Any]]:
    run_step: Callable[[str, dict[str, Any], Emit], Mapping[str, Any]] = import_module(module).run_step
    return run_step


def _failure(error: Exception) -> _Answer:
    """What to answer where a step failed. After anything but an error of the pipeline nobody knows what is left in memory."""
    if isinstance(error, RigdropError):
        return _error_answer(error.exit_code, str(error), error, leaves=isinstance(error, Stopped))
    with contextlib.suppress(MemoryError):
        traceback.print_exception(error)
    if _is_out_of_memory(error):
        return _OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno in _FULL:
        message = f"{error.filename or 'a file'}: can't be written ({error.strerror}); free space"
        return _error_answer(WriteError.exit_code, message, error)
    message = f"a fault of ours ({type(error).__name__}: {error}); please report it with the log"
    return _error_answer(RigdropError.exit_code, message, error)


def _is_out_of_memory(error: Exception) -> bool:
    """Tell by what numpy and PyAV, OpenCV, torch and the system itself say."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(words in f"{type(error).__name__} {error}" for words in ("OutOfMemoryError", "can't allocate memory"))


def _error_answer(code: int, message: str, error: Exception, leaves: bool = True) -> _Answer:
    content = {"code": code, "message": message, "errno": _errno_behind(error)}
    return _Answer(_encode({"error": content, "leaving": leaves}), leaves)


def _errno_behind(error: BaseException) -> int | None:
    """The number of the system's error that led to ``error``; a full disk counts before whatever came of it."""
    numbers: list[int] = []
    behind: BaseException | None = error
    while behind is not None:
        number = getattr(behind, "errno", None)
        if isinstance(number, int):
            numbers.append(number)
        behind = behind.__cause__ or (None if behind.__suppress_context__ else behind.__context__)
    return next((number for number in numbers if number in _FULL), numbers[0] if numbers else None)


def _encode(message: Mapping[str, Any], plain: Callable[[Any], Any] | None = None) -> bytes:
    # ASCII: half a surrogate, as in file names that are not UTF-8, goes through as \udcXX and comes out as it was.
    return json.dumps(message, default=plain or _plain, skipkeys=plain is not None).encode("ascii")


def _plain(value: Any) -> Any:
    """Paths as text, arrays and their numbers as JSON's; anything else is a mistake."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a step returned {type(value).__name__}, which JSON can't hold")


def _plain_or_text(value: Any) -> Any:
    """As `_plain`, but no step fails for what it tells."""
    try:
        return _plain(value)
    except TypeError:
        return str(value)


# Made beforehand: when memory is short there may be none to say so.
_OUT_OF_MEMORY = _Answer(_encode({"died": "ran out of memory", "leaving": True}), leaves=True)


def _listen(asked: int, requests: Requests, stop: StopSign) -> None:
    """Take in what is asked. The end of it, in the midst of work, means that whoever asked is no more."""
    with contextlib.suppress(OSError, ValueError), open(asked, "rb") as lines:
        for line in lines:
            request = json.loads(line)
            if "stop" in request:
                _thread.interrupt_main(signal.SIGTERM)
            else:
                stop.busy = True
                requests.put(request)
    if stop.busy:
        _die()
    requests.put(None)


def _die() -> None:
    """End at once, with everything that was started from here: another process may begin the same step any moment."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(RigdropError.exit_code)


def _die_with(parent: int) -> None:
    """Let the system kill us when our parent dies, however that comes; elsewhere than on Linux `_listen` sees to it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before we had said so
            _die()


def _own_pipes() -> tuple[int, int]:
    """Move our two pipes to descriptors that no library and no program that we start knows of."""
    asked, answered = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return asked, answered


def _prepare(stop: StopSign) -> None:
    signal.signal(signal.SIGTERM, stop)
    for name in ("SIGINT", "SIGHUP"):  # a terminal's, meant for the service
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    faulthandler.enable()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
    if sys.platform != "win32":
        import resource

        # A crash must not fill the disk with a picture of our memory; faulthandler says where it was.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]


@contextlib.contextmanager
def _logging_to(log: str | None) -> Iterator[None]:
    """Send what is printed, by us or a library, to a log; the file is held open no longer than the step takes."""
    _point_outputs_to(None if log is None else Path(log))
    try:
        yield
    finally:
        _point_outputs_to(None)


def _point_outputs_to(log: Path | None) -> None:
    _flush_outputs()
    with open_log(log) as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)


def _flush_outputs() -> None:
    """Write out what Python and C have kept back, so that it does not end up in the next job's log."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if sys.platform != "win32":
        ctypes.CDLL(None).fflush(None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
