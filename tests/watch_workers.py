"""Queues and workers for tests: some in this process, some in processes that may be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rigdrop.watch import queue as queues
from rigdrop.watch.database import Database
from rigdrop.watch.queue import Queue, QueueClient, Work

from .postgres import server

_SCRIPT = Path(__file__).parent / "tools" / "queue_worker.py"
_PATIENCE_S = 60.0  # far more than anything takes, even where many run side by side


def until(condition: Callable[[], Any]) -> Any:
    """Wait until ``condition`` is true, and return what it said."""
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {_PATIENCE_S:g} s for nothing")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty place for jobs, of either kind."""
    if request.param == "sqlite":
        yield Database.parse(str(tmp_path / "jobs.db"))
    else:
        with server().new_database() as url:
            yield Database.parse(url)


@pytest.fixture
def file(tmp_path: Path) -> Database:
    """An empty place for jobs, in a file."""
    return Database.parse(str(tmp_path / "jobs.db"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let queues look again at once, so that tests need not wait a second for it."""
    for name in ("_LOOK_S", "_POLL_S", "_STRAYS_S", "_MESSAGES_S"):
        monkeypatch.setattr(queues, name, 0.02)


@contextmanager
def client(database: Database) -> Iterator[QueueClient]:
    own = QueueClient(database)
    try:
        yield own
    finally:
        own.close()


@contextmanager
def running(database: Database, work: Work, worker: str = "w", release: bool = True, **slots: int) -> Iterator[Queue]:
    """A queue that runs, in this process, until the block ends."""
    queue = Queue(database, worker, slots or {"cpu": 1}, work)
    try:
        queue.start()
        yield queue
    finally:
        left = queue.stop(release)
        queue.close()
    assert left, "a job was not left"


@dataclass
class Workers:
    """Workers in processes of their own, which work in ``folder``."""

    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self, database: Database, name: str, cpu: int = 1, gpu: int = 0, lease_s: float = 0.0) -> subprocess.Popen[str]:
        arguments = [database.url, name, self.folder, cpu, gpu, lease_s]
        worker = subprocess.Popen(
            [sys.executable, "-W", "error", _SCRIPT, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.stack.callback(_end, worker)
        return worker

    def ready(self, *workers: subprocess.Popen[str]) -> None:
        for worker in workers:
            assert worker.stdout is not None
            said = worker.stdout.readline()
            if said != "ready\n":
                raise AssertionError(said + worker.communicate()[1])

    def tell(self, worker: subprocess.Popen[str], what: str) -> str:
        """Tell a worker to end, and return all that it said on its error stream."""
        said, errors = worker.communicate(f"{what}\n", timeout=_PATIENCE_S)
        assert (said, worker.returncode) == ("stopped True\n", 0), said + errors
        return errors

    def kill(self, worker: subprocess.Popen[str]) -> None:
        worker.kill()
        worker.wait()

    def hold(self, step: str) -> None:
        (self.folder / f"hold-{step}").touch()

    def let_go(self, step: str) -> None:
        (self.folder / f"hold-{step}").unlink()

    def journal(self, *words: str) -> list[str]:
        """The lines that tell of all of ``words``."""
        path = self.folder / "journal"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line for line in lines if set(words) <= set(line.split())]


def _end(worker: subprocess.Popen[str]) -> None:
    if worker.poll() is None:
        if sys.platform != "win32":
            worker.send_signal(signal.SIGCONT)
        worker.kill()
    worker.communicate()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """Workers in processes of their own, which are gone when the test is."""
    own = Workers(tmp_path)
    with own.stack:
        yield own
