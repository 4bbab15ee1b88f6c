"""What commands print: plain lines for people, JSON for programs, progress on the error stream."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .stopping import checking

if TYPE_CHECKING:
    from ..events import Emit

_PROGRESS_INTERVAL_S = 1.0


def print_json(value: Any) -> None:
    """Print ``value`` as JSON on the output stream."""
    # Where a letter can't be encoded, an escape of JSON's own stands for it, and not one of Python's.
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=not is_unicode, default=str))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns as wide as their widest cell; never folded, so that paths can be copied."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_error(message: str, exit_code: int) -> None:
    """Say on the error stream what went wrong: a sentence in a terminal, a JSON line otherwise."""
    if sys.stderr.isatty():
        print(f"rigdrop: {message}", file=sys.stderr)
    else:
        json_lines()("error", message=message, exit_code=exit_code)


def json_lines() -> Emit:
    """Return a receiver that writes one JSON object a line to the error stream, progress at most once a second."""
    import structlog

    log = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer(ensure_ascii=False)],
    )
    last = 0.0

    def emit(event: str, /, **fields: object) -> None:
        nonlocal last
        if event == "progress":
            if time.monotonic() - last < _PROGRESS_INTERVAL_S and fields["done"] != fields["total"]:
                return
            last = time.monotonic()
        log.info(event, **fields)

    return emit


@contextmanager
def progress() -> Iterator[Emit]:
    """Give what receives events: a progress bar in a terminal, JSON lines otherwise. It raises `Stopped` where we are to stop."""
    if not sys.stderr.isatty():
        yield checking(json_lines())
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield checking(_bar_emitter(bar))


def _bar_emitter(bar: Any) -> Emit:
    task = bar.add_task("", total=None)

    def emit(event: str, /, **fields: object) -> None:
        nonlocal task
        if event == "stage":
            bar.remove_task(task)
            task = bar.add_task(f"{fields['take']}: {fields['stage']}", total=None)
        elif event == "progress":
            bar.update(task, completed=fields["done"], total=fields["total"])
        elif line := _line(event, fields):
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    return emit


def _line(event: str, fields: Mapping[str, object]) -> str | None:
    """Return what a person wants to read about an event, if anything."""
    if event == "warning":
        return f"  warning: {fields['message']}"
    if event == "error":
        return f"  error: {fields['message']}"
    if event == "skipped":
        return f"{fields['take']}: up to date in {fields['folder']} (--force converts again)"
    return f"{fields['source']}" if event == "take" else None
