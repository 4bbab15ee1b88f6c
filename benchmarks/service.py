"""What the watch service costs: beside `rigdrop convert`, at rest, in a full inbox, and when a worker dies.

    python -m benchmarks.service [--folder DIR] [--postgres URL] [--cores 2]

``--postgres`` names an empty database, for workers that share one. Linux only, for the processor time and the memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigdrop.convert.rigs.registry import load_rig
from rigdrop.watch.scan import scan

from .kept import add_folder, clips_folder, tell
from .machine import keep_to_cores, resident_bytes, spend, usable_cores
from .speed import short_clip
from .table import Figure, limits_table

_SETTLE_S = 1.0
_IDLE_S = 30.0
_FILES = 10_000
_SCANS = 5
_LEASE_S = 6.0
_WAIT_S = 300.0
_RUNS = 2


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2, help="cores that everything may use")
    parser.add_argument("--postgres", default="", help="a database on a PostgreSQL server, for two workers")
    add_folder(parser)
    arguments = parser.parse_args()
    load_rig("unreal")  # what is derived once in an installation's life
    clip = short_clip(clips_folder(arguments.folder))
    keep_to_cores(arguments.cores)
    figures = [*_overhead(clip), _scan(), *_idle(), *_takeover(clip, "SQLite", "")]
    if arguments.postgres:
        figures += _takeover(clip, "PostgreSQL", arguments.postgres)
    print(f"{usable_cores()} cores, of {os.cpu_count()}; load average {os.getloadavg()[0]:.1f}.\n\n{limits_table(figures)}")


@dataclass
class Service:
    """A running service, and the lines of its log."""

    process: subprocess.Popen[str]
    lines: queue.Queue[dict[str, Any]]

    def wait(self, event: str, **fields: str) -> float:
        """Wait for an event; returns when its line was read, by the clock that never goes back."""
        until = time.monotonic() + _WAIT_S
        while True:
            line = self.lines.get(timeout=max(0.1, until - time.monotonic()))
            if line["event"] == event and all(line.get(name) == value for name, value in fields.items()):
                return float(line["read_s"])


@contextlib.contextmanager
def _service(folder: Path, worker: str, *options: str, database: str = "") -> Iterator[Service]:
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "rigdrop", "watch", str(folder / "inbox"), "--out", str(folder / "out"), "--worker", worker,
        "--database", database or str(folder / "jobs.db"), "--settle", str(_SETTLE_S), "--no-preview", "--floor-mb", "1", *options,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_STATE_HOME": str(folder / "state")})
    lines: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    try:
        service = Service(process, lines)
        service.wait("started")
        yield service
    finally:
        process.terminate()
        process.wait(60)


def _read(process: subprocess.Popen[str], lines: queue.Queue[dict[str, Any]]) -> None:
    assert process.stderr is not None
    for text in process.stderr:
        with contextlib.suppress(ValueError):
            lines.put({**json.loads(text), "read_s": time.monotonic()})


def _overhead(clip: Path) -> list[Figure]:
    """A clip by `convert`, and by the service from the moment that the file is in the inbox, in turn."""
    converted, cold, warm = [], [], []
    for run in range(_RUNS):
        tell(f"overhead, {run + 1} of {_RUNS}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            converted.append(spend([sys.executable, "-m", "rigdrop", "convert", str(clip), "--out", name, "--no-preview"]).seconds)
            with _service(folder, "one") as service:
                for times, unlike in ((cold, b"1"), (warm, b"2")):
                    times.append(_drop(service, clip, folder, unlike))
    convert_s = statistics.median(converted)
    return [
        Figure("`rigdrop convert`, 300 frames", convert_s, unit="s"),
        Figure(f"the service, first clip, from drop to take, without the {_SETTLE_S:g} s that a file must be quiet, over `convert`",
               statistics.median(cold) / convert_s, 1.10, "×", 2),
        Figure("the service, next clip, over `convert`", statistics.median(warm) / convert_s, 1.10, "×", 2),
    ]


def _drop(service: Service, clip: Path, folder: Path, unlike: bytes) -> float:
    """Drop a clip and return the seconds until its take was there, without those that a file must be quiet."""
    draft = folder / "draft.mp4"
    shutil.copy(clip, draft)
    with draft.open("ab") as stream:
        stream.write(unlike)  # the same content twice would be one job
    start = time.monotonic()
    draft.rename(folder / "inbox" / f"clip{unlike.decode()}.mp4")
    return service.wait("published") - start - _SETTLE_S


def _scan() -> Figure:
    with tempfile.TemporaryDirectory() as name:
        for number in range(_FILES):
            folder = Path(name) / f"day{number // 1000}"
            folder.mkdir(exist_ok=True)
            (folder / f"clip{number}.mp4").touch()
        times = []
        for _ in range(_SCANS):
            start = time.perf_counter()
            found = scan(Path(name))
            times.append(time.perf_counter() - start)
            assert len(found) == _FILES
    return Figure("a scan of 10,000 files, median of five", statistics.median(times), 0.5, "s", 3)


def _idle() -> list[Figure]:
    tell(f"idle, {_IDLE_S:g} s")
    with tempfile.TemporaryDirectory() as name, _service(Path(name), "idle") as service:
        time.sleep(5.0)  # until what was loaded for the start is settled
        before = _processor_s(service.process.pid)
        time.sleep(_IDLE_S)
        share = (_processor_s(service.process.pid) - before) / _IDLE_S
        memory = resident_bytes(service.process.pid) / 1e6
    return [
        Figure("processor, idle", 100 * share, 1.0, "% of a core", 2),
        Figure("memory, idle, without a child", memory, 250, "MB", 0),
    ]


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _takeover(clip: Path, kind: str, database: str) -> list[Figure]:
    """Kill a worker in the middle of a clip; how long until the other has its job at work."""
    tell(f"takeover, {kind}")
    lease = ("--lease", str(_LEASE_S))
    with tempfile.TemporaryDirectory() as name, _service(Path(name), "first", *lease, database=database) as first:
        _drop_only(clip, Path(name))
        first.wait("step", step="estimate")
        with _service(Path(name), "second", *lease, database=database) as second:
            first.process.send_signal(signal.SIGKILL)
            start = time.monotonic()
            seconds = second.wait("step", step="estimate") - start
    return [Figure(f"a killed worker's clip at work elsewhere, {kind}, lease {_LEASE_S:g} s", seconds, 2 * _LEASE_S, "s")]


def _drop_only(clip: Path, folder: Path) -> None:
    shutil.copy(clip, folder / "draft.mp4")
    (folder / "draft.mp4").rename(folder / "inbox" / "clip.mp4")


if __name__ == "__main__":
    main()
