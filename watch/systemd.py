"""systemd, without a library: telling it how the service is, and the unit that starts it.

sd_notify(3) is one datagram to a socket that the environment names; where it names none, nothing is told.
"""

from __future__ import annotations

import math
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError

WATCHDOG_S = 60
_SEND_S = 1.0
# What ending may take after the service's own --stop seconds: 5 s for its children, 10 s for the queue's threads, and 15 s for the lease
# where the database does not answer.
_STOP_ROOM_S = 30.0
MARK = "# Written by rigdrop service install; a drop-in survives the next one: systemctl edit {name}"


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell systemd ``lines``, as ``READY=1`` or ``STATUS=…``; returns whether somebody was told. Never raises."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux' names that are no files
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
        way.settimeout(_SEND_S)
        try:
            way.sendto("\n".join(lines).encode("utf-8", errors="replace"), address)
        except (OSError, ValueError):
            return False
    return True


class Supervisor:
    """What the main loop tells systemd; all of it does nothing where nobody supervises us."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._status = ""
        self._told_s = float("-inf")
        self.watchdog_s = _watchdog_s(environment)  # a service that is silent for longer is killed; nothing where nobody looks

    def ready(self) -> bool:
        """Say that the service has started, or has read its settings again."""
        return self._tell("READY=1")

    def turned(self, status: str = "") -> bool:
        """Say that the main loop goes round, and how things are; call it each turn, it tells systemd what is due."""
        lines = []
        if status and status != self._status:
            self._status = status
            lines.append(f"STATUS={_one_line(status)}")
        if self.watchdog_s is not None and time.monotonic() - self._told_s >= self.watchdog_s / 4:
            self._told_s = time.monotonic()
            lines.append("WATCHDOG=1")
        return bool(lines) and self._tell(*lines)

    def reloading(self) -> bool:
        """Say that the settings are read again; `ready` ends it."""
        return self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> bool:
        """Say that the service is on its way out."""
        return self._tell("STOPPING=1", "STATUS=stops")

    def _tell(self, *lines: str) -> bool:
        return notify(*lines, environment=self._environment)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """The interval that systemd watches us with, seconds; it names the process it means, and its children inherit the words."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or meant != str(os.getpid()):
        return None
    return int(microseconds) / 1e6


@dataclass(frozen=True)
class Unit:
    """What the unit file says."""

    command: tuple[str, ...]  # what is started, each word as it is
    inboxes: tuple[Path, ...]  # absolute, as all paths here
    writable: tuple[Path, ...]  # every folder that the service writes to
    account: str | None = None  # whom the service runs as; nothing for a unit of the user's own
    settings_file: str = "/etc/rigdrop/rigdrop.env"  # RIGDROP_ variables, one a line; it need not be there
    name: str = "rigdrop"  # of the unit, and of its folders in /var/lib and /var/cache
    stop_s: float = 30.0  # what the service gives its jobs when it is asked to stop

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise SettingsError(f"name: found {self.name!r}, expected letters, digits, dots and dashes")
        for word in (*self.command, *map(str, (*self.inboxes, *self.writable)), self.account or "", self.settings_file):
            if not word.isprintable():
                raise SettingsError(f"{word!r}: has a character that a unit file can't hold; rename it")

    def text(self) -> str:
        """Return the unit file."""
        sections = {"Unit": self._unit(), "Service": self._service(), "Install": [f"WantedBy={self._target()}"]}
        body = "\n\n".join("\n".join([f"[{title}]", *lines]) for title, lines in sections.items())
        return f"{MARK.format(name=self.name)}\n{body}\n"

    def _target(self) -> str:
        return "default.target" if self.account is None else "multi-user.target"

    def _unit(self) -> list[str]:
        described = f"Description=Rigdrop: videos in {', '.join(map(str, self.inboxes))} become characters".replace("%", "%%")
        if self.account is None:
            return [described]
        return [
            described, "Wants=network-online.target", "After=network-online.target remote-fs.target postgresql.service",
            # A share that is not mounted yet would be taken for an empty inbox.
            f"RequiresMountsFor={_paths(self.writable)}",
        ]

    def _service(self) -> list[str]:
        return [
            "Type=notify", "NotifyAccess=main", f"WatchdogSec={WATCHDOG_S}",
            f"ExecStart={_command(self.command)}", "ExecReload=kill -HUP $MAINPID",
            f"EnvironmentFile=-{self.settings_file.replace('%', '%%')}",
            *self._who(),
            "Restart=on-failure", "RestartSec=5", "RestartPreventExitStatus=64 78", "SuccessExitStatus=143",
            # The service itself stops what it has started; what it leaves is killed after it.
            "KillMode=mixed", f"TimeoutStopSec={math.ceil(self.stop_s + _STOP_ROOM_S)}",
            # A clip that is too large for the memory costs its own process, and not the service.
            "OOMPolicy=continue",
            "NoNewPrivileges=yes", *self._walls(),
        ]

    def _who(self) -> list[str]:
        if self.account is None:
            return []
        # Each service has its own: what one account has made, another may not write.
        homes = f'Environment="XDG_STATE_HOME={home("/var/lib", self.name)}" "XDG_CACHE_HOME={home("/var/cache", self.name)}"'
        return [f"User={self.account}", f"StateDirectory={self.name}", f"CacheDirectory={self.name}", homes]

    def _walls(self) -> list[str]:
        """What the service can't reach. A user's own systemd needs user namespaces for them, which Ubuntu among others refuses."""
        if self.account is None:
            return []
        switches = ("PrivateTmp", "ProtectKernelTunables", "ProtectKernelModules", "ProtectControlGroups", "RestrictSUIDSGID",
                    "RestrictRealtime", "LockPersonality")
        return ["ProtectSystem=strict", f"ReadWritePaths={_paths(self.writable)}", *(f"{switch}=yes" for switch in switches)]


def unit_folder(user: bool) -> Path:
    """Return where units are put: the machine's, or the user's own."""
    if not user:
        return Path("/etc/systemd/system")
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "systemd" / "user"


def home(folder: str, name: str) -> Path:
    """Return where a machine's service has its ``rigdrop`` folder, in or below ``folder``; systemd makes it."""
    return Path(folder) if name == "rigdrop" else Path(folder) / name


def _paths(paths: Sequence[Path]) -> str:
    return " ".join(_quoted(str(path)) for path in paths)


def _command(words: Sequence[str]) -> str:
    """A command line, in which `$` would be a variable in any word but the program's own."""
    return " ".join([_quoted(words[0]), *(_quoted(word.replace("$", "$$")) for word in words[1:])])


def _quoted(text: str) -> str:
    """A word as systemd.syntax(7) has it; `%` would be a specifier."""
    text = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if not text or any(character in text for character in " '\";\\") else text


def _one_line(text: str) -> str:
    return " ".join(text.split())
