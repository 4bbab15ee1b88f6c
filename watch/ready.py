"""When a file is ready: it has been quiet for a while, and it opens. Pure logic on a clock that the caller hands in.

    seen ── changes ──▶ settling ── quiet ──▶ ready ── opens ──▶ taken
                            ▲                  │  ▲
                            └── changes ──┐    ▼  │ later and later
                                          └ unopened ── grace is over ──▶ given up
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .scan import Entry

State = Literal["settling", "unopened", "ready"]

_LONGEST_WAIT_S = 60.0


@dataclass(slots=True)
class _File:
    entry: Entry
    since_s: float  # when it was first seen as it is
    look_s: float  # when to look inside
    wait_s: float = 0.0  # how long to wait since it was last looked into; 0 where it never was
    why: str = ""  # it did not open, in words


class Readiness:
    """Knows for the files of one folder since when each has been as it is, and when to look inside.

    Times are seconds of a clock that never goes back, and only their differences count: clocks of other machines, and times
    that a copy program has set, say nothing.
    """

    STATES: tuple[State, ...] = ("settling", "unopened", "ready")

    def __init__(self, settle_s: float, grace_s: float) -> None:
        self._settle_s = settle_s
        self._grace_s = grace_s
        self._files: dict[str, _File] = {}
        self._updated_s = float("-inf")

    def update(self, entries: Iterable[Entry], now_s: float) -> list[Entry]:
        """Take in what a scan has found; returns what is to be looked into now, the longest quiet first.

        A file is given again each time until `not_open` says that it is not ready, or it is gone from the folder.
        """
        self._files = {entry.relative: self._known(entry) or _File(entry, now_s, now_s + self._settle_s) for entry in entries}
        self._updated_s = now_s
        due = [file for file in self._files.values() if file.look_s <= now_s and file.since_s < now_s]  # seen twice, whatever the times
        return [file.entry for file in sorted(due, key=lambda file: file.since_s)]

    def not_open(self, entry: Entry, why: str, now_s: float) -> Literal["wait", "give up"]:
        """Note why a file did not open, or could not be taken; it is given again later, each time after a longer while.

        Returns "give up" when it has not changed for the grace time.
        """
        file = self._known(entry)
        if file is None:
            return "wait"  # it has changed or gone meanwhile
        file.why = why
        file.wait_s = min(max(self._settle_s, 2 * file.wait_s), _LONGEST_WAIT_S)
        over_s = file.since_s + self._grace_s
        file.look_s = now_s + file.wait_s if now_s >= over_s else min(now_s + file.wait_s, over_s)
        return "wait" if now_s < over_s else "give up"

    def forget(self, entry: Entry) -> None:
        """Forget a file that was taken."""
        self._files.pop(entry.relative, None)

    def due_s(self, now_s: float) -> float | None:
        """Return in how many seconds a scan may find the next file to look into; nothing where none is waited for.

        What the last `update` gave does not count: who holds it back knows when to come again.
        """
        times = [file.look_s for file in list(self._files.values()) if file.look_s > self._updated_s]
        return max(0.0, min(times) - now_s) if times else None

    def counts(self) -> dict[State, int]:
        """Return how many files are still changing, do not open yet, and could be taken. Any thread may call."""
        counts = dict.fromkeys(self.STATES, 0)
        for file in list(self._files.values()):
            counts[self._state(file)] += 1
        return counts

    def reasons(self) -> dict[str, str]:
        """Return why the files that do not open yet do not, by their places. Any thread may call."""
        return {file.entry.relative: file.why for file in list(self._files.values()) if file.wait_s}

    def _known(self, entry: Entry) -> _File | None:
        file = self._files.get(entry.relative)
        unchanged = file is not None and (file.entry.stamp, file.entry.sidecar) == (entry.stamp, entry.sidecar)
        return file if unchanged else None

    def _state(self, file: _File) -> State:
        if file.wait_s:
            return "unopened"
        return "ready" if file.look_s <= self._updated_s else "settling"
