"""Where the jobs are kept: a SQLite file on one machine, or PostgreSQL for workers on many.

SQLite keeps its promises only where locks and shared memory work, which is on local disks: a file on a network share is
refused before anything is written to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingPartError, ReadError, RigdropError, SettingsError, TryAgainError, WriteError

if TYPE_CHECKING:
    import sqlalchemy as sa

_MOUNTS = Path("/proc/self/mountinfo")
# File systems that reach over a network or out of a virtual machine; each promises less about locks than SQLite needs.
_NETWORK = {
    "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fhgfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "prl_fs", "smb3", "smbfs", "vboxsf", "vmhgfs",
    "fuse.beegfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.grpcfuse", "fuse.gvfsd-fuse",
    "fuse.juicefs", "fuse.mount-s3", "fuse.nfs", "fuse.osxfs", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.smbnetfs", "fuse.sshfs",
    "fuse.vmhgfs-fuse",
}
_BUSY_S = 30.0
# A worker that is stopped in the middle of a transaction holds its locks no longer than this.
_IDLE_TRANSACTION_S = 15
_POSTGRES_DEFAULTS = {
    "application_name": "rigdrop", "connect_timeout": 10,
    # A server that vanished without a word is noticed within half a minute.
    "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000,
}
_POOL = {"pool_size": 5, "max_overflow": 25, "pool_timeout": 30.0}


@dataclass(frozen=True)
class Database:
    """A place for jobs, checked as far as that goes without opening it."""

    url: str = field(repr=False)  # SQLAlchemy's; may hold a password, so say `label` to people

    @classmethod
    def parse(cls, text: str = "") -> Database:
        """Return the database that ``text`` names: a file, ``sqlite:///file``, ``postgresql://…``; nothing means a file of the user's.

        Raises `SettingsError` for what can't be one, and for a file on a network share.
        """
        scheme, _, rest = text.partition("://")
        if not rest and "://" not in text:
            return cls._of_file(Path(text).expanduser() if text else default_file())
        if scheme == "sqlite":
            return cls._of_file(Path(rest.removeprefix("/")).expanduser())
        if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
            return cls._of_server(text)
        raise SettingsError(f"database: found {scheme}://…, expected a file or postgresql://user@host/name")

    @classmethod
    def _of_file(cls, path: Path) -> Database:
        if path in (Path(), Path(":memory:")):
            raise SettingsError("database: found no file, expected one that outlives the service")
        import sqlalchemy as sa

        path = path.absolute()
        if not str(path).isprintable():
            raise SettingsError(f"database: found {str(path)!r}, expected a file whose name can be shown")
        if path.is_dir():
            raise SettingsError(f"database: {path} is a folder, expected a file; name one in it, as {path / 'jobs.db'}")
        share = network_filesystem(path)
        if share is not None:
            raise SettingsError(
                f"database: {path} lies on a network share ({share}), where SQLite loses jobs; name a file on a disk of this machine, "
                "or postgresql://… for workers on several"
            )
        return cls(sa.URL.create("sqlite", database=str(path)).render_as_string())

    @classmethod
    def _of_server(cls, text: str) -> Database:
        import sqlalchemy as sa

        try:
            url = sa.make_url(text.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")
        except (sa.exc.ArgumentError, ValueError):
            url = None
        if url is None or not url.database:
            # Not what was found: there may be a password in it.
            raise SettingsError("database: found a postgresql:// without a database's name, expected postgresql://user@host/name")
        return cls(url.render_as_string(hide_password=False))

    @property
    def path(self) -> Path | None:
        """The file that holds the jobs; nothing on a server."""
        import sqlalchemy as sa

        return Path(sa.make_url(self.url).database or "") if self.is_sqlite else None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file of one machine."""
        return self.url.startswith("sqlite:")

    @property
    def label(self) -> str:
        """The file, or the server's URL without a password."""
        if self.path is not None:
            return str(self.path)
        import sqlalchemy as sa

        return sa.make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=True)

    def engine(self) -> sa.Engine:
        """Return a new engine; who asks for one disposes of it. A folder that is missing is made.

        Raises `MissingPartError` without PostgreSQL's driver, or with a SQLite that is too old, `WriteError` where a folder can't be made.
        """
        return _file_engine(self.path) if self.path is not None else _server_engine(self.url)

    @contextlib.contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Turn what the database's library raises in this block into errors of ours.

        `WriteError` where the disk is full (with ``ENOSPC`` as its cause) or refuses, `TryAgainError` where the database is busy or
        can't be reached, `SettingsError` where it lets nobody in, `ReadError` where the file is damaged.
        """
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.TimeoutError as error:
            raise TryAgainError(f"{self.label}: is busy; it is tried again") from error
        except sa.exc.DBAPIError as error:
            raise self._plain(error) from (_no_space() if _is_full(error) else error)

    def _plain(self, error: sa.exc.DBAPIError) -> RigdropError:
        name, words = getattr(error.orig, "sqlite_errorname", ""), " ".join(str(error.orig).split())
        if _is_full(error):
            return WriteError(f"{self.label}: the disk is full; free some space, the jobs wait")
        if name.startswith(("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return WriteError(f"{self.label}: can't be written ({words}); check the disk and who may write there")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return ReadError(f"{self.label}: found no whole SQLite database ({words}); put a copy back, or name another with --database")
        if any(phrase in words for phrase in ("authentication failed", "does not exist", "no password supplied", "permission denied")):
            return SettingsError(f"{self.label}: {words}; make the database and its user first (createdb), or correct --database")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or (not name and _is_outage(error)):
            return TryAgainError(f"{self.label}: can't be reached ({words}); it is tried again")
        return RigdropError(f"{self.label}: {words}; please report this")


def default_file() -> Path:
    """Return where jobs are kept where nobody says otherwise: ``jobs.db`` in the user's state folder."""
    from platformdirs import user_state_path

    return user_state_path("rigdrop") / "jobs.db"


