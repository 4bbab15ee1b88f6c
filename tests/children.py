"""What tests of child processes share: where children find their steps, and waiting for what is about to happen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def child_environment() -> dict[str, str]:
    """The environment in which a child finds `child_steps`."""
    folders = [str(Path(__file__).resolve().parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Empty means no: with buffers, as most people have it, more can go wrong.
    return {"PYTHONPATH": os.pathsep.join(folders), "PYTHONUNBUFFERED": ""}


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something that must happen; only a failing test waits long."""
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether a process lives: an orphan that nobody has buried yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def exists(pid: int) -> bool:
    """Tell whether the system still knows a process, be it a zombie."""
    return Path(f"/proc/{pid}").exists()
