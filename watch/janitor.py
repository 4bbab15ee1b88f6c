"""What no job sees to any more: claims of jobs that were cancelled or given up, what they left, and old logs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import RigdropError, Stopped, WriteError
from . import claim as claims
from . import scan, settle, staging
from .claim_file import Claim
from .job import JobState, State, logs_folder
from .log import JobLog, prune
from .options import WatchOptions
from .queue import Queue
from .work import Work

_NOT_DONE: tuple[State, ...] = ("waiting", "running", "failed", "cancelled")


@dataclass(frozen=True)
class Janitor:
    """Looks after the claims of one worker; `turn` is called every few seconds."""

    roots: tuple[Path, ...]
    options: WatchOptions
    worker: str
    queue: Queue
    work: Work
    log: JobLog

    def turn(self) -> None:
        """Stop what was cancelled, and settle every claim whose job has ended without doing so itself."""
        for root in self.roots:
            self._see_to(root, self.worker)
        for root in self.work.roots() - set(self.roots):
            # Services that share a database do each other's jobs, in folders that they don't watch themselves.
            with contextlib.suppress(WriteError):  # such a folder may be out of reach for as long as it likes
                self._see_to(root, self.worker)

    def inherit(self, dead: str) -> None:
        """Take over the claims of a worker that died."""
        for root in self.roots:
            claims.inherit(root, dead, self.worker)

    def tidy(self) -> None:
        """Settle what workers that left for good have left, remove logs of jobs that ended long ago and notes on sources that are gone."""
        for state in self.queue.list(_NOT_DONE):
            self.work.was_in(Path(state.spec.root))  # before our last start, perhaps
        known = {worker.worker for worker in self.queue.workers()}
        for root in self.roots:
            for gone in set(claims.holders(root)) - known:
                self._see_to(root, gone)  # it has left for good, perhaps; what it had taken and nobody does must not lie there for ever
            prune(root, self.options.keep_logs_days, {job for job, _ in claims.named(root, self.worker)})
            scan.forget_gone(root)

    def _see_to(self, root: Path, worker: str) -> None:
        running = set(self.queue.running())
        for job, claim in claims.named(root, worker):
            if self.queue.state(job) in (None, "waiting", "running"):
                continue
            if job in running:
                self.work.cancel(job)  # its thread is still at it, and settles nothing any more
                continue
            state = self.queue.show(job)
            own = claims.take_over(claim, self.worker)  # so that of several who see it, one settles it
            if state is not None and own is not None:
                self._settle(state, own)

    def _settle(self, state: JobState, claim: Claim) -> None:
        reason, code = _why(state)
        if state.state == "done":
            settle.to_done(claim, state.spec.sources)
        else:
            settle.to_failed(claim, state.job, reason, code, logs_folder(claim.root) / f"{state.job}.jsonl")
        staging.clear(Path(state.spec.out), state.job)
        self.log.event(state.spec, "settled", state=state.state, message=reason)
        if not _has_told(state):
            self.work.settled(state.spec, state.state, reason, code)


def _why(state: JobState) -> tuple[str, int]:
    if state.state == "cancelled":
        return f"{state.spec.relative}: cancelled by somebody; rigdrop jobs retry {state.job} does it after all", Stopped.exit_code
    return state.reason or f"{state.spec.relative}: failed without a reason", state.code or RigdropError.exit_code


def _has_told(state: JobState) -> bool:
    """Whether the job came to an end of its own, which counts and tells it."""
    return any(step.name in ("publish", "fail") and step.error is None for step in state.steps)
