"""Processes of the system: nothing of them is left behind, and nothing of ours gets into them."""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from rigdrop.watch.process import Process, describe_end

from .children import child_environment, exists, is_running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def new_process():
    made = []

    def make(idle_s=60.0, log=None):
        made.append(Process("child_steps", idle_s, child_environment(), log))
        return made[-1]

    yield make
    for process in made:
        process.abandon()


def _ask(process, step, job=None):
    process.send({"step": step, "job": job or {}, "log": None})


def _hear(process, key):
    """The next message that has ``key``."""
    while True:
        try:
            message = process.receive(30.0)
        except queue.Empty:
            raise AssertionError("it says nothing") from None
        assert message is not None, process.reason
        if key in message:
            return message[key]


def _open_files():
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize(("code", "words"), [
    (0, "ended by itself (exit code 0)"),
    (3, "ended by itself (exit code 3)"),
    (-signal.SIGSEGV, "crashed (segmentation fault)"),
    (-signal.SIGKILL, "was killed by signal 9 (out of memory?)"),
    (-signal.SIGUSR2, "was ended by signal 12 (SIGUSR2)"),
    (-200, "was ended by signal 200 (unknown)"),
    (0xC0000005, "crashed (access violation)"),
    (None, "does not end, not even when killed"),
])
def test_an_end_is_put_into_words(code, words):
    assert describe_end(code) == words


def test_no_files_threads_or_zombies_are_left(new_process):
    def live_and_die(step):
        process = new_process()
        _ask(process, step)
        while process.receive(30.0) is not None:
            process.kill()
        assert process.ended.wait(30)
        wait_until(lambda: not any(str(process.pid) in thread.name for thread in threading.enumerate()))
        return process.pid

    live_and_die("count")  # the thread that starts them is there from now on
    files, threads = _open_files(), threading.active_count()
    pids = [live_and_die(step) for step in ("count", "segfault", "end_hard", "hang")]
    assert _open_files() == files
    assert threading.active_count() == threads
    assert not any(exists(pid) for pid in pids)


def test_a_process_that_dies_unasked_is_no_zombie(new_process):
    process = new_process()
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not exists(process.pid))
    assert process.ended.wait(30)


def test_our_files_do_not_get_into_the_process(new_process, tmp_path):
    with (tmp_path / "ours").open("w") as file, socket.socket() as listener:
        for ours in (file, listener):
            os.set_inheritable(ours.fileno(), True)
        process = new_process()
        _ask(process, "open_files")
        files = _hear(process, "result")["files"]
    null, pipes = [name for name in files if files[name] == "/dev/null"], [name for name in files if files[name].startswith("pipe:")]
    assert (sorted(null), len(pipes), len(files)) == (["0", "1", "2"], 2, 5)


def test_the_pipes_of_one_process_do_not_get_into_another(new_process):
    first, second = new_process(), new_process()
    _ask(second, "count")
    _hear(second, "result")
    first.kill()
    assert first.ended.wait(30)
    _ask(second, "count")
    assert _hear(second, "result")["count"] == 2


@pytest.mark.parametrize("job", [{}, {"die": True}, {"fork": "group"}, {"fork": "group", "die": True}])
def test_what_a_process_has_started_ends_with_it(new_process, job):
    process = new_process()
    _ask(process, "start_another", job)
    pids = [_hear(process, "fields")["pid"] for _ in range(2 if "fork" in job else 1)]
    if "die" not in job:
        _hear(process, "result")
        process.kill()
    assert process.ended.wait(30)
    for pid in pids:
        wait_until(lambda pid=pid: not is_running(pid))


def test_something_that_got_away_and_holds_the_pipe_keeps_nobody_waiting(new_process, monkeypatch):
    monkeypatch.setattr("rigdrop.watch.process._LAST_WORDS_S", 0.1)
    process = new_process()
    _ask(process, "start_another", {"fork": "session", "die": True})
    pids = []
    while (message := _next(process)) is not None:
        pids += [message["fields"]["pid"]] if "event" in message else []
    assert process.reason == "was killed by signal 9 (out of memory?)"
    for pid in pids:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def _next(process):
    while True:
        try:
            return process.receive(0.2)
        except queue.Empty:
            continue


def test_what_lies_in_the_folder_that_we_run_in_is_not_loaded(new_process, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    process = new_process()
    _ask(process, "count")
    assert _hear(process, "result")["count"] == 1


def test_a_process_has_a_session_of_its_own(new_process):
    process = new_process()
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_signals_to_a_process_that_has_ended_reach_nobody(new_process):
    process = new_process()
    process.kill()
    assert process.ended.wait(30)
    process.kill()
    process.ask_to_stop()
    process.kill_with_traceback()
    process.finish()
    assert process.memory_mb is None
    _ask(process, "count")
    assert process.receive(30.0) is None


def test_lines_that_are_no_messages_are_passed_over(new_process):
    process = new_process()
    _ask(process, "write_rubbish")
    assert _hear(process, "result") == {}


def test_a_process_works_where_the_system_is_not_linux(new_process, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    process = new_process()
    _ask(process, "count")
    assert _hear(process, "result")["count"] == 1
    process.ask_to_stop()
    assert process.ended.wait(30)
    assert process.reason == "ended by itself (exit code 0)"
