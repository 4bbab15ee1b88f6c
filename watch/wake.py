"""When to look into the watched folders: events are a hint, and where they are not to be trusted, the clock decides.

Events get lost when too many come at once, come from no other machine on a share, and are refused where the system is out of
watches; so every folder is looked into each minute anyway.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from .database import network_filesystem
from .names import is_ignored, is_own

Say = Callable[[str], None]

_ANYWAY_S = 60.0
# Events come in swarms; one look a while after the first sees to all of them.
_GATHER_S = 0.2
# It complains of events that come while it is told to end; whether it still watches we see for ourselves.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)
# Not each change: a file that is being written changes a thousand times, and is looked at again anyway until it is quiet. And
# not that a file was opened or read, because looking into it does so.
_EVENTS: list[type[FileSystemEvent]] = [DirCreatedEvent, DirMovedEvent, FileCreatedEvent, FileMovedEvent, FileClosedEvent]


@dataclass
class _Root:
    """One watched folder."""

    path: Path
    observer: BaseObserver | None = None
    identity: tuple[int, int] | None = None  # of the folder that the observer watches
    tried_s: float = float("-inf")  # when it was last tried to watch it
    looked_s: float = float("-inf")  # when it was last said to be looked into
    hint_s: float | None = None  # when the first event came that nobody has looked after


class Wake:
    """Says which folders to look into, and when; `close` it at the end.

    ``watching`` is "events", "poll", or "auto" for events on local disks and polling of network shares, each ``poll_s``
    seconds. Where events are refused, the folder is polled, and ``say`` told once.
    """

    def __init__(
        self, roots: Sequence[Path], watching: Literal["auto", "events", "poll"], poll_s: float, say: Say = lambda message: None
    ) -> None:
        self._watching = watching
        self._poll_s = poll_s
        self._say = say
        self._changed = threading.Condition()
        self._woken = False
        self._refused: set[Path] = set()
        self._roots = [_Root(path) for path in dict.fromkeys(roots)]
        for root in self._roots:
            self._watch(root)

    def wait(self, timeout_s: float | None = None) -> set[Path]:
        """Wait until a folder is to be looked into, and return those that are; none where the time is over or somebody woke us.

        The first call returns all of them at once.
        """
        until_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._woken:
                now_s = time.monotonic()
                due = [root for root in self._roots if self._due_s(root) <= now_s]
                if due or now_s >= until_s:
                    break
                self._changed.wait(min([until_s, now_s + _ANYWAY_S, *(self._due_s(root) for root in self._roots)]) - now_s)
            else:
                due = []
            self._woken = False
            for root in due:
                root.looked_s, root.hint_s = time.monotonic(), None
        for root in due:
            self._watch_again(root)
        return {root.path for root in due}

    def wake(self) -> None:
        """Let `wait` return now; if nobody waits, let the next one return at once. Any thread may call."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def polled(self) -> set[Path]:
        """Return the folders that are polled, because they are shares, events are refused, or somebody wants it so."""
        return {root.path for root in self._roots if root.observer is None}

    def close(self) -> None:
        """Watch no longer."""
        for root in self._roots:
            self._stop(root)

    def _due_s(self, root: _Root) -> float:
        again_s = root.looked_s + (_ANYWAY_S if root.observer is not None else min(self._poll_s, _ANYWAY_S))
        return again_s if root.hint_s is None else min(again_s, root.hint_s + _GATHER_S)

    def _watch(self, root: _Root) -> None:
        root.tried_s = time.monotonic()
        if self._watching == "poll" or (self._watching == "auto" and network_filesystem(root.path) is not None):
            return
        observer = None
        try:
            _quiet_watchdog()
            observer = Observer()
            # The folder itself, where the path is a link to it: links are not followed, not even the first.
            place = os.path.realpath(root.path)
            observer.schedule(_Hint(place, lambda: self._hint(root)), place, recursive=True, event_filter=_EVENTS)
            observer.start()
            root.observer, root.identity = observer, _identity(root.path)
            self._refused.discard(root.path)
        except OSError as error:
            if observer is not None:
                _end(observer)
            if root.path not in self._refused:
                self._say(f"{root.path}: can't be watched ({error.strerror or error}); it is looked into every {self._poll_s:g} s instead")
            self._refused.add(root.path)

    def _watch_again(self, root: _Root) -> None:
        """Watch what lies there now, where it is another folder than before, as after a share was mounted anew, or a watch has died."""
        if root.observer is not None and (_identity(root.path) != root.identity or not _lives(root.observer)):
            self._stop(root)
            root.tried_s = float("-inf")
        if root.observer is None and time.monotonic() - root.tried_s >= _ANYWAY_S:
            self._watch(root)

    def _hint(self, root: _Root) -> None:
        with self._changed:
            if root.hint_s is None:
                root.hint_s = time.monotonic()
                self._changed.notify_all()

    def _stop(self, root: _Root) -> None:
        if root.observer is not None:
            _end(root.observer)
        root.observer = None


class _Hint(FileSystemEventHandler):
    """Tells of events in a folder, but not of what the service itself does there, nor of files that are passed over anyway."""

    def __init__(self, root: str, hint: Callable[[], None]) -> None:
        self._root = root
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        place = os.fsdecode(event.dest_path or event.src_path)
        parts = os.path.relpath(place, self._root).split(os.sep)
        if not is_own(parts[0]) and not any(is_ignored(part) for part in parts if part != "."):
            self._hint()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _quiet_watchdog() -> None:
    """Leave out what watchdog 7 says where it adds a folder twice that was made while it looked: it goes on as if once."""
    warnings.filterwarnings("ignore", "Callback with id .* already exists", RuntimeWarning)


def _lives(observer: BaseObserver) -> bool:
    return observer.is_alive() and all(emitter.is_alive() for emitter in observer.emitters)


def _end(observer: BaseObserver) -> None:
    observer.stop()
    with contextlib.suppress(RuntimeError):  # it never started
        observer.join()
