"""``rigdrop service install``: the unit it writes, and what it tells a person to do next."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rigdrop.cli.app import build_app, main
from rigdrop.config.settings import Settings
from rigdrop.watch.options import WatchOptions

from .privileges import without_privileges

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="systemd's paths are POSIX'")


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("RIGDROP_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def inbox(tmp_path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def _run(capsys, *tokens) -> tuple[int, str, str]:
    code = main(["service", "install", *map(str, tokens)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def _read(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(text)
    return parser


def _watch_of(unit: configparser.ConfigParser) -> tuple[tuple[Path, ...], Settings, WatchOptions]:
    """What the command of the unit asks for, as the command line itself understands it."""
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[1:5] == ["-P", "-m", "rigdrop", "watch"]
    _, bound, *_ = build_app().parse_args(words[4:])
    bound.apply_defaults()
    return bound.arguments["inboxes"], bound.arguments["settings"], bound.arguments["options"]


def test_the_unit_of_the_machine_is_whole(capsys, tmp_path, inbox):
    code, out, _ = _run(capsys, "inbox", "--out", "characters", "--to", tmp_path / "units")
    assert code == 0
    path = tmp_path / "units" / "rigdrop.service"
    assert out.startswith(f"wrote {path}\n")
    unit = _read(path.read_text(encoding="utf-8"))
    inboxes, settings, options = _watch_of(unit)
    assert (inboxes, settings.output.out) == ((inbox,), tmp_path / "characters")
    assert options.database == ""
    assert "  sudo -u rigdrop rigdrop jobs --database /var/lib/rigdrop/jobs.db " in out
    assert "XDG_STATE_HOME=/var/lib" in shlex.split(unit["Service"]["Environment"])
    assert unit["Service"]["User"] == "rigdrop"
    assert shlex.split(unit["Service"]["ReadWritePaths"]) == [str(inbox), str(tmp_path / "characters"), str(tmp_path)]
    assert path.stat().st_mode & 0o777 == 0o644 or sys.platform == "win32"


def test_a_unit_of_ones_own_keeps_its_jobs_where_the_command_looks(capsys, tmp_path, inbox):
    assert _run(capsys, "inbox", "--user", "--to", "units")[0] == 0
    unit = _read((tmp_path / "units" / "rigdrop.service").read_text(encoding="utf-8"))
    assert _watch_of(unit)[2].database == ""
    assert unit["Service"]["EnvironmentFile"] == f"-{tmp_path}/config/rigdrop/rigdrop.env"


def test_settings_come_from_their_file_and_every_path_is_absolute(capsys, tmp_path, inbox):
    (tmp_path / "rigdrop.toml").write_text('out = "shots/out"\ndatabase = "my/jobs.db"\nstatus = "s.json"\nstop = 90\npreset = "unreal"\n')
    assert _run(capsys, "inbox", "--print")[0] == 0
    assert _run(capsys, "inbox", "--to", "units")[0] == 0
    unit = _read((tmp_path / "units" / "rigdrop.service").read_text(encoding="utf-8"))
    _, settings, options = _watch_of(unit)
    assert settings.output.out == tmp_path / "shots" / "out"
    assert (options.database, options.status) == (str(tmp_path / "my" / "jobs.db"), tmp_path / "s.json")
    assert settings.output.format == ("usd-skel",)
    assert unit["Service"]["TimeoutStopSec"] == "120"
    writable = shlex.split(unit["Service"]["ReadWritePaths"])
    assert {str(tmp_path), str(tmp_path / "my"), str(tmp_path / "shots" / "out"), str(inbox)} == set(writable)


def test_a_setting_that_is_wrong_is_told_of_before_anything_is_written(capsys, tmp_path, inbox):
    (tmp_path / "rigdrop.toml").write_text("max-peeple = 2\n")
    code, _, err = _run(capsys, "inbox", "--to", "units")
    assert code == 78
    assert "max-people" in err
    assert not (tmp_path / "units").exists()
    assert _run(capsys, "--to", "units")[0] == 64


def test_a_server_s_password_is_in_no_unit(capsys, tmp_path, inbox, monkeypatch):
    code, out, _ = _run(capsys, "inbox", "--database", "postgresql://me:S3CRET@db/rigdrop", "--to", "units")
    text = (tmp_path / "units" / "rigdrop.service").read_text(encoding="utf-8")
    assert code == 0
    assert "S3CRET" not in text + out
    assert "write into /etc/rigdrop/rigdrop.env" in out and "RIGDROP_DATABASE" in out
    monkeypatch.setenv("RIGDROP_DATABASE", "postgresql://me:S3CRET@db/rigdrop")
    monkeypatch.setenv("RIGDROP_ASSETS", str(tmp_path / "assets"))
    code, out, _ = _run(capsys, "inbox", "--to", "units")
    text = (tmp_path / "units" / "rigdrop.service").read_text(encoding="utf-8")
    assert "S3CRET" not in text + out
    assert "RIGDROP_ASSETS, RIGDROP_DATABASE" in out
    assert str(tmp_path / "assets") in shlex.split(_read(text)["Service"]["ReadWritePaths"])


def test_what_is_next_is_told(capsys, tmp_path, inbox):
    out = _run(capsys, "inbox", "--out", "characters", "--as", "no-such-account", "--name", "shots", "--to", "units")[1]
    steps = [line.strip() for line in out.split("next:\n")[1].splitlines()]
    assert steps[0] == "sudo useradd --system --home-dir /var/lib/shots --shell /usr/sbin/nologin no-such-account"
    assert f"sudo install -o no-such-account -d {tmp_path / 'characters'}" in steps
    assert steps[-4:-1] == ["sudo systemctl daemon-reload", "sudo systemctl enable --now shots", "sudo systemctl status shots"]
    assert steps[-1].startswith("sudo -u no-such-account rigdrop jobs --database /var/lib/shots/rigdrop/jobs.db ")
    (tmp_path / "characters").mkdir()
    out = _run(capsys, "inbox", "--out", "characters", "--user", "--to", "units")[1]
    assert "sudo" not in out and "install -d" not in out
    assert "systemctl --user enable --now rigdrop" in out


def test_printing_writes_nothing(capsys, tmp_path, inbox):
    code, out, _ = _run(capsys, "inbox", "--print")
    assert code == 0
    assert out.startswith("# Written by rigdrop service install") and "[Install]" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inbox"]


def test_installing_again_replaces_ours_and_never_anothers(capsys, tmp_path, inbox):
    path = tmp_path / "units" / "rigdrop.service"
    assert _run(capsys, "inbox", "--out", "one", "--to", "units")[0] == 0
    assert _run(capsys, "inbox", "--out", "two", "--to", "units")[0] == 0
    assert str(tmp_path / "two") in path.read_text(encoding="utf-8")
    path.write_text("[Unit]\nDescription=theirs\n")
    code, _, err = _run(capsys, "inbox", "--to", "units")
    assert (code, "choose another --name" in err) == (64, True)
    assert path.read_text() == "[Unit]\nDescription=theirs\n"
    assert _run(capsys, "inbox", "--name", "../x", "--to", "units")[0] == 78


@POSIX
def test_who_may_not_write_there_is_told_what_to_do(capsys, tmp_path, inbox):
    (tmp_path / "units").mkdir(mode=0o555)
    _run(capsys, "inbox", "--print")  # what is imported first is imported by who may read it
    with without_privileges(tmp_path):
        code, _, err = _run(capsys, "inbox", "--to", "units")
    assert (code, "with sudo, or add --user" in json.loads(err)["message"]) == (74, True)


def test_without_systemd_there_is_nowhere_to_write(capsys, inbox, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))  # no systemctl is found
    code, _, err = _run(capsys, "inbox", "--user")
    assert (code, "--to DIR" in json.loads(err)["message"]) == (69, True)
    assert not (tmp_path / "config").exists()


@POSIX
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine; its file is parsed above all the same")
def test_systemd_finds_nothing_to_say_against_what_was_installed(capsys, tmp_path):
    odd = tmp_path / "my 100% \"inbox\" $x"
    odd.mkdir()
    assert _run(capsys, odd, "--as", "daemon", "--to", "units", "--name", "rigdrop-test")[0] == 0
    path = tmp_path / "units" / "rigdrop-test.service"
    done = subprocess.run(["systemd-analyze", "--man=no", "verify", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "rigdrop-test" in line] == []
    assert done.returncode == 0, done.stderr


@POSIX
@pytest.mark.parametrize("where", ["/opt/rigdrop/bin/python3", "/root/venv/bin/python3"])
def test_a_python_in_somebodys_home_is_told_of(capsys, tmp_path, inbox, monkeypatch, where):
    """systemd's 203/EXEC says nothing of a virtual environment that leads to a Python nobody else may reach."""
    monkeypatch.setattr(sys, "executable", where)
    monkeypatch.setattr(os.path, "realpath", lambda path: "/root/python/bin/python3.11" if path == where else os.path.abspath(path))
    code, out, _ = _run(capsys, "inbox", "--to", tmp_path / "units")
    assert code == 0
    assert "# rigdrop must be allowed to run /root/python/bin/python3.11; install into /opt, with the system's Python" in out
