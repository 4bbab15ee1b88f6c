"""What no job sees to any more: claims of jobs that were cancelled or given up, what they left, and old logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import RigdropError, Stopped
from . import claim as claims
from . import scan, settle, staging
from .claim_file import Claim
from .job import JobState, logs_folder
from .log import JobLog, prune
from .options import WatchOptions
from .queue import Queue
from .work import Work


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

    def inherit(self, dead: str) -> None:
        """Take over the claims of a worker that died."""
        for root in self.roots:
            claims.inherit(root, dead, self.worker)

    def tidy(self) -> None:
        """Settle what workers that left for good have left, remove logs of jobs that ended long ago and notes on sources that are gone."""
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
            if state is not None:
                self._settle(state, claim)

    def _settle(self, state: JobState, claim: Claim) -> None:
        reason, code = _why(state)
        if state.state == "done":
            settle.to_done(claim, self.options.sources)
        else:
            settle.to_failed(claim, state.job, reason, code, logs_folder(claim.root) / f"{state.job}.jsonl")
        staging.clear(Path(state.spec.out), state.job)
        self.log.event(state.spec, "settled", state=state.state, message=reason)


def _why(state: JobState) -> tuple[str, int]:
    if state.state == "cancelled":
        return f"{state.spec.relative}: cancelled by somebody; rigdrop jobs retry {state.job} does it after all", Stopped.exit_code
    return state.reason or f"{state.spec.relative}: failed without a reason", state.code or RigdropError.exit_code