def network_filesystem(path: Path, mounts: str | None = None) -> str | None:
    """Return the type of the network file system that ``path`` is on, or will be; nothing for a local disk, or where that can't be told.

    ``mounts`` is the text of Linux's ``/proc/self/mountinfo``; without it that of this machine.
    """
    if sys.platform == "win32" and path.drive.startswith("\\\\"):
        return "a Windows share"
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    found = filesystem_type(path, mounts)
    return found if found in _NETWORK else None


def filesystem_type(path: Path, mounts: str) -> str | None:
    """Return the type of the file system that ``path`` is on, by the text of ``/proc/self/mountinfo``."""
    place = Path(os.path.realpath(path))
    best, kind = -1, None
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        if len(left.split(" ")) < 5 or not right:
            continue
        mounted = Path(_unescaped(left.split(" ")[4]))
        # A later mount on the same place lies over the earlier one.
        if place.is_relative_to(mounted) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), right.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    """The kernel writes blanks, tabs, newlines and backslashes as three octal digits."""
    for code in (" ", "\t", "\n", "#"):
        text = text.replace(f"\\{ord(code):03o}", code)
    return text.replace("\\134", "\\")


def _file_engine(path: Path) -> sa.Engine:
    import sqlalchemy as sa

    _check_sqlite()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path.parent}: can't be made ({error.strerror}); choose another --database") from error
    url = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S}, poolclass=sa.QueuePool, **_POOL)
    sa.event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, path))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, path: Path) -> None:
    # Writers take their lock when they begin, so that two never find out half-way that only one can go on.
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA busy_timeout={int(_BUSY_S * 1000)}")
    connection.execute("PRAGMA foreign_keys=ON")
    # A step that was said to be done is done, even after the power went: each commit waits for the disk.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA journal_size_limit=67108864")
    if sqlite3.sqlite_version_info < (3, 42):
        # dbos asks for the time in words that older ones answer with nothing: on Python 3.12 and newer, or in a file that was made there.
        connection.create_function("unixepoch", 1, _epoch_s)
    _write_ahead(connection, path)


def _write_ahead(connection: sqlite3.Connection, path: Path) -> None:
    """Let readers and a writer work side by side. SQLite does not wait by itself where two processes change to it at once."""
    until_s = time.monotonic() + _BUSY_S
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or time.monotonic() > until_s:
                raise
            time.sleep(0.05)
    if mode != "wal":
        raise SettingsError(f"database: {path}: this disk lacks what SQLite needs (found journal_mode {mode}); name a file on another")


def _check_sqlite() -> None:
    if sqlite3.sqlite_version_info < (3, 35):
        raise MissingPartError(
            f"SQLite: found {sqlite3.sqlite_version}, expected 3.35 or newer; use a Python or a system that has it, or --database postgresql://…"
        )


def _epoch_s(what: str) -> float:
    """The time since 1970 in seconds, in SQLite's words: only ``subsec`` asks for the part after the point."""
    return time.time() if what == "subsec" else float(int(time.time()))


def _server_engine(url: str) -> sa.Engine:
    import sqlalchemy as sa

    try:
        import psycopg  # noqa: F401 (only whether it is there, and finds libpq)
    except ImportError as error:
        raise MissingPartError("PostgreSQL's driver is missing or finds no libpq; pip install 'psycopg[binary]'") from error
    defaults = {name: value for name, value in _POSTGRES_DEFAULTS.items() if name not in sa.make_url(url).query}
    engine = sa.create_engine(url, connect_args=defaults, pool_pre_ping=True, **_POOL)
    sa.event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_postgres(connection: Any, _: object) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_TRANSACTION_S}s'")
    connection.commit()  # the pool rolls back what it gets back


def _is_full(error: sa.exc.DBAPIError) -> bool:
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(error.orig, "sqlstate", None) == "53100"


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_outage(error: sa.exc.DBAPIError) -> bool:
    """A connection that failed or broke (08), a server that stops or is overloaded (57, 53), two that got in each other's way (40)."""
    import sqlalchemy as sa

    state = getattr(error.orig, "sqlstate", None)
    if state is None or error.connection_invalidated:
        return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return str(state)[:2] in ("08", "57", "53", "40", "55", "25")
