"""Children: processes that do the work, kept from step to step and from job to job so that their models stay loaded.

Whatever happens in one, the service goes on. A step gives its result, or raises the pipeline's own error, or `ChildDied`
where the process ended: by a crash, for want of memory, or by our hand when it made no progress.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError, Stopped, error_with_code
from .process import Process

if TYPE_CHECKING:
    from ..events import Emit  # which loads all that the work needs, and the service does not

_STEPS = "rigdrop.watch.steps"
_TICK_S = 0.1
# Time between two looks counts as no more than this: while we were stopped ourselves (SIGSTOP, a laptop's lid), we heard nothing.
_LONGEST_TICK_S = 1.0
_GRACE_S = 30.0
# For what is left when the time to finish is over: enough to remove half-written files.
_LAST_GRACE_S = 5.0


class ChildDied(Exception):
    """Raised when the process that did a step ended before the step did; ``reason`` goes on where "the process" was said."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Child:
    """One process that does steps, one at a time: started when first needed, and again after it has ended.

    ``hang_s`` seconds without an event mean that it hangs; told to stop, it has ``grace_s`` seconds to; with nothing to
    do for ``idle_s`` seconds it ends by itself. ``environment`` is added to our own.
    """

    def __init__(
        self, name: str, hang_s: float, module_of_steps: str = _STEPS, *, grace_s: float = _GRACE_S, idle_s: float = float("inf"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.hang_s, self.grace_s, self.idle_s = name, hang_s, grace_s, idle_s
        self._module, self._environment = module_of_steps, dict(environment or {})
        self._process: Process | None = None
        self._running, self._gate = threading.Lock(), threading.Lock()
        self._closed = False

    def run(
        self, step: str, job: Mapping[str, Any], on_event: Emit, stop: threading.Event | None = None, log: Path | None = None,
        hang_s: float | None = None,
    ) -> dict[str, Any]:
        """Do a step and return its result; ``on_event`` is called in this thread, what is printed is appended to ``log``.

        Raises the error that the step raised, as the same class with the same message; where an `OSError` was behind it,
        the error has its ``errno``. Raises `ChildDied`, and `Stopped` where ``stop`` was set or the child was told to end.
        An exception of ``on_event`` costs the process and is raised.
        """
        request = {"step": step, "job": job, "log": None if log is None else str(log.absolute())}
        with self._running:
            for kept in (True, False):
                if stop is not None and stop.is_set():
                    raise Stopped(f"{step}: stopped before it began")
                process = self._alive_or_new(log, kept)
                with contextlib.suppress(_NotTaken):
                    return _Talk(process, step, self.hang_s if hang_s is None else hang_s, self.grace_s, stop).have(request, on_event)
            raise ChildDied(process.reason)

    def stop(self, grace_s: float | None = None) -> None:
        """Tell the process to end, for good; kill it when ``grace_s`` seconds have passed. A step in it raises `Stopped`."""
        with self._gate:
            self._closed, process = True, self._process
        if process is not None:
            process.ask_to_stop()
            if not process.ended.wait(self.grace_s if grace_s is None else grace_s):
                process.kill()
                process.finish()

    def kill(self) -> None:
        """End the process at once, if there is one; a step in it raises `Stopped`. The next step starts another."""
        process = self._process
        if process is not None:
            process.asked = True
            process.kill()
            process.finish()

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and not self._process.ended.is_set()

    @property
    def pid(self) -> int | None:
        """The process' number, while there is one."""
        process = self._process
        return None if process is None or process.ended.is_set() else process.pid

    @property
    def memory_mb(self) -> float | None:
        """The memory that the process holds, in MB, where there is one and the system says it."""
        process = self._process
        return None if process is None or process.ended.is_set() else process.memory_mb

    def _alive_or_new(self, log: Path | None, kept: bool) -> Process:
        with self._gate:
            if self._closed:
                raise Stopped(f"{self.name}: told to stop")
            if not (kept and self.alive and self._process is not None and not self._process.asked):
                try:
                    self._process = Process(self._module, self.idle_s, self._environment, log)
                except OSError as error:
                    raise ChildDied(f"could not be started ({error.strerror or error})") from error
            return self._process


class _NotTaken(Exception):
    """Raised when the process ended before it saw the request: the next one gets it, and nobody counts a crash."""


class _Talk:
    """One step, asked of one process."""

    def __init__(self, process: Process, step: str, hang_s: float, grace_s: float, stop: threading.Event | None) -> None:
        self._process, self._step, self._hang_s, self._grace_s, self._stop = process, step, hang_s, grace_s, stop
        self._taken = False
        self._silent_s = self._asked_s = 0.0
        self._looked_s = time.monotonic()

    def have(self, request: Mapping[str, Any], on_event: Emit) -> dict[str, Any]:
        """Send the request and listen until it is answered. Leaves behind a process that is ready for the next, or none."""
        try:
            self._process.send(request)
            while True:
                message = self._next()
                if "event" in message:
                    on_event(message["event"], **message["fields"])
                elif "taken" in message:
                    self._taken = True
                else:
                    break
        except BaseException:
            self._process.abandon()
            raise
        if message.get("leaving") or self._process.asked:
            self._process.finish()
        return self._result(message)

    def _next(self) -> dict[str, Any]:
        while True:
            try:
                message = self._process.receive(_TICK_S)
            except queue.Empty:
                self._look()
                continue
            self._silent_s = 0.0
            self._look()
            if message is None:
                raise self._end()
            return message

    def _look(self) -> None:
        """See whether it is time to stop, and whether the process hangs."""
        now_s = time.monotonic()
        passed_s, self._looked_s = min(now_s - self._looked_s, _LONGEST_TICK_S), now_s
        self._silent_s += passed_s
        if self._process.asked:
            self._asked_s += passed_s
            if self._asked_s > self._grace_s:
                self._process.kill()
        elif self._stop is not None and self._stop.is_set():
            self._process.ask_to_stop()
        elif self._silent_s > self._hang_s:
            self._process.kill_with_traceback()
            raise ChildDied(f"made no progress for {self._hang_s:g} s")

    def _end(self) -> Exception:
        """Why there is no answer."""
        went_silent = not self._process.ended.wait(_LAST_GRACE_S)
        self._process.finish()
        if self._process.asked:
            return Stopped(f"{self._step}: stopped before it was done")
        if not self._taken:
            return _NotTaken()
        return ChildDied("broke off the connection" if went_silent else self._process.reason)

    def _result(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if "died" in message:
            raise ChildDied(message["died"])
        if "error" in message:
            raise self._error(message["error"])
        result: dict[str, Any] = message["result"]
        return result

    def _error(self, told: Mapping[str, Any]) -> Exception:
        """The error that was raised in the process."""
        error = error_with_code(told["code"], told["message"])
        if isinstance(error, Stopped) and not self._process.asked:
            return ChildDied("was told to stop by another program (SIGTERM)")
        if told["errno"] is not None:
            vars(error)["errno"] = told["errno"]
        return error


@dataclass
class _Slot:
    """A child of the pool, and what it was last lent for."""

    child: Child
    job: str = ""
    lent: bool = False
    left: bool = False  # the job went on in another child: what this one remembers of it is old
    used: int = 0  # the number of the loan


class Children:
    """So many children of each kind, lent for a step at a time.

    A job gets the child that it had before where it can, for the sake of what is in its memory; never one that it has left
    for another. Children of the kind ``gpu`` each see a device of their own where there are several.
    """

    def __init__(
        self, slots: Mapping[str, int], hang_s: float, module_of_steps: str = _STEPS, *, idle_s: float = 300.0, grace_s: float = _GRACE_S,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._slots = {
            kind: [
                _Slot(Child(
                    f"{kind}-{index}", hang_s, module_of_steps, grace_s=grace_s, idle_s=idle_s,
                    environment={**(environment or {}), **(_device(index) if kind == "gpu" and count > 1 else {})},
                ))
                for index in range(count)
            ]
            for kind, count in slots.items()
        }
        self._changed = threading.Condition()
        self._loans = 0
        self._closed = False

    @contextlib.contextmanager
    def lend(self, kind: str, job: str = "") -> Iterator[Child]:
        """Lend a child for a step of ``job``; waits until one is free. Raises `Stopped` once all were told to stop."""
        slot = self._take(kind, job)
        try:
            if slot.left:
                slot.child.kill()
                slot.left = False
            yield slot.child
        finally:
            with self._changed:
                slot.lent = False
                self._changed.notify_all()

    def stop(self, grace_s: float) -> None:
        """Lend no more; give the steps in work ``grace_s`` seconds to end, then tell them to stop, then end all processes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not any(slot.lent for slot in self._all()), timeout=grace_s)
        self._each(lambda child: child.stop(_LAST_GRACE_S))

    def kill(self) -> None:
        """Lend no more, and end all processes at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._each(lambda child: child.stop(0.0))

    @property
    def pids(self) -> dict[str, int]:
        """The processes that there are, by the names of the children."""
        return {slot.child.name: pid for slot in self._all() if (pid := slot.child.pid) is not None}

    @property
    def memory_mb(self) -> float:
        """The memory that they hold together, in MB."""
        return sum(slot.child.memory_mb or 0.0 for slot in self._all())

    def _take(self, kind: str, job: str) -> _Slot:
        if not self._slots.get(kind):
            raise SettingsError(f"{kind}: found a job for it, but no slot is set up for such; set jobs or gpus to 1 or more")
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(not slot.lent for slot in self._slots[kind]))
            if self._closed:
                raise Stopped("told to stop; the job goes on at the next start")
            slot = _best([slot for slot in self._slots[kind] if not slot.lent], job)
            for other in self._all():
                other.left = other.left or (other is not slot and bool(job) and other.job == job)
            self._loans += 1
            slot.left = slot.left and slot.job == job
            slot.job, slot.used, slot.lent = job, self._loans, True
            return slot

    def _all(self) -> list[_Slot]:
        return [slot for slots in self._slots.values() for slot in slots]

    def _each(self, run: Callable[[Child], None]) -> None:
        children = [slot.child for slot in self._all()]
        with ThreadPoolExecutor(max_workers=max(1, len(children))) as threads:
            list(threads.map(run, children))


def _best(free: list[_Slot], job: str) -> _Slot:
    """The child that the job had; else one that runs already, the last used first, for then another can rest and end; else any."""

    def worth(slot: _Slot) -> tuple[bool, bool, bool, int]:
        same = bool(job) and slot.job == job
        return same and not slot.left, not same, slot.child.alive, slot.used

    return max(free, key=worth)


def _device(index: int) -> dict[str, str]:
    """The environment in which CUDA shows one device alone: the ``index``-th of those that we see ourselves."""
    seen = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return {"CUDA_VISIBLE_DEVICES": seen[index].strip() if index < len(seen) else str(index)}


