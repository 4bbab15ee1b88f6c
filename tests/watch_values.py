"""Jobs as plain values, for tests of what shows and tells them."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rigdrop.watch.job import JobSpec, JobState

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).isoformat()


def a_spec(name: str = "clip.mp4", root: Path | str = "/srv/inbox", number: int = 1, **changes: Any) -> JobSpec:
    """A job for a source of this name; another name, another id."""
    key = hashlib.sha256(name.encode("utf-8", errors="surrogateescape")).hexdigest()
    values = {
        "job": f"{key[:16]}-{number}", "key": key, "root": str(root), "relative": name, "out": "/srv/characters", "settings": {},
        "source_sha256": key, "size_bytes": 5, "mtime_ns": 0, "sources": "move",
    }
    known = {own.name for own in fields(JobSpec)}
    return JobSpec(**{field: value for field, value in (values | changes).items() if field in known})


def a_state(name: str = "clip.mp4", state: str = "waiting", root: Path | str = "/srv/inbox", number: int = 1, **changes: Any) -> JobState:
    """How the job of `a_spec` stands; times are told as `at` gives them."""
    spec = a_spec(name, root, number)
    return JobState(job=spec.job, state=state, spec=spec, **{"submitted_utc": at(100), **changes})
