"""What Prometheus reads: figures in base units (seconds, bytes), each named ``rigdrop_…``; docs/service.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector

from ..errors import Stopped, TryAgainError
from .status import INBOX_STATES, STATES, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# From writing a GLB to a hard view on a slow processor.
_SECONDS_PER_FRAME = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# Jobs that end with these have not failed: somebody cancelled them, or their file changed and went back.
_NOT_FAILED = {Stopped.exit_code: "cancelled", TryAgainError.exit_code: "handed_back"}
_OUTCOMES = ("done", "failed", *_NOT_FAILED.values())


class Metrics:
    """The figures of one service, in a registry of their own; any thread may call."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._queue = self._gauge("queue_jobs", "Jobs in the database, by state.", "state")
        self._oldest = self._gauge("queue_oldest_seconds", "How long the first job of the queue has waited; 0 where none waits.")
        self._inbox = self._gauge("inbox_files", "Files in the inbox that are no jobs yet, by state.", "state")
        self._beat_age = self._gauge("beat_age_seconds", "Time since the database last heard of this worker.")
        self._memory = self._gauge("child_memory_bytes", "Memory that the processes which convert hold.")
        self._disk = self._gauge("disk_free_bytes", "Room that is left on the disk of each folder.", "place")
        self._paused = self._gauge("paused", "1 while nothing is taken for want of room, 0 otherwise.")
        self._jobs = Counter("rigdrop_jobs", "Jobs that this worker has ended, by outcome.", ["outcome"], registry=self.registry)
        self._failures = Counter("rigdrop_failures", "Jobs that failed on this worker, by exit code.", ["code"], registry=self.registry)
        self._stages = Histogram(
            "rigdrop_stage_seconds_per_frame", "Time that a stage took for each frame of a clip.", ["stage"],
            buckets=_SECONDS_PER_FRAME, registry=self.registry,
        )
        for outcome in _OUTCOMES:
            self._jobs.labels(outcome)  # so that each is there, as 0, before the first

    def show(self, snapshot: Snapshot) -> None:
        """Take over how the service stands."""
        for state in STATES:
            self._queue.labels(state).set(snapshot.counts.get(state, 0))
        for kind in INBOX_STATES:
            self._inbox.labels(kind).set(snapshot.inbox.get(kind, 0))
        for place, free in snapshot.disk_free_bytes.items():
            self._disk.labels(place).set(free)
        self._oldest.set(snapshot.oldest_waiting_s or 0.0)
        self._memory.set(snapshot.child_memory_bytes)
        self._paused.set(snapshot.paused is not None)
        if snapshot.beat_age_s is not None:
            self._beat_age.set(snapshot.beat_age_s)

    def ask_beat_age(self, beat_age_s: Callable[[], float]) -> None:
        """Ask ``beat_age_s`` whenever somebody reads, so that the figure grows even where the main loop stands still."""
        self._beat_age.set_function(beat_age_s)

    def finished(self, report: Mapping[str, Any]) -> None:
        """Count a job that is done; ``report`` has ``frames`` and ``stages`` as report.json has them."""
        self._jobs.labels("done").inc()
        frames = report.get("frames") or 0
        for stage in report.get("stages", ()) if frames else ():
            self._stages.labels(stage["stage"]).observe(stage["seconds"] / frames)

    def failed(self, code: int) -> None:
        """Count a job that ended with the exit code ``code``."""
        outcome = _NOT_FAILED.get(code, "failed")
        self._jobs.labels(outcome).inc()
        if outcome == "failed":
            self._failures.labels(str(code)).inc()

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(_Plain(self.registry))

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"rigdrop_{name}", about, labels, registry=self.registry)


class _Plain(Collector):
    """A registry's figures without the time at which each was first counted: as many lines again, which nobody asks for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
