from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from rigdrop.errors import MissingPartError, ReadError, RigdropError, SettingsError, TryAgainError, WriteError
from rigdrop.watch import database as module
from rigdrop.watch.database import Database, default_file, filesystem_type, network_filesystem

from .postgres import Server, postgres  # noqa: F401 (a fixture)
from .privileges import without_privileges

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:40 / /mnt/show rw,relatime shared:2 master:7 - nfs4 nas:/show rw,vers=4.2
31 30 0:41 / /mnt/show/local rw - ext4 /dev/sdb1 rw
32 27 0:42 /a /mnt/two\040words rw - cifs //nas/two rw
33 27 0:43 / /mnt/over rw - ext4 /dev/sdc1 rw
34 27 0:44 / /mnt/over rw - fuse.sshfs me@nas: rw
35 27 0:45 / /mnt/under rw - nfs nas:/x rw
36 27 0:46 / /mnt/under rw - xfs /dev/sdd1 rw
37 27 0:47 / /mnt/back\134slash rw - 9p share rw
38 27 0:48 / /mnt/showcase rw - btrfs /dev/sde rw
garbage
39 27
""".strip()


@pytest.mark.parametrize(
    ("path", "kind", "refused"),
    [
        ("/srv/jobs.db", "ext4", False),
        ("/mnt/show/jobs.db", "nfs4", True),
        ("/mnt/show", "nfs4", True),
        ("/mnt/show/local/deep/down/jobs.db", "ext4", False),
        ("/mnt/showcase/jobs.db", "btrfs", False),
        ("/mnt/two words/jobs.db", "cifs", True),
        ("/mnt/over/jobs.db", "fuse.sshfs", True),
        ("/mnt/under/jobs.db", "xfs", False),
        ("/mnt/back\\slash/jobs.db", "9p", True),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other paths")
def test_a_share_is_told_by_what_is_mounted_where(path, kind, refused):
    assert filesystem_type(Path(path), MOUNTS) == kind
    assert network_filesystem(Path(path), MOUNTS) == (kind if refused else None)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows wants rights for links")
def test_a_link_to_a_share_is_a_share(tmp_path):
    (tmp_path / "link").symlink_to("/mnt/show")
    assert network_filesystem(tmp_path / "link" / "jobs.db", MOUNTS) == "nfs4"


def test_this_machine_s_own_disk_is_no_share(tmp_path):
    if network_filesystem(tmp_path) is not None:
        pytest.skip("the temporary folder lies on a share")
    assert Database.parse(str(tmp_path / "jobs.db")).path == tmp_path / "jobs.db"


def test_a_file_on_a_share_is_refused_with_advice(tmp_path, monkeypatch):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 0:40 / {tmp_path / 'share'} rw - cifs //nas/show rw\n")
    monkeypatch.setattr(module, "_MOUNTS", mounts)
    with pytest.raises(SettingsError, match=r"share.jobs\.db lies on a network share \(cifs\).*postgresql://"):
        Database.parse(str(tmp_path / "share" / "jobs.db"))
    assert not (tmp_path / "share").exists()


def test_nothing_means_a_file_of_the_user_s(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path / name)
    assert default_file() == tmp_path / "rigdrop" / "jobs.db"
    assert Database.parse("").path == Database.parse().path == default_file()


@pytest.mark.parametrize("name", ["jobs.db", "two words ü?#%41&.db", "踊り.db"])
def test_any_name_is_that_file(tmp_path, name):
    database = Database.parse(str(tmp_path / name))
    assert database.path == tmp_path / name and database.label == str(tmp_path / name)
    engine = database.engine()
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE a (b)"))
    engine.dispose()
    assert (tmp_path / name).exists()


def test_a_url_of_a_file_and_a_relative_path_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Database.parse("sqlite:///a.db") == Database.parse("a.db") == Database.parse(str(tmp_path / "a.db"))
    assert Database.parse(f"sqlite:///{tmp_path / 'a.db'}").path == tmp_path / "a.db"


@pytest.mark.parametrize(
    "text", ["sqlite://", ":memory:", "sqlite:///:memory:", "mysql://me@host/jobs", "postgresql://host", "postgresql://h:x/a", "a\nb"]
)
def test_what_can_hold_no_jobs_is_refused(text):
    with pytest.raises(SettingsError, match="database"):
        Database.parse(text)


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(SettingsError, match=r"is a folder.*jobs\.db"):
        Database.parse(str(tmp_path))


def test_a_password_is_used_but_never_shown():
    database = Database.parse("postgres://me:s%40cret@nas:5433/jobs")
    assert database.url == "postgresql+psycopg://me:s%40cret@nas:5433/jobs"
    assert not database.is_sqlite and database.path is None
    assert "cret" not in repr(database) + str(database) + database.label
    assert database.label == "postgresql://me:***@nas:5433/jobs"
    with pytest.raises(SettingsError) as caught:
        Database.parse("postgresql://me:s%40cret@nas")
    assert "cret" not in str(caught.value)


def test_sqlite_writes_ahead_waits_for_the_disk_and_for_others(tmp_path):
    engine = Database.parse(str(tmp_path / "new" / "jobs.db")).engine()
    with engine.connect() as connection:
        asked = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "busy_timeout")}
    engine.dispose()
    assert asked == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000}


def test_a_writer_waits_until_another_is_done(tmp_path):
    engine = Database.parse(str(tmp_path / "jobs.db")).engine()
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE a (b)"))
    holder = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: holder.execute("COMMIT"))
    release.start()
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO a VALUES (1)"))
    release.join()
    holder.close()
    engine.dispose()


def test_several_processes_may_open_a_new_file_at_once(tmp_path):
    script = """
