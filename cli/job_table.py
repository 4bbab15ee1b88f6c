"""How jobs are shown: which, in what order, as a table to look at and as plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..watch.job import JobState, State

if TYPE_CHECKING:
    from rich.table import Table

# What somebody looks for first: what runs, what will, what went wrong.
ORDER: tuple[State, ...] = ("running", "waiting", "failed", "cancelled", "done")
HEADER = ("job", "state", "source", "step", "frames", "worker", "age", "reason")
ENDED: tuple[State, ...] = ("failed", "cancelled", "done")

_RECENT = timedelta(days=1)
_COLOURS: Mapping[State, str] = {"running": "cyan", "waiting": "yellow", "failed": "red", "cancelled": "magenta", "done": "green"}
_SHORT_DIGITS = 8
_BAR_WIDTH = 10
# In a terminal that is narrower, columns go without their bars, then go.
_BAR_FROM = 110
_WIDTHS = {"worker": 90, "reason": 75, "step": 65}
# The least and the most characters of each, and its share of what is left.
_COLUMNS: Mapping[str, tuple[int, int | None, int | None]] = {
    "job": (10, 12, None), "state": (9, 9, None), "source": (12, None, 1), "step": (5, 18, None), "frames": (6, 24, None),
    "worker": (6, 14, None), "age": (6, 6, None), "reason": (10, None, 1),
}


def short_id(job: str) -> str:
    """Return an id as people type it: the first digits, and which time round."""
    key, _, number = job.partition("-")
    return f"{key[:_SHORT_DIGITS]}-{number}"


def matches(job: str, asked: str) -> bool:
    """Tell whether ``asked`` means ``job``: the beginning of its id, or the beginning of its digits and its number."""
    digits, dash, number = asked.partition("-")
    return job.startswith(asked) or (dash == "-" and job.startswith(digits) and job.partition("-")[2] == number)


def in_order(states: Iterable[JobState]) -> list[JobState]:
    """Return jobs as they are shown: by state; those that run or wait the oldest first, those that have ended the latest first."""
    groups: dict[State, list[JobState]] = {state: [] for state in ORDER}
    for state in states:
        groups[state.state].append(state)
    for name, group in groups.items():
        group.sort(key=_when, reverse=name in ENDED)
    return [state for name in ORDER for state in groups[name]]


def is_recent(state: JobState, now: datetime) -> bool:
    """Tell whether a job has not ended yet, or did so in the last day."""
    return state.state not in ENDED or state.ended_utc is None or now - _time(state.ended_utc) < _RECENT


def row(state: JobState, now: datetime) -> tuple[str, ...]:
    """Return a job as the words of `HEADER`'s columns; whatever a name holds, it is printable."""
    since = _when(state)
    cells = (
        short_id(state.job), state.state, state.spec.relative, state.step or "", _frames(state), state.worker or "",
        _age(now - since) if since > _NEVER else "", state.reason or "",
    )
    return tuple(printable(cell) for cell in cells)


def live_table(states: Sequence[JobState], counts: Mapping[State, int], now: datetime, most: int, width: int = 120) -> Table:
    """Return a table for a terminal ``width`` characters wide, with at most ``most`` jobs of each state, and how many more there are."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    summary = Text(_summary(counts))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, expand=True, caption=summary, caption_justify="left")
    shown = [name for name in HEADER if width >= _WIDTHS.get(name, 0)]
    for name in shown:
        least, most_wide, ratio = _COLUMNS[name]
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=least, max_width=most_wide, ratio=ratio)
    for state in ORDER:
        group = [each for each in states if each.state == state]
        for each in group[:most]:
            cells = dict(zip(HEADER, map(Text, row(each, now)), strict=True))
            cells["state"].stylize(_COLOURS[state])
            if width >= _BAR_FROM:
                cells["frames"] = Text(_bar(each)) + cells["frames"]
            table.add_row(*(cells[name] for name in shown))
        if len(group) > most:
            # Of those that have ended, the older ones are not among the jobs to show, but among those that are counted.
            rest = "more" if state in ENDED else f"{counts.get(state, len(group)) - most:,}"
            table.add_row(*(Text(f"+ {rest} {state}" if name == "source" else "", style="dim") for name in shown))
    return table


def details(state: JobState) -> Iterator[tuple[str, str]]:
    """Yield each field of a job with its name, in the order in which one asks; settings only counted."""
    spec = state.spec
    told: dict[str, object] = {
        "job": state.job, "state": state.state, "source": spec.relative, "inbox": spec.root, "out": spec.out,
        "size": f"{spec.size_bytes:,} bytes",
        "worker": state.worker, "submitted": state.submitted_utc, "started": state.started_utc, "ended": state.ended_utc,
        "step": state.step, "frames": _frames(state), "crashes": state.crashes or None, "reason": state.reason,
        "exit code": state.code or None, **_told_result(state.result),
        "device": spec.device, "sources": spec.sources, "sha256": spec.source_sha256, "key": spec.key,
        "settings": f"{len(spec.settings)}, --json lists them",
    }
    yield from ((name, printable(str(value))) for name, value in told.items() if value not in (None, ""))


def printable(text: str) -> str:
    """Return ``text`` with anything that a terminal could take for an order replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


_NEVER = datetime.min.replace(tzinfo=UTC)


def _told_result(result: Mapping[str, Any] | None) -> dict[str, object]:
    """What publishing returned, as far as it is short."""
    result = {"source is now": (result or {}).get("source"), **{name: value for name, value in (result or {}).items() if name != "source"}}
    return {name: value for name, value in result.items() if not isinstance(value, (list, dict)) or (name == "warnings" and value)}


def _when(state: JobState) -> datetime:
    """When a job came into the state in which it is."""
    if state.state in ENDED:
        return _time(state.ended_utc or state.submitted_utc)
    return _time((state.state == "running" and state.started_utc) or state.submitted_utc)


def _time(text: str | None) -> datetime:
    if not text:
        return _NEVER
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _age(span: timedelta) -> str:
    seconds = max(0.0, span.total_seconds())
    for unit, length_s, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 36)):
        if seconds / length_s < most:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _frames(state: JobState) -> str:
    if state.state != "running" or not state.done:
        return ""
    return f"{state.done}" if state.total is None else f"{state.done}/{state.total}"


def _bar(state: JobState) -> str:
    """How far a step is as a bar, where it is known how far there is to go."""
    if state.state != "running" or not state.total:
        return ""
    full = min(_BAR_WIDTH, _BAR_WIDTH * state.done // state.total)
    return "━" * full + "┈" * (_BAR_WIDTH - full) + " "


def _summary(counts: Mapping[State, int]) -> str:
    return "   ".join(f"{counts.get(name, 0):,} {name}" for name in ORDER)
