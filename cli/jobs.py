"""``rigdrop jobs``: what the watch service has done, does and will do."""

from __future__ import annotations

import contextlib
import difflib
import json as json_format
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..config.layers import DEFAULT_FILE, read_file, settings_app
from ..errors import ReadError, UsageError
from .job_table import ENDED, HEADER, ORDER, details, in_order, is_recent, live_table, matches, printable, row, short_id
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..watch.job import JobState, State
    from ..watch.queue import QueueClient

app = settings_app(name="jobs", help="Show the jobs of rigdrop watch, and cancel or retry them.")

_TURN_S = 1.0
# In a table that is not asked for everything: enough for a day's look, however many years the service has run.
_MOST_ENDED = 200
_NEAR = 5


@dataclass(frozen=True)
class Place:
    """Where the jobs are."""

    database: str = ""
    """Where the jobs are kept, as for rigdrop watch: a file, or postgresql://…."""
    config: Path | None = None
    """The TOML file that says so where --database does not; without it ./rigdrop.toml, where there is one."""


At = Annotated[Place, Parameter(name="*")]
_HERE = Place()


@app.default
def jobs(
    *,
    at: At = _HERE,
    state: tuple[Literal["waiting", "running", "done", "failed", "cancelled"], ...] = (),
    everything: Annotated[bool, Parameter(name="all")] = False,
    once: bool = False,
    json: bool = False,
) -> None:
    """Show the jobs: those that run, wait, or ended in the last day; in a terminal until Ctrl-C.

    Parameters
    ----------
    state
        Only jobs in this state, however old; may be said more than once.
    everything
        Older ones too.
    once
        Print the table once, in a terminal too.
    json
        Print every field of each as JSON.
    """
    with _client(at) as client:
        if json:
            print_json([_as_json(each) for each in _select(client, state, everything)])
        elif sys.stdout.isatty() and not once:
            _watch(client, state, everything)
        else:
            now = _now()
            print_table(HEADER, [row(each, now) for each in _select(client, state, everything)])


@app.command
def show(job: str, /, *, at: At = _HERE, json: bool = False) -> None:
    """Show all that is known about a job, and how long each step took.

    Parameters
    ----------
    job
        Its id, or enough of it to tell it from the others.
    json
        Print JSON instead of tables.
    """
    with _client(at) as client:
        state = client.show(_find(client, job).job)
    if state is None:
        raise UsageError(f"{job}: is gone; see rigdrop jobs --all")
    if json:
        print_json(_as_json(state))
        return
    print_table(("", ""), list(details(state)))
    if state.steps:
        steps = [(step.name, step.started_utc, f"{step.seconds:.2f}", printable(step.error or "")) for step in state.steps]
        print()
        print_table(("step", "started", "seconds", ""), steps)


@app.command
def logs(job: str, /, *, at: At = _HERE, follow: Annotated[bool, Parameter(alias="-f")] = False, json: bool = False) -> None:
    """Print the log of a job.

    Parameters
    ----------
    job
        Its id, or enough of it to tell it from the others.
    follow
        Go on until the job has ended.
    json
        Print the lines as they are, a JSON object each but for what libraries print.
    """
    from ..watch.log import read_lines

    with _client(at) as client, _until_ctrl_c():
        state = _find(client, job)
        ended = _ended(client, state.job) if follow else None
        path = _log_of(state, ended)
        for line in read_lines(path, ended):
            print(line if json else _told(line), flush=follow)


@app.command
def cancel(*jobs: str, at: At = _HERE) -> None:
    """Cancel jobs that wait or run. Their sources go to failed/ in the inbox.

    Parameters
    ----------
    jobs
        Their ids, or enough of each to tell it from the others.
    """
    with _client(at) as client:
        found = _find_all(client, jobs)
        over = [state for state in found if state.state in ENDED]
        if over:
            raise UsageError(f"{short_id(over[0].job)}: is {over[0].state}, expected a job that waits or runs; nothing was cancelled")
        for state in found:
            told = "cancelled" if client.cancel(state.job) else "ended before it could be cancelled"
            print(f"{short_id(state.job)}  {printable(state.spec.relative)}  {told}")


@app.command
def retry(*jobs: str, at: At = _HERE) -> None:
    """Put the sources of jobs that failed or were cancelled back into the inbox, where the service takes them again.

    Parameters
    ----------
    jobs
        Their ids, or enough of each to tell it from the others.
    """
    from ..watch.retry import put_back

    with _client(at) as client:
        found = _find_all(client, jobs)
    wrong = [state for state in found if state.state not in ("failed", "cancelled")]
    if wrong:
        raise UsageError(f"{short_id(wrong[0].job)}: is {wrong[0].state}, expected a job that failed or was cancelled; nothing was moved")
    for state in found:
        print(f"{short_id(state.job)}  back in {printable(str(put_back(state.spec)))}")


