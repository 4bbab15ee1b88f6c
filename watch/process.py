"""One process of the system that does steps: how it is started and ended, what it says, and why it ended.

It has a session of its own, so that a terminal's Ctrl-C does not reach it, and what it has started ends with it. A thread
reads what it says, and another waits for its end, so that it is never left behind as a zombie.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .child_main import open_log

# The process dies with the *thread* that started it (prctl(2), PR_SET_PDEATHSIG), so this one lives as long as we do.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rigdrop-starter")
# So much may lie unread before the process has to wait for whoever listens to it.
_UNREAD = 1024
_LAST_WORDS_S = 5.0
_DUMP_S = 2.0
_AGAIN_S = 1.0

_SIGNALS = {
    "SIGSEGV": "crashed (segmentation fault)",
    "SIGBUS": "crashed (bus error: a file that it had mapped was cut off, or shared memory is full)",
    "SIGABRT": "crashed (aborted)",
    "SIGILL": "crashed (illegal instruction: this processor lacks one)",
    "SIGFPE": "crashed (arithmetic error)",
    "SIGKILL": "was killed by signal 9 (out of memory?)",
    "SIGTERM": "was told to stop by another program (SIGTERM)",
}
_WINDOWS_CODES = {
    0xC0000005: "crashed (access violation)",
    0xC0000017: "ran out of memory",
    0xC00000FD: "crashed (stack overflow)",
    0xC0000409: "crashed (aborted)",
}


class Process:
    """A process that was started, until its end. Raises `OSError` where the system starts no more."""

    def __init__(self, module: str, idle_s: float, environment: Mapping[str, str], log: Path | None) -> None:
        self._popen = _STARTER.submit(_start, module, idle_s, environment, log).result()
        self.pid = self._popen.pid
        self.asked = False  # we told it to end
        self.ended = threading.Event()
        self._abandoned = False
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue(_UNREAD)
        self._signalling, self._sending = threading.Lock(), threading.Lock()
        self._reader = self._thread(self._read)
        self._thread(self._wait)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message, without waiting until it is taken: a process that hangs takes none."""
        self._thread(self._send, json.dumps(message, default=_plain).encode("ascii") + b"\n")

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Return its next message; nothing when it will say no more. Raises `queue.Empty` when it has said nothing so far."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            if not self.ended.is_set():
                raise
        # Something that it started may still hold the pipe open; all that it said itself is there by now.
        self._reader.join(_LAST_WORDS_S)
        with contextlib.suppress(queue.Empty):
            return self._messages.get_nowait()
        return None

    def ask_to_stop(self) -> None:
        """Let `Stopped` be raised in it; it ends when all is clean."""
        self.asked = True
        self._thread(self._ask_to_stop)

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        if sys.platform == "win32":
            self._popen.kill()
        else:
            self._signal(signal.SIGKILL)

    def kill_with_traceback(self) -> None:
        """Let it write into its log where it is, then end it."""
        if sys.platform != "win32":
            self._signal(signal.SIGABRT)  # which faulthandler answers, even where Python itself hangs
            self.ended.wait(_DUMP_S)
        self.kill()

    def finish(self) -> None:
        """Wait until it has ended by itself; end it where that takes too long."""
        if not self.ended.wait(_LAST_WORDS_S):
            self.kill()
            self.ended.wait(_LAST_WORDS_S)

    def abandon(self) -> None:
        """End it whatever it is at, and listen to it no more."""
        self._abandoned = True
        self.kill()
        with contextlib.suppress(queue.Empty):
            while True:
                self._messages.get_nowait()  # the reader may be waiting for room
        self.ended.wait(_LAST_WORDS_S)

    @property
    def reason(self) -> str:
        """Why it ended, as the rest of a sentence that begins with it."""
        return describe_end(self._popen.returncode)

    @property
    def memory_mb(self) -> float | None:
        """The memory that it holds, in MB; nothing where the system doesn't say, or it has ended."""
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="ignore")
            line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
        return None

    def _thread(self, run: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=run, args=arguments, daemon=True, name=f"rigdrop-child-{self.pid}")
        thread.start()
        return thread

    def _ask_to_stop(self) -> None:
        """Say it until it is heard: a signal just before Python begins to wait in the system does not wake it up."""
        while True:
            if sys.platform == "win32":
                self.send({"stop": True})
            else:
                self._signal(signal.SIGTERM)
            if self.ended.wait(_AGAIN_S):
                return

    def _send(self, line: bytes) -> None:
        assert self._popen.stdin is not None
        with self._sending, contextlib.suppress(OSError, ValueError):  # it has ended: `_wait` sees that
            left = memoryview(line)
            while left:
                left = left[os.write(self._popen.stdin.fileno(), left) :]

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as lines, contextlib.suppress(OSError):
            for line in lines:
                message = _message(line)
                if message is not None and not self._abandoned:
                    self._messages.put(message)
        self._messages.put(None)

    def _wait(self) -> None:
        """Wait for its end, and then end what it has started: as long as nobody has asked for its end, nobody else has its number."""
        if sys.platform == "linux":
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self._signal(signal.SIGKILL)
        with self._signalling if sys.platform == "linux" else contextlib.nullcontext():
            self._popen.wait()
            self.ended.set()
        assert self._popen.stdin is not None
        with self._sending, contextlib.suppress(OSError):
            self._popen.stdin.close()

    def _signal(self, number: int) -> None:
        """Send a signal to it; SIGKILL to all that it has started too."""
        if sys.platform != "win32":
            with self._signalling, contextlib.suppress(ProcessLookupError, PermissionError):
                if self.ended.is_set():
                    return
                if number == signal.SIGKILL:
                    os.killpg(self.pid, number)
                else:
                    os.kill(self.pid, number)


def describe_end(code: int | None) -> str:
    """Return why a process ended, by the code that `subprocess` gives, as the rest of a sentence that begins with it."""
    if code is None:
        return "does not end, not even when killed"
    if code >= 0:
        return _WINDOWS_CODES.get(code, f"ended by itself (exit code {code})")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return _SIGNALS.get(name, f"was ended by signal {-code} ({name})")


def _start(module: str, idle_s: float, environment: Mapping[str, str], log: Path | None) -> subprocess.Popen[bytes]:
    # -P: what lies in the folder that the service was started in is not ours.
    command = [sys.executable, "-P", "-m", f"{__package__}.child_main", str(os.getpid()), module, str(idle_s)]
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with open_log(log) as errors:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **environment},
            start_new_session=True, creationflags=flags,
        )


def _message(line: bytes) -> dict[str, Any] | None:
    """What a line says; nothing where it is not whole, as when the process died over it."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