import sys
from rigdrop.watch.database import Database
engine = Database.parse(sys.argv[1]).engine()
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS a (b)")
    connection.exec_driver_sql("INSERT INTO a VALUES (1)")
engine.dispose()
"""
    openers = [subprocess.Popen([sys.executable, "-c", script, tmp_path / "jobs.db"]) for _ in range(4)]
    assert [opener.wait() for opener in openers] == [0, 0, 0, 0]
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        assert connection.execute("SELECT count(*) FROM a").fetchone() == (4,)
    connection.close()


def test_a_disk_that_refuses_to_write_ahead_is_no_place_for_jobs(tmp_path):
    connection = sqlite3.connect(":memory:")  # where SQLite can't write ahead either
    with pytest.raises(SettingsError, match="this disk lacks what SQLite needs"):
        module._prepare_sqlite(connection, tmp_path)
    connection.close()


def test_a_sqlite_that_is_too_old_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(MissingPartError, match=r"SQLite: found .* expected 3\.35"):
        Database.parse(str(tmp_path / "jobs.db")).engine()


@pytest.mark.parametrize("version", [(3, 40, 1), sqlite3.sqlite_version_info])
def test_any_sqlite_tells_the_time_in_the_words_of_newer_ones(monkeypatch, tmp_path, version):
    """Debian 12 has 3.40 for every Python, and dbos needs 3.42 from Python 3.12 on."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    engine = Database.parse(str(tmp_path / "jobs.db")).engine()
    with engine.connect() as connection:
        told = [connection.exec_driver_sql("SELECT unixepoch('subsec')").scalar() for _ in range(3)]
        whole = connection.exec_driver_sql("SELECT unixepoch('now')").scalar()
    engine.dispose()
    assert told == sorted(told) and told[-1] == pytest.approx(time.time(), abs=60)
    assert whole == pytest.approx(time.time(), abs=60) and whole == int(whole)


def _raised(database: Database, statement: str, before: str = "SELECT 1") -> RigdropError:
    engine = database.engine()
    try:
        with pytest.raises(RigdropError) as caught, database.plain_errors(), engine.begin() as connection:
            connection.exec_driver_sql(before)
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()
    return caught.value


def test_a_full_disk_is_told_as_one(tmp_path):
    # As full as SQLite can be without a disk that is: no page more than it has.
    error = _raised(Database.parse(str(tmp_path / "jobs.db")), "CREATE TABLE a (b)", "PRAGMA max_page_count=1")
    assert isinstance(error, WriteError) and "the disk is full" in str(error)
    assert isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOSPC


def test_a_file_that_is_no_database_is_told_as_one(tmp_path):
    (tmp_path / "jobs.db").write_text("a letter home, long enough to be looked at twice " * 20)
    error = _raised(Database.parse(str(tmp_path / "jobs.db")), "SELECT 1")
    assert isinstance(error, ReadError) and "no whole SQLite database" in str(error)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with without_privileges(tmp_path), pytest.raises(WriteError, match="can't be made"):
        Database.parse(str(tmp_path / "new" / "jobs.db")).engine()
    with without_privileges(tmp_path):
        error = _raised(Database.parse(str(tmp_path / "jobs.db")), "SELECT 1")
    tmp_path.chmod(0o700)
    assert isinstance(error, WriteError) and "who may write there" in str(error)


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="can't be made"):
        Database.parse(str(tmp_path / "file" / "jobs.db")).engine()


def test_what_is_our_own_fault_is_called_so(tmp_path):
    error = _raised(Database.parse(str(tmp_path / "jobs.db")), "SELECT nonsense")
    assert type(error) is RigdropError and "please report" in str(error)


def test_a_server_that_is_not_there_may_be_later(tmp_path):
    error = _raised(Database.parse(f"postgresql://me:secret@/jobs?host={tmp_path}&connect_timeout=2"), "SELECT 1")
    assert isinstance(error, TryAgainError) and "secret" not in str(error)


def test_a_server_is_used_with_a_limit_on_forgotten_transactions(postgres: Server):  # noqa: F811
    with postgres.new_database() as url:
        engine = Database.parse(url).engine()
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "15s"
            assert connection.exec_driver_sql("SHOW application_name").scalar() == "rigdrop"
        engine.dispose()


def test_a_database_that_is_missing_on_the_server_is_a_matter_of_settings(postgres: Server):  # noqa: F811
    error = _raised(Database.parse(postgres.url("nowhere")), "SELECT 1")
    assert isinstance(error, SettingsError) and "createdb" in str(error)


def test_a_connection_that_the_server_ends_may_be_made_again(postgres: Server):  # noqa: F811
    with postgres.new_database() as url:
        error = _raised(Database.parse(url), "SELECT pg_terminate_backend(pg_backend_pid())")
        assert isinstance(error, TryAgainError)