@contextlib.contextmanager
def _client(at: Place) -> Iterator[QueueClient]:
    from ..watch.database import Database
    from ..watch.queue import QueueClient

    database = Database.parse(at.database or _database_in_file(at.config))
    if database.path is not None and not database.path.exists():
        raise ReadError(f"{database.label}: is not there, expected the jobs of rigdrop watch; name where they are with --database")
    client = QueueClient(database)
    try:
        yield client
    finally:
        client.close()


def _database_in_file(config: Path | None) -> str:
    """What the service's own settings file says."""
    path = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    return "" if path is None else str(read_file(path).get("database", ""))


def _select(client: QueueClient, states: Sequence[State], everything: bool, most: int = 0) -> list[JobState]:
    """The jobs to show, in their order; of each state at most ``most`` where that is not 0."""
    found: list[JobState] = []
    for state in states or ORDER:
        ended = state in ENDED
        limit = most or (0 if states or everything or not ended else _MOST_ENDED)
        found += client.list((state,), limit=limit, newest_first=ended)
    now = _now()
    return in_order(each for each in found if states or everything or is_recent(each, now))


def _watch(client: QueueClient, states: Sequence[State], everything: bool) -> None:
    """Show the table, and show it again every second."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with _until_ctrl_c(), Live(console=console, auto_refresh=False) as live:
        while True:
            # All the states in turn: more than fits would push the first ones, which matter most, out of sight.
            most = max(2, (console.height - 8) // 4)
            shown = _select(client, states, everything, most + 1)
            live.update(live_table(shown, client.counts(), _now(), most, console.width), refresh=True)
            time.sleep(_TURN_S)


@contextlib.contextmanager
def _until_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the block in peace: it is how one leaves what goes on for ever."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print()
    finally:
        signal.signal(signal.SIGINT, before)


def _find_all(client: QueueClient, asked: Sequence[str]) -> list[JobState]:
    """The jobs that are meant, each once; nothing is done to any of them where one is not known."""
    if not asked:
        raise UsageError("jobs: found no id, expected one or more; rigdrop jobs lists them")
    return list({state.job: state for state in (_find(client, each) for each in asked)}.values())


def _find(client: QueueClient, asked: str) -> JobState:
    """The one job whose id begins like that. Raises `UsageError`, with ids that are near, where there is none, or more than one."""
    exact = client.show(asked)
    if exact is not None:
        return exact
    states = client.list()
    found = [state for state in states if asked and matches(state.job, asked)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{asked}: found {len(found)} jobs, expected one: {_listed(found)}")
    names = {state.job: state for state in states} | {short_id(state.job): state for state in states}
    near = [names[name] for name in difflib.get_close_matches(asked, names, n=2 * _NEAR, cutoff=0.5)]
    unique = list({state.job: state for state in near}.values())
    hint = f"near it are {_listed(unique)}" if unique else "rigdrop jobs --all lists them"
    raise UsageError(f"{asked}: found no job of this id; {hint}")


def _listed(states: Sequence[JobState]) -> str:
    rest = f" and {len(states) - _NEAR} more" if len(states) > _NEAR else ""
    return ", ".join(f"{short_id(state.job)} ({printable(state.spec.relative)}, {state.state})" for state in states[:_NEAR]) + rest


def _ended(client: QueueClient, job: str) -> Callable[[], bool]:
    def ended() -> bool:
        state = client.show(job)
        return state is None or state.state in ENDED

    return ended


def _log_of(state: JobState, ended: Callable[[], bool] | None) -> Path:
    """Where the job's log is; waited for where somebody follows a job that has not begun."""
    from ..watch.log import find_log

    while (path := find_log(state.spec)) is None:
        if not Path(state.spec.root).is_dir():
            raise ReadError(f"{state.spec.root}: can't be seen from here, expected the inbox; ask on a machine that has it")
        if ended is None or ended():
            raise ReadError(f"{short_id(state.job)}: has no log (any more); rigdrop jobs show {short_id(state.job)} has the rest")
        time.sleep(_TURN_S)
    return path


def _told(line: str) -> str:
    """A line of a log as a person reads it; what is no JSON, as it is."""
    try:
        content = json_format.loads(line)
        moment, event = str(content.pop("timestamp")), str(content.pop("event"))
    except (ValueError, AttributeError, KeyError, TypeError):
        return printable(line)
    step, level = str(content.pop("step", "")), str(content.pop("level", "info"))
    content.pop("job", None)
    if event == "progress":
        event += f" {content.pop('frame', '?')}/{content.pop('frames', '?') or '?'}"
    message = content.pop("message", "")
    rest = " ".join(f"{name}={value}" for name, value in content.items() if name != "stage")
    words = (moment[:19].replace("T", " "), step.ljust(20), event if level == "info" else f"{event}:", message, rest)
    return printable("  ".join(str(word) for word in words if word).rstrip())


def _as_json(state: JobState) -> dict[str, Any]:
    from ..watch.status import job_as_json

    return job_as_json(state)


def _now() -> datetime:
    return datetime.now(UTC)
