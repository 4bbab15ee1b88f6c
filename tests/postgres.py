"""A real PostgreSQL for tests: started once, in a folder of its own, and gone when the tests are, however they end."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import lacking

# Runs beside the tests and ends the server when its input does, which the system closes even when the tests are killed.
_KEEPER = """
import os, shutil, signal, subprocess, sys, time
from pathlib import Path
binaries, folder, user = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None
log = (folder / "log").open("ab")
environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C"}
own = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
own |= {} if user is None else {"user": user, "group": sys.argv[4], "extra_groups": []}
settings = ["listen_addresses=", "max_connections=200", "shared_buffers=16MB", "full_page_writes=off"]
options = ["-F", "-k", folder, *(f"--{setting}" for setting in settings)]
ask = [binaries / "psql", "-X", "-h", folder, "-U", "rigdrop", "-d", "postgres", "-c", "SELECT 1"]
server = None
try:
    make = [binaries / "initdb", "-D", folder / "data", "-U", "rigdrop", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(make, check=True, **own)
    server = subprocess.Popen([binaries / "postgres", "-D", folder / "data", *options], **own)
    while subprocess.run(ask, **own).returncode and server.poll() is None:
        time.sleep(0.05)
    assert server.poll() is None, "it ended"
    print("ready", flush=True)
    sys.stdin.read()
except (OSError, AssertionError, subprocess.CalledProcessError) as error:
    print(error, (folder / "log").read_text(errors="replace")[-2000:], flush=True)
finally:
    if server is not None:
        server.send_signal(signal.SIGQUIT)  # at once: nobody misses what is in it
        server.wait()
    shutil.rmtree(folder, ignore_errors=True)
"""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that listens on a socket in ``folder``, for a user who needs no password."""

    folder: Path
    binaries: Path

    def url(self, database: str) -> str:
        return f"postgresql://rigdrop@/{database}?host={self.folder}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as `psql` does; returns what it prints."""
        psql = [self.binaries / "psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-U", "rigdrop", "-d", database, "-c", statement]
        return subprocess.run(psql, check=True, capture_output=True, text=True).stdout.strip()

    @contextlib.contextmanager
    def new_database(self) -> Iterator[str]:
        """Give the URL of an empty database, which vanishes afterwards."""
        name = f"test_{next(_numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Server:
    """The server; the same for every file of tests that imports this."""
    return server()


@functools.cache
def server() -> Server:
    binaries = _binaries()
    if binaries is None:
        lacking("no PostgreSQL (initdb, postgres, psql) is installed")
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="rigdrop-pg-"))  # short, as the path of a socket must be
    user, group = _unprivileged()
    if user:
        shutil.chown(folder, user, group)
    keeper = subprocess.Popen(
        [sys.executable, "-c", _KEEPER, binaries, folder, user, group], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,  # Ctrl-C is for the tests, which end it in order
    )
    atexit.register(_end, keeper)
    assert keeper.stdout is not None
    said = keeper.stdout.readline()
    assert said == "ready\n", said + keeper.stdout.read()
    return Server(folder, binaries)


def _end(keeper: subprocess.Popen[str]) -> None:
    keeper.communicate(timeout=60)


def _binaries() -> Path | None:
    """Where PostgreSQL's programs are: on the PATH, or where Debian puts them."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    return next((place for place in places if all((place / name).exists() for name in ("initdb", "postgres", "psql"))), None)


def _unprivileged() -> tuple[str, str]:
    """A user and group to run as: PostgreSQL refuses to run as root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "", ""
    import grp
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return name, grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name
    lacking("PostgreSQL refuses to run as root, and there is nobody else")
    raise AssertionError
