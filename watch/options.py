"""What the user may say about the service."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ..errors import SettingsError


@dataclass(frozen=True)
class WatchOptions:
    """How folders are watched."""

    database: str = ""
    """Where the jobs are kept: a file (SQLite), or postgresql://…; nothing means a file of yours on this machine."""
    worker: str = ""
    """This worker's name, the same from start to start and another for each worker; nothing takes the host's name and a number."""
    jobs: int = max(1, (os.cpu_count() or 1) // 4)
    """How many clips to work on at a time on the processor."""
    gpus: int = 1
    """How many clips to work on at a time with estimators that run on a GPU, one for each device."""
    sources: Literal["move", "stay"] = "move"
    """What becomes of a source that is done: it moves to done/ in its inbox, or goes back to where it lay."""
    settle_s: float = 2.0
    """A file is taken when it has not changed for this many seconds."""
    grace_s: float = 600.0
    """A file that does not open is given up when it has not changed for this many seconds."""
    poll_s: float = 5.0
    """Look into the folders this often where the system's events are not to be trusted, as on a network share."""
    watching: Literal["auto", "events", "poll"] = "auto"
    """How changes are noticed; auto takes events on local disks and polls shares. Both look again every minute."""
    ahead: int = 32
    """Take at most this many files ahead of the work, so that other workers on the same share get theirs."""
    hang_s: float = 600.0
    """Stop and retry a clip that has made no progress for this many seconds."""
    retries: int = 3
    """Try a clip this often again when the process that worked on it died."""
    backoff_s: float = 5.0
    """Wait this many seconds before the first retry, then twice as long each time."""
    floor_mb: float = 2000.0
    """Take no new files while a disk that is written to has less than this left, in MB."""
    lease_s: float = 60.0
    """A worker that has not been heard of for this many seconds counts as dead, and its clips go to another."""
    stop_s: float = 30.0
    """When asked to stop, give the clips in work this many seconds to finish the step that they are in."""
    status: Path | None = None
    """The file that says how the service stands, for scripts; nothing means <inbox>.status.json beside the first inbox."""
    host: str = "127.0.0.1"
    """The address that /healthz, /readyz and /metrics listen on."""
    port: int = 0
    """The port for them; 0 means none."""
    webhook: str = ""
    """Send each job's outcome to this URL, as JSON by POST."""
    on_finish: str = ""
    """Run this program when a job has ended, with the outcome as JSON on its input."""
    keep_logs_days: float = 30.0
    """Remove the logs of jobs that ended longer ago than this."""

    def __post_init__(self) -> None:
        for name in ("jobs", "ahead"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: found {getattr(self, name)}, expected 1 or more")
        for name in ("gpus", "retries"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name}: found {getattr(self, name)}, expected 0 or more")
        for own in fields(self):
            value = getattr(self, own.name)
            if own.name.endswith("_s") and not 0 < value < float("inf"):
                raise SettingsError(f"{own.name}: found {value}, expected seconds above 0")
        if not self.floor_mb >= 0:
            raise SettingsError(f"floor_mb: found {self.floor_mb}, expected 0 or more")
        if not 0 <= self.port < 65536:
            raise SettingsError(f"port: found {self.port}, expected 0 to 65535")
        for name, allowed in (("sources", ("move", "stay")), ("watching", ("auto", "events", "poll"))):
            if getattr(self, name) not in allowed:
                raise SettingsError(f"{name}: found {getattr(self, name)!r}, expected one of {', '.join(allowed)}")
