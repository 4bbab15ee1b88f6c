"""systemd: what it is told, through real sockets; and the unit, read by a parser, and by systemd itself where it is."""

from __future__ import annotations

import configparser
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rigdrop.errors import SettingsError
from rigdrop.watch.systemd import Supervisor, Unit, notify, unit_folder

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="names that are no files are Linux' own")
POSIX = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets")


@pytest.fixture
def listener():
    """systemd's end of the socket, in a folder with a short name: a socket's may have 107 bytes."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(f"{folder}/notify")
        ours.settimeout(10)
        yield ours


def _environment(listener: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": listener.getsockname(), **more}


@POSIX
def test_systemd_hears_what_it_is_told(listener):
    assert notify("READY=1", "STATUS=waits for 踊り.mp4", environment=_environment(listener))
    assert listener.recv(4096).decode("utf-8") == "READY=1\nSTATUS=waits for 踊り.mp4"


@LINUX
def test_a_name_that_is_no_file_will_do():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(f"\0rigdrop-test-{os.getpid()}")
        ours.settimeout(10)
        assert notify("READY=1", environment={"NOTIFY_SOCKET": f"@rigdrop-test-{os.getpid()}"})
        assert ours.recv(4096) == b"READY=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "/none/such"},
                                         {"NOTIFY_SOCKET": "/" + "x" * 300}])
def test_where_nobody_listens_nothing_happens(environment):
    assert not notify("READY=1", environment=environment)
    told = Supervisor({**environment, "WATCHDOG_USEC": "1000000"})
    assert not any([told.ready(), told.turned("well"), told.reloading(), told.stopping()])


@POSIX
def test_a_listener_that_is_too_busy_holds_nobody_up(listener, monkeypatch):
    monkeypatch.setattr("rigdrop.watch.systemd._SEND_S", 0.01)
    sent = 0
    while notify("WATCHDOG=1" + " " * 1000, environment=_environment(listener)):
        sent += 1
        assert sent < 100_000
    assert sent > 0


@POSIX
def test_the_course_of_a_service(listener):
    told = Supervisor(_environment(listener, WATCHDOG_USEC="60000000", WATCHDOG_PID=str(os.getpid())))
    assert told.watchdog_s == 60.0
    assert told.ready()
    assert told.turned("2 running\n3 waiting")
    assert not told.turned("2 running\n3 waiting")  # nothing new, and the watchdog was fed a moment ago
    assert told.turned("1 running")
    assert told.reloading()
    assert told.stopping()
    heard = [listener.recv(4096).decode() for _ in range(5)]
    assert heard[:3] == ["READY=1", "STATUS=2 running 3 waiting\nWATCHDOG=1", "STATUS=1 running"]
    assert heard[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[4].startswith("STOPPING=1")


@POSIX
def test_the_watchdog_is_fed_four_times_in_its_interval(listener):
    told = Supervisor(_environment(listener, WATCHDOG_USEC="4"))  # millionths of a second: due at each turn
    assert told.turned() and told.turned()
    assert [listener.recv(4096) for _ in range(2)] == [b"WATCHDOG=1"] * 2


@pytest.mark.parametrize("environment", [
    {}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"},
])
def test_no_watchdog_where_none_looks_at_this_process(environment):
    assert Supervisor(environment).watchdog_s is None


ODD = Path('/srv/my "odd" 100% $HOME \\ inbox/踊り\'s; #1')


def _unit(**changes) -> Unit:
    values = {
        "command": (sys.executable, "-P", "-m", "rigdrop", "watch", "/srv/inbox", "--out", "/srv/characters"),
        "inboxes": (Path("/srv/inbox"),), "writable": (Path("/srv/inbox"), Path("/srv/characters")), "account": "nobody",
    }
    return Unit(**{**values, **changes})


def _read(text: str) -> configparser.ConfigParser:
    """The unit as a parser reads it that knows nothing of systemd; a key that is there twice would be an error."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_the_service_tells_and_is_watched_and_restarted_as_it_should_be():
    service = _read(_unit().text())["Service"]
    assert {key: service[key] for key in (
        "Type", "NotifyAccess", "WatchdogSec", "Restart", "RestartPreventExitStatus", "SuccessExitStatus", "KillMode", "TimeoutStopSec",
        "ExecReload", "OOMPolicy",
    )} == {
        "Type": "notify", "NotifyAccess": "main", "WatchdogSec": "60", "Restart": "on-failure", "RestartPreventExitStatus": "64 78",
        "SuccessExitStatus": "143", "KillMode": "mixed", "TimeoutStopSec": "60", "ExecReload": "kill -HUP $MAINPID",
        "OOMPolicy": "continue",
    }
    assert service["ExecStart"] == f"{sys.executable} -P -m rigdrop watch /srv/inbox --out /srv/characters"


