"""Reading ahead: the next items are made on another thread while this one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
_POLL_S = 0.1


@dataclass(frozen=True)
class _Entry(Generic[T]):
    """One item, or the end: the error that stopped the items, where one did."""

    item: T | None = None
    is_end: bool = False
    error: BaseException | None = None


def ahead(items: Iterator[T], depth: int = 3) -> Iterator[T]:
    """Yield the same items in the same order, at most ``depth`` of them made too early; errors come where they belong.

    Stopping early (a `break`, an error, Ctrl-C) stops the other thread too.
    """
    waiting: queue.Queue[_Entry[T]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(entry: _Entry[T]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(_Entry(item)):
                    return
            put(_Entry(is_end=True))
        except BaseException as error:  # whatever it is, it is raised again where the items are used
            put(_Entry(is_end=True, error=error))

    worker = threading.Thread(target=work, name="ahead", daemon=True)
    worker.start()
    try:
        while not (entry := waiting.get()).is_end:
            yield entry.item  # type: ignore[misc]
        if entry.error is not None:
            raise entry.error
    finally:
        stopped.set()
        worker.join()
