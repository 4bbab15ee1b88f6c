"""``rigdrop service install``: the unit with which systemd runs ``rigdrop watch``."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..config.layers import DEFAULT_FILE, settings_app
from ..errors import MissingPartError, UsageError, WriteError
from ..files import write_text

if TYPE_CHECKING:
    from ..config.settings import Settings
    from ..watch.options import WatchOptions
    from ..watch.systemd import Unit

app = settings_app(name="service", help="Let systemd run rigdrop watch.")


@app.command
def install(
    *inboxes: Annotated[Path, Parameter(show_env_var=False)],
    out: Path | None = None,
    config: Path | None = None,
    database: str = "",
    user: bool = False,
    account: Annotated[str, Parameter(name="as")] = "rigdrop",
    name: str = "rigdrop",
    to: Path | None = None,
    show: Annotated[bool, Parameter(name="print")] = False,
) -> None:
    """Write the unit, and print what to do next; nothing is started.

    Every other setting of rigdrop watch belongs into the file that --config names: systemctl reload reads it again.

    Parameters
    ----------
    inboxes
        Folders to watch.
    out
        Folder in which each take gets a folder of its own.
    config
        A TOML file with settings; without it ./rigdrop.toml, where there is one.
    database
        Where the jobs are kept: a file, or postgresql://….
    user
        Write a unit of your own, for systemctl --user, instead of one of the machine's.
    account
        The account that the service runs as.
    name
        What the unit is called.
    to
        Write into this folder instead of systemd's.
    show
        Print the unit and write nothing.
    """
    from ..watch.systemd import MARK, unit_folder

    if not inboxes:
        raise UsageError("service install: found no folder, expected one or more to watch; see rigdrop service install --help")
    config = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    settings, options = _settings(inboxes, out, config, database)
    unit = _unit(inboxes, config, settings, options, None if user else account, name)
    if show:
        print(unit.text(), end="")
        return
    if to is None and shutil.which("systemctl") is None:
        raise MissingPartError("service: found no systemd on this machine; run rigdrop watch by its own supervisor, or write with --to DIR")
    path = (to or unit_folder(user)) / f"{name}.service"
    _write(path, unit.text(), MARK.format(name=name))
    print(f"wrote {path}\n\nnext:")
    for line in _next_steps(unit, database):
        print(f"  {line}")


def _settings(inboxes: Sequence[Path], out: Path | None, config: Path | None, database: str) -> tuple[Settings, WatchOptions]:
    """What the service will run with, read as the service itself will read it; a setting that is wrong is told of now."""
    from .app import build_app

    tokens = [*map(str, inboxes), *(["--out", str(out)] if out else []), *(["--database", database] if database else [])]
    _, bound, *_ = build_app().parse_args(["watch", *(["--config", str(config)] if config else []), *tokens])
    bound.apply_defaults()
    settings: Settings = bound.arguments["settings"]
    options: WatchOptions = bound.arguments["options"]
    return settings, options


def _unit(
    inboxes: Sequence[Path], config: Path | None, settings: Settings, options: WatchOptions, account: str | None, name: str
) -> Unit:
    """The unit: every path in it is absolute, because systemd starts the service in another folder than this one."""
    from ..watch.status import default_place
    from ..watch.systemd import Unit

    roots = tuple(inbox.absolute() for inbox in inboxes)
    folder = settings.output.out.absolute()
    places = {"--out": folder, "--config": config, "--status": options.status, "--mhr": settings.rig.mhr,
              "--smpl": settings.smpl.smpl}
    words = [sys.executable, "-P", "-m", "rigdrop", "watch", *map(str, roots)]
    for option, place in places.items():
        words += [] if place is None else [option, str(place.absolute())]
    database = _database_file(options)
    words += [] if database is None else ["--database", str(database)]
    status = (options.status or default_place(roots[0])).absolute()
    writable = [*roots, folder, status.parent, *_others(database)]
    if account is None:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "rigdrop"
    else:
        home = Path("/etc/rigdrop")
    return Unit(
        command=tuple(words), inboxes=roots, writable=tuple(dict.fromkeys(writable)), account=account,
        settings_file=str(home / f"{name}.env"), name=name, stop_s=options.stop_s,
    )


def _database_file(options: WatchOptions) -> Path | None:
    """The file of the jobs, where the settings name one.

    A server's address is no word of a unit: anybody on the machine could read its password there.
    """
    from ..watch.database import Database

    return Database.parse(options.database).path if options.database else None


def _others(database: Path | None) -> list[Path]:
    folders = [] if database is None else [database.parent]
    assets = os.environ.get("RIGDROP_ASSETS")
    return [*folders, *([Path(assets).expanduser().absolute()] if assets else [])]


def _write(path: Path, text: str, mark: str) -> None:
    try:
        theirs = path.read_text(encoding="utf-8", errors="replace").split("\n")[0] != mark
    except FileNotFoundError:
        theirs = False
    if theirs:
        raise UsageError(f"{path}: is there, and not written by this command; remove it, or choose another --name")
    try:
        write_text(path, text)
    except WriteError as error:
        if isinstance(error.__cause__, PermissionError):
            raise WriteError(f"{path}: may not be written by you; run it with sudo, or add --user for a service of your own") from error
        raise
    path.chmod(0o644)


def _next_steps(unit: Unit, database: str) -> Iterator[str]:
    """What a person still has to do, as commands to type where there is one."""
    if unit.account is not None:
        yield from _account_steps(unit, unit.account)
    missing = [str(folder) for folder in unit.writable if not folder.exists()]
    if missing:
        owner = [] if unit.account is None else ["sudo", "install", "-o", unit.account]
        yield shlex.join([*(owner or ["install"]), "-d", *missing])
    yield from _secrets(unit, database)
    systemctl = "systemctl --user" if unit.account is None else "sudo systemctl"
    yield f"{systemctl} daemon-reload"
    yield f"{systemctl} enable --now {unit.name}"
    if unit.account is None:
        yield "loginctl enable-linger        # so that it runs while you are not logged in"
    yield f"{systemctl} status {unit.name}"
    yield f"{_jobs(unit, database)}        # what it does"


def _jobs(unit: Unit, database: str) -> str:
    """The command that shows the jobs of this service, whoever types it."""
    from ..watch.systemd import home

    if "--database" in unit.command:
        database = unit.command[unit.command.index("--database") + 1]
    elif unit.account is not None and "://" not in database:
        database = str(home("/var/lib", unit.name) / "rigdrop" / "jobs.db")
    elif database:
        database = "postgresql://…"
    who = [] if unit.account is None else ["sudo", "-u", unit.account]
    return shlex.join([*who, "rigdrop", "jobs", *(["--database", database] if database else [])])


def _account_steps(unit: Unit, account: str) -> Iterator[str]:
    if not _is_there(account):
        yield f"sudo useradd --system --home-dir /var/lib/{unit.name} --shell /usr/sbin/nologin {account}"
    yield f"# {account} must be allowed to write: {', '.join(map(str, unit.writable))}"
    # A virtual environment in /opt may still lead to a Python that lies in somebody's home.
    private = [place for place in (unit.command[0], os.path.realpath(unit.command[0])) if place.startswith(("/home/", "/root/"))]
    if private:
        yield f"# {account} must be allowed to run {private[-1]}; install into /opt, with the system's Python, if it may not"


def _secrets(unit: Unit, database: str) -> Iterator[str]:
    """What was said here by variables, or is nobody's business, and must come from a file there."""
    here = {name for name in os.environ if name.startswith("RIGDROP_")}
    if "://" in database and not database.startswith("sqlite:"):
        here.add("RIGDROP_DATABASE")
    if here:
        yield f"# write into {unit.settings_file}, which only root may read, a line for each of: {', '.join(sorted(here))}"


def _is_there(account: str) -> bool:
    try:
        import pwd
    except ImportError:
        return False
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True