def test_the_service_may_write_its_own_folders_and_nothing_else():
    service = _read(_unit().text())["Service"]
    assert [service[key] for key in ("User", "NoNewPrivileges", "ProtectSystem", "PrivateTmp")] == ["nobody", "yes", "strict", "yes"]
    assert service["ReadWritePaths"] == "/srv/inbox /srv/characters"
    assert service["StateDirectory"] == service["CacheDirectory"] == "rigdrop"
    assert service["Environment"] == '"XDG_STATE_HOME=/var/lib" "XDG_CACHE_HOME=/var/cache"'


def test_a_machines_service_waits_for_its_shares():
    unit = _read(_unit().text())
    assert unit["Unit"]["RequiresMountsFor"] == "/srv/inbox /srv/characters"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_a_users_own_service_asks_for_nothing_that_it_can_not_have():
    unit = _read(_unit(account=None).text())
    assert unit["Install"]["WantedBy"] == "default.target"
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    assert not {"User", "ProtectSystem", "PrivateTmp", "ReadWritePaths", "StateDirectory"} & set(unit["Service"])
    assert not {"RequiresMountsFor", "After"} & set(unit["Unit"])


def test_two_services_of_one_machine_share_nothing():
    service = _read(_unit(name="shots").text())["Service"]
    assert (service["StateDirectory"], service["CacheDirectory"]) == ("shots", "shots")
    assert service["Environment"] == '"XDG_STATE_HOME=/var/lib/shots" "XDG_CACHE_HOME=/var/cache/shots"'


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "x\n"])
def test_a_name_that_no_unit_can_have_is_refused(name):
    with pytest.raises(SettingsError, match="name"):
        _unit(name=name)


def test_systemd_waits_longer_than_the_service_does():
    assert _read(_unit(stop_s=120.0).text())["Service"]["TimeoutStopSec"] == "150"


def test_a_name_that_a_unit_can_not_hold_is_refused():
    with pytest.raises(SettingsError, match="can't hold"):
        _unit(inboxes=(Path("/srv/a\nExecStartPre=/bin/evil"),))


def test_odd_names_are_one_word_each():
    text = _unit(command=(sys.executable, "watch", str(ODD), ""), writable=(ODD, Path("/srv"))).text()
    quoted = '"/srv/my \\"odd\\" 100%% {0} \\\\ inbox/踊り\'s; #1"'
    service = _read(text)["Service"]
    assert service["ExecStart"] == f"{sys.executable} watch {quoted.format('$$HOME')} \"\""
    assert service["ReadWritePaths"] == f"{quoted.format('$HOME')} /srv"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine; its file is parsed above all the same")
@pytest.mark.parametrize("account", ["daemon", None])
def test_systemd_finds_nothing_to_say_against_the_unit(tmp_path, account):
    path = tmp_path / "rigdrop-test.service"
    odd = tmp_path / ODD.relative_to("/srv")
    odd.mkdir(parents=True)
    command = (sys.executable, "-P", "-m", "rigdrop", "watch", str(odd))
    path.write_text(_unit(command=command, inboxes=(odd,), writable=(odd, tmp_path), account=account).text(), encoding="utf-8")
    manager = "--system" if account else "--user"
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "info"}
    done = subprocess.run(["systemd-analyze", manager, "--man=no", "verify", str(path)], capture_output=True, text=True, check=False,
                          env=environment)
    assert [line for line in done.stderr.splitlines() if "rigdrop-test" in line] == []
    assert done.returncode == 0, done.stderr


def test_units_go_where_systemd_looks(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert unit_folder(user=True) == tmp_path / "systemd" / "user"
    assert unit_folder(user=False) == Path("/etc/systemd/system")
