"""Telling others: a real server on this machine and real programs, in all their moods."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rigdrop.errors import MissingPartError, SettingsError, TryAgainError
from rigdrop.watch.notify import call_webhook, check_webhook, receivers, run_program
from rigdrop.watch.options import WatchOptions

OUTCOME = {"job": "0123456789abcdef-1", "state": "done", "relative": "deep/踊り.mp4", "folder": "/srv/out/踊り"}
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Server(ThreadingHTTPServer):
    """Answers with what `answers` say, one after the other; keeps what it was sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.hold = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def __getattr__(self, name):
        """One way for every method."""
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self.answer

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.command, self.path, dict(self.headers), body))
        if self.path == "/slow":
            self.server.hold.wait(30)
        code, headers = self.server.answers.pop(0) if self.server.answers else (204, {})
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.hold.set()
        server.shutdown()
        thread.join()


def test_the_outcome_comes_as_json_by_post(server):
    call_webhook(f"{server.url}/hook?token=x", OUTCOME)
    (method, path, headers, body), = server.got
    assert (method, path, headers["Content-Type"]) == ("POST", "/hook?token=x", "application/json")
    assert headers["User-Agent"].startswith("rigdrop/")
    assert json.loads(body) == OUTCOME


def test_a_name_that_is_no_unicode_is_still_json(server):
    call_webhook(server.url, {"relative": "caf\udce9.mp4"})
    assert json.loads(server.got[0][3]) == {"relative": "caf\udce9.mp4"}


def test_a_server_that_fails_is_worth_another_try(server):
    server.answers = [(500, {}), (429, {}), (200, {})]
    for _ in range(2):
        with pytest.raises(TryAgainError, match="tried again"):
            call_webhook(server.url, OUTCOME)
    call_webhook(server.url, OUTCOME)
    assert len(server.got) == 3


def test_a_request_that_is_wrong_is_not(server):
    server.answers = [(404, {})]
    with pytest.raises(SettingsError, match="answered 404"):
        call_webhook(server.url, OUTCOME)


def test_a_server_that_does_not_answer_in_time_is_worth_another_try(server):
    with pytest.raises(TryAgainError, match="timed out"):
        call_webhook(f"{server.url}/slow", OUTCOME, timeout_s=0.1)


def test_a_server_that_is_not_there_is_worth_another_try(server):
    server.server_close()
    with pytest.raises(TryAgainError, match="can't be reached"):
        call_webhook(server.url, OUTCOME)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_nowhere(server, code, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    for target in (secret.as_uri(), f"{server.url}/elsewhere"):
        server.answers = [(code, {"Location": target})]
        with pytest.raises(SettingsError, match="don't follow"):
            call_webhook(f"{server.url}/hook", OUTCOME)
    assert [path for _, path, _, _ in server.got] == ["/hook", "/hook"]


def test_what_is_said_of_a_failure_holds_no_token(server):
    server.answers = [(500, {})]
    with pytest.raises(TryAgainError) as caught:
        call_webhook(f"{server.url}/services/T0KEN?key=S3CRET", OUTCOME)
    assert "T0KEN" not in str(caught.value) and "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("url", [
    "file:///etc/passwd", "ftp://host/x", "data:,x", "hook.example", "http://", "https:///path", "http://host:port/", "http://[::1/",
    "http://host/a b", "http://host/\n", "http://höst/", "http://host:0/",
])
def test_only_web_addresses_are_called(url):
    with pytest.raises(SettingsError, match="webhook: found no"):
        check_webhook(url)
    with pytest.raises(SettingsError):
        call_webhook(url, OUTCOME)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(SettingsError) as caught:
        check_webhook("https://me:S3CRET@host/")
    assert "S3CRET" not in str(caught.value)


def _script(tmp_path: Path, text: str, name: str = "hook.sh") -> str:
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@POSIX
def test_a_program_gets_the_outcome_on_its_input(tmp_path):
    run_program(_script(tmp_path, f'cat > "{tmp_path}/got"; echo done'), OUTCOME)
    assert json.loads((tmp_path / "got").read_text(encoding="utf-8")) == OUTCOME


@POSIX
def test_a_program_may_have_arguments_and_its_path_may_have_spaces(tmp_path):
    (tmp_path / "my hooks").mkdir()
    script = _script(tmp_path / "my hooks", f'echo "$@" > "{tmp_path}/got"')
    run_program(script, OUTCOME)
    assert (tmp_path / "got").read_text() == "\n"
    run_program(f"'{script}' one 'two  three' ; $(touch {tmp_path}/never)", OUTCOME)
    assert (tmp_path / "got").read_text() == f"one two  three ; $(touch {tmp_path}/never)\n"
    assert not (tmp_path / "never").exists()


@POSIX
def test_a_program_that_does_not_read_its_input_is_none_the_worse(tmp_path):
    run_program(_script(tmp_path, "exit 0"), {"much": "x" * 1_000_000})


@POSIX
def test_a_program_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(TryAgainError, match=r"hook\.sh: exited with 3, and said: no room$"):
        run_program(_script(tmp_path, "echo first; echo no room >&2; exit 3"), OUTCOME)
    with pytest.raises(TryAgainError, match="exited with 1, and said: nothing"):
        run_program(_script(tmp_path, "exit 1"), OUTCOME)


@POSIX
def test_a_program_that_takes_too_long_is_killed_with_what_it_started(tmp_path):
    script = _script(tmp_path, f'sh -c "echo \\$\\$ > {tmp_path}/pid; exec sleep 60" & wait')
    for timeout_s in (0.3, 3.0, 30.0):  # long enough, on any machine, to have started something
        with pytest.raises(TryAgainError, match=f"took longer than {timeout_s:g} s"):
            run_program(script, OUTCOME, timeout_s=timeout_s)
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
    pid = int((tmp_path / "pid").read_text())
    for _ in range(500):
        if _is_gone(pid):
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{pid} still runs")


def _is_gone(pid: int) -> bool:
    """Gone, or killed and waiting to be buried by whoever adopted it."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@POSIX
def test_a_program_may_leave_something_running(tmp_path):
    run_program(_script(tmp_path, "sleep 2 & exit 0"), OUTCOME, timeout_s=30)


@pytest.mark.parametrize("command", ["/none/such", "no-such-program-of-ours --now"])
def test_a_program_that_is_not_there_is_missing(command):
    with pytest.raises(MissingPartError, match="correct --on-finish"):
        run_program(command, OUTCOME)


@pytest.mark.parametrize("command", ["   ", "echo 'half"])
def test_a_command_that_is_none_is_a_wrong_setting(command):
    with pytest.raises(SettingsError, match="on-finish"):
        run_program(command, OUTCOME)


def test_who_is_told_is_what_the_options_say(server, tmp_path):
    assert receivers(WatchOptions()) == []
    for send in receivers(WatchOptions(webhook=server.url, on_finish=f'"{sys.executable}" -c "import sys; sys.stdin.read()"')):
        send(OUTCOME)
    assert len(server.got) == 1
    with pytest.raises(SettingsError):
        receivers(WatchOptions(webhook="file:///etc/passwd"))
