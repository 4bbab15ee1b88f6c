"""Many sources at a time, each in a process of its own: what a folder of motion files is converted with."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from ..errors import RigdropError, Stopped, TryAgainError, error_with_code
from ..ingest.motion_files.registry import is_motion_file
from .stopping import check_stop

if TYPE_CHECKING:
    from ..config.settings import Settings
    from ..events import Emit
    from ..pipeline import TakeReport

# Each process begins anew after so many sources, so that what libraries keep does not add up over a day's work.
_SOURCES_A_PROCESS = 100
# A process that is asked to end, and is in the middle of a library's long work, is given so long.
_GRACE_S = 10.0


@dataclass(frozen=True)
class Ended:
    """How one source ended: with its report, or with the sentence and exit code of an error."""

    source: Path
    folder: Path
    report: TakeReport | None = None
    error: RigdropError | None = None


def convert_all(pairs: Sequence[tuple[Path, Path]], settings: Settings, emit: Emit, jobs: int) -> Generator[Ended]:
    """Yield how each source ended, ``jobs`` at a time, as soon as it has; one at a time they are converted in this process.

    Of sources in other processes ``emit`` hears only that they have ended. One whose process dies is an error like
    others. Raises `Stopped` where we are asked to stop; then, and when it is closed, no process is left.
    """
    if jobs <= 1 or len(pairs) <= 1:
        for source, folder in pairs:
            check_stop()
            yield _convert(source, folder, settings, emit)
        return
    todo, workers = deque(pairs), [_Worker(settings) for _ in range(min(jobs, len(pairs)))]
    try:
        for worker in workers:
            worker.give(*todo.popleft())
        for done in range(1, len(pairs) + 1):
            check_stop()
            ready = _first_ready(workers)
            ended = ready.take()
            if todo:
                if not ready.is_fresh:
                    ready.end()
                    workers[workers.index(ready)] = ready = _Worker(settings)
                ready.give(*todo.popleft())
            _tell(ended, emit)
            emit("progress", take="all", stage="convert", done=done, total=len(pairs))
            yield ended
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end()


def default_jobs(pairs: Sequence[tuple[Path, Path]]) -> int:
    """How many sources to convert at a time where nobody says: as many as there are cores where no video is among them.

    A video keeps two cores busy by itself, and its networks take memory.
    """
    light = all(source.suffix == ".h5" or is_motion_file(source) for source, _ in pairs)
    return _usable_cores() if light else 1


class _Worker:
    """A process that converts one source after the other."""

    def __init__(self, settings: Settings) -> None:
        # Spawned, because a forked copy of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, settings), daemon=True)
        self.process.start()
        theirs.close()
        self.given = 0
        self.pair: tuple[Path, Path] | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether it lives, and may take another source."""
        return self.given < _SOURCES_A_PROCESS and self.process.is_alive()

    def give(self, source: Path, folder: Path) -> None:
        """Let it convert a source into a folder."""
        self.pair, self.given = (source, folder), self.given + 1
        with contextlib.suppress(OSError):  # it has died; `take` says so
            self.connection.send(self.pair)

    def take(self) -> Ended:
        """Return how the source ended that it was given; waits for it."""
        assert self.pair is not None
        (source, folder), self.pair = self.pair, None
        try:
            ended = self.connection.recv()
            assert isinstance(ended, Ended)
            return ended
        except (EOFError, OSError):
            self.process.join()
            how = f"ended with {self.process.exitcode}; memory may have run out, which fewer --jobs need less of"
            return Ended(source, folder, error=TryAgainError(f"{source}: the process that converted it {how}"))

    def end(self) -> None:
        """End it, and what it has in hand; nothing half-written is left."""
        self.process.terminate()
        self.process.join(_GRACE_S)
        self.process.kill()
        self.process.join()
        self.connection.close()


def _first_ready(workers: Sequence[_Worker]) -> _Worker:
    busy = {worker.connection: worker for worker in workers if worker.pair is not None}
    return busy[wait(list(busy))[0]]  # type: ignore[index]


def _work(orders: Connection, settings: Settings) -> None:
    """What a process does: convert what it is told to, until nobody tells it any more."""
    _begin()
    with contextlib.suppress(EOFError, OSError):
        while True:
            source, folder = orders.recv()
            orders.send(_convert_quietly(source, folder, settings))


def _convert(source: Path, folder: Path, settings: Settings, emit: Emit) -> Ended:
    from ..pipeline import convert_clip

    try:
        return Ended(source, folder, convert_clip(source, folder, settings, emit))
    except Stopped:
        raise
    except RigdropError as error:
        emit("error", take=folder.name, message=str(error), exit_code=error.exit_code)
        return Ended(source, folder, error=error)


def _convert_quietly(source: Path, folder: Path, settings: Settings) -> Ended:
    from ..events import silent

    try:
        ended = _convert(source, folder, settings, silent)
    except Exception as error:  # a fault of ours in one must not cost the others
        said = f"{source}: a fault of ours ({type(error).__name__}: {error}); convert it alone with --debug to see where, and report it"
        return Ended(source, folder, error=RigdropError(said))
    # As a plain error of its kind: one that carries more may not survive the way between processes.
    told = None if ended.error is None else error_with_code(ended.error.exit_code, str(ended.error))
    return Ended(source, folder, ended.report, told)


def _tell(ended: Ended, emit: Emit) -> None:
    emit("take", take=ended.folder.name, source=str(ended.source))
    if ended.error is not None:
        emit("error", take=ended.folder.name, message=str(ended.error), exit_code=ended.error.exit_code)
    if ended.report is not None:
        for warning in ended.report.content["warnings"]:
            emit("warning", take=ended.folder.name, message=warning)
        kind = "skipped" if ended.report.skipped else "done"
        emit(kind, take=ended.folder.name, folder=str(ended.folder))


def _begin() -> None:
    """What a process begins with: Ctrl-C is the first process' business, and SIGTERM leaves nothing half-written."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(Stopped.exit_code)

    signal.signal(signal.SIGTERM, stop)
    threadpool_limits(1)  # the other cores have sources of their own


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
