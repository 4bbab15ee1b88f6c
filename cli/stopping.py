"""Ctrl-C and SIGTERM: the first one cleans up on its way out, a later one ends the process at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import Stopped
from ..events import Emit

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Whoever stops a process may do so twice at once, to it and to its group; only who still waits after this long means a second stop.
_PATIENCE_S = 1.0
_SHOW_CURSOR = b"\x1b[?25h"


class StopSign:
    """Turns a signal into `Stopped`, and remembers it: a library, or an ``except Exception``, may have swallowed that."""

    def __init__(self) -> None:
        self._asked_by = ""
        self._asked_s = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal. A second one must not interrupt the cleaning, unless that takes too long for whoever waits."""
        if not self._asked_by:
            self._asked_by, self._asked_s = signal.Signals(number).name, time.monotonic()
            self.check()
        elif time.monotonic() - self._asked_s >= _PATIENCE_S:
            _end_at_once(number)

    def check(self) -> None:
        """Raise `Stopped` where we were asked to stop."""
        if self._asked_by:
            raise Stopped(f"stopped by {self._asked_by}; nothing half-written is left")


# Of the command that runs: a process has one set of signals, and so one sign.
_signs: list[StopSign] = []


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Stopped`, so that every ``finally`` on the way out runs and no half-written file is left.

    Whatever came of a stop within the block, it ends with `Stopped`.
    """
    sign = StopSign()
    before = {each: signal.signal(each, sign) for each in _SIGNALS}
    _signs.append(sign)
    try:
        yield
    finally:
        _signs.remove(sign)
        for each, handler in before.items():
            signal.signal(each, handler)
        sign.check()


def check_stop() -> None:
    """Raise `Stopped` where the command was asked to stop and went on all the same."""
    for sign in _signs:
        sign.check()


def checking(emit: Emit) -> Emit:
    """Return an `Emit` that raises `Stopped` where the command was asked to stop: events come from everywhere in the work."""

    def emit_or_stop(event: str, /, **fields: object) -> None:
        check_stop()
        emit(event, **fields)

    return emit_or_stop


def _end_at_once(number: int) -> None:
    """End as the signal does by itself. Every file that has its own name is whole; drafts under others may be left."""
    for child in multiprocessing.active_children():
        child.kill()
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)  # which a progress bar hides
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
