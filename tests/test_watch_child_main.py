"""The child's own side: what it says, what it lets nobody disturb, and that it does not outlive who started it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys

import pytest

from rigdrop.watch.child_main import Answers, StopSign, serve

from .children import child_environment, is_running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

_MAIN = ["-P", "-m", "rigdrop.watch.child_main"]
# The same, on a system that has nothing of Linux' own; with our imports done before it says so.
_ELSEWHERE = [
    "-c", "import ctypes, subprocess, sys, child_steps; from rigdrop.watch import child_main; sys.platform = {!r}\n"
    "sys.exit(child_main.main(sys.argv[1:]))",
]


@contextlib.contextmanager
def _child(python=_MAIN, parent=None, idle_s=60.0, **options):
    """A child without the other half of ours."""
    arguments = [str(os.getpid() if parent is None else parent), "child_steps", str(idle_s)]
    command = [sys.executable, *python, *arguments]
    environment, pipe = {**os.environ, **child_environment()}, subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, start_new_session=True, **options
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ask(process, step, job=None, log=None):
    _send(process, {"step": step, "job": job or {}, "log": log})


def _send(process, message):
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def _heard(process):
    return json.loads(process.stdout.readline())


def _elsewhere(platform):
    return [part.format(platform) for part in _ELSEWHERE]


def test_it_says_what_the_protocol_says():
    with _child() as process:
        _ask(process, "tell", {"events": [["progress", {"stage": "a", "done": 1, "total": 2}]]})
        assert [_heard(process) for _ in range(3)] == [
            {"taken": True}, {"event": "progress", "fields": {"stage": "a", "done": 1, "total": 2}}, {"result": {}},
        ]
        _ask(process, "fail", {"kind": "ReadError", "message": "no"})
        error = {"code": 66, "message": "no", "errno": None}
        assert [_heard(process) for _ in range(2)] == [{"taken": True}, {"error": error, "leaving": False}]
        process.stdin.close()
        assert process.wait(30) == 0


def test_it_ends_when_nobody_asks():
    with _child(idle_s=0.1) as process:
        assert process.wait(30) == 0
    with _child(idle_s=float("inf")) as process:
        _ask(process, "count")
        assert [_heard(process) for _ in range(2)][1]["result"]["count"] == 1


def test_it_ends_at_once_when_its_parent_is_another():
    with _child(parent=1) as process:
        assert process.wait(30) != 0


@pytest.mark.parametrize("python", [_MAIN, _elsewhere("darwin"), _elsewhere("win32")], ids=["linux", "darwin", "win32"])
def test_it_ends_in_the_midst_of_work_when_its_input_ends(python):
    with _child(python) as process:
        _ask(process, "hang")
        assert _heard(process) == {"taken": True}
        process.stdin.close()
        assert process.wait(30) != 0


def test_what_it_has_started_ends_with_it_when_its_input_ends():
    with _child() as process:
        _ask(process, "start_and_hang")
        assert _heard(process) == {"taken": True}
        pid = _heard(process)["fields"]["pid"]
        process.stdin.close()
        assert process.wait(30) == -signal.SIGKILL
        wait_until(lambda: not is_running(pid))


@pytest.mark.faults
@pytest.mark.parametrize("step", ["hang", "hang_in_c", "refuse_to_stop", "count"])
def test_it_dies_with_a_parent_that_is_killed(step):
    script = (
        "import sys, time; from rigdrop.watch.child import Child\n"
        "child = Child('child', 600.0, 'child_steps')\n"
        "child.run('count', {}, print)\n"
        "print(child.pid, flush=True)\n"
        "child.run(sys.argv[1], {}, lambda *_, **__: print('works', flush=True))\n"
        "print('done', flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, **child_environment()}
    with subprocess.Popen([sys.executable, "-c", script, step], stdout=subprocess.PIPE, env=environment) as parent:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() in (b"works\n", b"done\n")
        assert is_running(pid)
        parent.kill()
        wait_until(lambda: not is_running(pid))


def test_a_stop_while_it_rests_ends_it():
    with _child() as process:
        _ask(process, "count")
        assert [_heard(process) for _ in range(2)]
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("how", ["signal", "line"])
def test_a_stop_in_the_midst_of_work_is_answered(tmp_path, how):
    with _child() as process:
        # Where there are no signals a line says the same; Python sees it when the step next does anything.
        _ask(process, "write_slowly" if how == "signal" else "work_on", {"path": str(tmp_path / "file")})
        assert [_heard(process)["taken"], _heard(process)["event"]] == [True, "writing"]
        if how == "signal":
            process.terminate()
        else:
            _send(process, {"stop": True})
        answer = _heard(process)
        assert (answer["error"]["code"], answer["leaving"]) == (143, True)
        assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_stop_does_not_tear_what_is_being_said():
    with _child() as process:
        _ask(process, "tell_at_length", {"length": 1_000_000})
        assert _heard(process) == {"taken": True}
        beginning = process.stdout.read(1)  # a pipe holds less than the rest
        process.terminate()
        assert json.loads(beginning + process.stdout.readline())["fields"] == {"text": "x" * 1_000_000}
        assert _heard(process)["error"]["code"] == 143


def test_a_request_that_comes_with_a_stop_is_not_taken():
    requests = queue.SimpleQueue()
    requests.put({"step": "count", "job": {}, "log": None})
    stop = StopSign(requests)
    stop(signal.SIGTERM, None)
    reading, writing = os.pipe()
    serve(requests, Answers(writing, stop), stop, "child_steps", 60.0)
    os.close(writing)
    with open(reading, "rb") as said:
        assert said.read() == b""


def test_a_second_stop_does_not_interrupt_the_cleaning():
    with _child() as process:
        _ask(process, "clean_up")
        assert [_heard(process)["taken"], _heard(process)["event"]] == [True, "working"]
        process.terminate()
        assert _heard(process) == {"result": {"cleaned": True}}
        assert process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_of_a_terminal_are_not_for_it(number):
    with _child() as process:
        for count in (1, 2):
            _ask(process, "count")
            assert [_heard(process) for _ in range(2)][1]["result"]["count"] == count
            process.send_signal(number)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_it_works_where_there_is_nothing_of_linux_own(platform):
    with _child(_elsewhere(platform)) as process:
        _ask(process, "chatter", {"kilobytes": 100})
        assert [_heard(process) for _ in range(2)] == [{"taken": True}, {"result": {"input": ""}}]


def test_it_goes_first_when_memory_runs_out_and_dumps_no_core():
    with _child() as process:
        _ask(process, "environment")
        told = [_heard(process) for _ in range(2)][1]["result"]
    assert (told["oom_score_adj"], told["core"], told["group"]) == ("500", 0, True)


def test_it_loads_nothing_heavy_itself():
    with _child() as process:
        _ask(process, "environment")
        modules = set([_heard(process) for _ in range(2)][1]["result"]["modules"])
    assert not modules & {"numpy", "av", "cv2", "h5py", "scipy", "torch", "dbos", "sqlalchemy", "structlog", "rigdrop.pipeline"}
