"""The machine that measures: what it is, what a process spends on it, and what else kept it busy meanwhile."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

# More than this many cores' worth of other work, and a time says little.
QUIET_CORES = 0.1
_POLL_S = 0.02
_PACKAGES = ("numpy", "scipy", "h5py", "av", "opencv-python-headless", "ai-edge-litert", "usd-core")


@dataclass(frozen=True)
class Spent:
    """What a command took, from start to exit."""

    seconds: float
    processor_s: float  # of all its threads and children
    peak_mb: float  # resident memory of it and its children together
    other_cores: float | None  # cores that other programs kept busy meanwhile; nothing where the system doesn't say


def describe() -> str:
    """Return machine, load, date and versions in a few words."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {usable_cores()} cores, {platform.system()} {platform.release()}, "
        f"load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, {packages}"
    )


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_to_cores(count: int) -> None:
    """Keep this process and its children to the first ``count`` cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def spend(command: Sequence[str], folder: Path | None = None) -> Spent:
    """Run a command to its end and return what it took. Raises `RuntimeError` with its last words where it fails."""
    busy, start = _busy_s(), time.perf_counter()
    with (Path(os.devnull) if folder is None else folder / "last-words.txt").open("w+b") as words:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=words)
        peak = 0
        while True:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            peak = max(peak, resident_bytes(process.pid))
            time.sleep(_POLL_S)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}: {words.read()[-2000:].decode(errors='replace')}")
    processor_s = used.ru_utime + used.ru_stime
    now = _busy_s()
    others = None if busy is None or now is None else max(0.0, (now - busy - processor_s) / seconds)
    return Spent(seconds, processor_s, peak / 1e6, others)


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith("model name")).split(":")[1].strip()
    return platform.processor() or platform.machine()


def _busy_s() -> float | None:
    """Seconds that all cores have worked since the system started; proc(5), stat."""
    with contextlib.suppress(OSError):
        user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:])
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return None


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and everybody below it; 0 for one that has gone. Linux alone says."""
    total = 0
    with contextlib.suppress(OSError):
        total += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(resident_bytes(int(child)) for child in (task / "children").read_text(encoding="ascii").split())
    return total
