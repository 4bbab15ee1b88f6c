"""``rigdrop jobs`` on a real queue in a real file: what it shows, and what it does to jobs."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rigdrop.cli.app import main
from rigdrop.cli.job_table import short_id
from rigdrop.watch.database import Database
from rigdrop.watch.job import JobSpec, JobState, logs_folder
from rigdrop.watch.log import JobLog
from rigdrop.watch.queue import JobFailed, Queue

from .watch_values import a_spec

WAIT_S = 30.0


@dataclass
class World:
    """A service's queue in the middle of its work, and its inbox."""

    database: Path
    root: Path
    queue: Queue
    leave: threading.Event

    def spec(self, name: str, number: int = 1) -> JobSpec:
        return a_spec(name, self.root, number)

    def state(self, name: str) -> JobState:
        state = self.queue.show(self.spec(name).job)
        assert state is not None
        return state

    def wait(self, name: str, *states: str) -> None:
        until(lambda: self.state(name).state in states)


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One job that runs and stays at it, two that wait, one that is done, one that failed, one that was cancelled."""
    folder = tmp_path_factory.mktemp("jobs")
    root, leave, at_it = folder / "inbox", threading.Event(), threading.Event()
    root.mkdir()
    log = JobLog(io.StringIO())

    def work(spec, step):
        if spec.name == "runs.mp4":
            step("probe", lambda: {})
            queue.progress(spec.job, "estimate", 30, 90)
            at_it.set()
            leave.wait(WAIT_S)
        if spec.name.startswith("bad"):
            log.event(spec, "step", step="probe")
            log.event(spec, "failed", step="probe", message=f"{spec.name}: is no video", exit_code=66)
            step("probe", lambda: {})
            raise JobFailed(f"{spec.name}: is no video", 66)
        step("estimate", lambda: {"frames": 90})
        return {"folder": f"/srv/characters/{spec.name}", "people": 1}

    queue = Queue(Database.parse(str(folder / "jobs.db")), "rig-1", {"cpu": 1}, work)
    world = World(folder / "jobs.db", root, queue, leave)
    for name in ("done.mp4", "bad.mp4"):
        queue.submit(world.spec(name))
    queue.start()
    try:
        world.wait("done.mp4", "done")
        world.wait("bad.mp4", "failed")
        queue.submit(world.spec("runs.mp4"))
        assert at_it.wait(WAIT_S)
        for name in ("next.mp4", "踊り/later.mp4", "stopped.mp4"):
            queue.submit(world.spec(name))
        queue.cancel(world.spec("stopped.mp4").job)
        yield world
    finally:
        leave.set()
        queue.stop(release=False)
        queue.close()


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RIGDROP_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def run(world, capsys):
    def run(*tokens) -> tuple[int, str, list[dict]]:
        code = main(["jobs", *map(str, tokens), "--database", str(world.database)])
        captured = capsys.readouterr()
        return code, captured.out, [json.loads(line) for line in captured.err.splitlines()]

    return run


def test_what_runs_waits_and_went_wrong_is_listed_in_this_order(run, world):
    code, out, _ = run()
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0] == ["job", "state", "source", "step", "frames", "worker", "age", "reason"]
    assert [(line[1], line[2]) for line in lines[1:]] == [
        ("running", "runs.mp4"), ("waiting", "next.mp4"), ("waiting", "踊り/later.mp4"), ("failed", "bad.mp4"),
        ("cancelled", "stopped.mp4"), ("done", "done.mp4"),
    ]
    assert lines[1][0] == short_id(world.spec("runs.mp4").job)
    assert lines[1][3:6] == ["estimate", "30/90", "rig-1"]
    assert "bad.mp4: is no video" in out


def test_as_json_every_field_of_each_is_printed(run, world):
    states = json.loads(run("--json")[1])
    assert [state["state"] for state in states] == ["running", "waiting", "waiting", "failed", "cancelled", "done"]
    running, failed = states[0], states[3]
    assert (running["step"], running["done"], running["total"], running["worker"]) == ("estimate", 30, 90, "rig-1")
    assert (failed["reason"], failed["code"], failed["spec"]["root"]) == ("bad.mp4: is no video", 66, str(world.root))


def test_only_some_states_are_listed(run):
    assert [state["state"] for state in json.loads(run("--state", "failed", "--state", "done", "--json")[1])] == ["failed", "done"]
    assert [state["spec"]["relative"] for state in json.loads(run("--all", "--json")[1])][-1] == "done.mp4"
    assert run("--state", "lost")[0] == 64


def test_the_database_is_found_as_the_service_finds_it(world, capsys, monkeypatch, tmp_path):
    (tmp_path / "rigdrop.toml").write_text(f'max-people = 2\ndatabase = "{world.database.as_posix()}"\n')
    assert main(["jobs"]) == 0
    assert "runs.mp4" in capsys.readouterr().out
    (tmp_path / "rigdrop.toml").rename(tmp_path / "other.toml")
    assert main(["jobs", "--config", "other.toml"]) == 0
    assert "runs.mp4" in capsys.readouterr().out
    monkeypatch.setenv("RIGDROP_DATABASE", str(world.database))
    assert main(["jobs"]) == 0
    assert "runs.mp4" in capsys.readouterr().out


def test_where_no_jobs_are_none_are_made(capsys, tmp_path):
    assert main(["jobs", "--database", str(tmp_path / "typo.db")]) == 66
    assert "expected the jobs of rigdrop watch" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main(["jobs", "--database", "mysql://host/x"]) == 78


def test_a_job_is_shown_with_its_steps(run, world):
    job = world.spec("done.mp4").job
    code, out, _ = run("show", job)
    assert code == 0
    for words in ("/srv/characters/done.mp4", job, "rig-1", "sha256", "submitted"):
        assert words in out
    steps = out.split("seconds")[1]
    assert steps.split()[0] == "estimate"
    told = json.loads(run("show", job, "--json")[1])
    assert [step["name"] for step in told["steps"]] == ["estimate"]
    assert told["result"]["people"] == 1


@pytest.mark.parametrize("asked", [lambda job: job, lambda job: job[:6], short_id, lambda job: f"{job[:5]}-1"])
def test_an_id_may_be_shortened(run, world, asked):
    assert json.loads(run("show", asked(world.spec("next.mp4").job), "--json")[1])["spec"]["relative"] == "next.mp4"


def test_an_id_that_nobody_has_is_told_with_those_that_are_near(run, world):
    job = world.spec("next.mp4").job
    wrong = job[:7] + ("0" if job[7] != "0" else "1") + job[8:]
    code, _, errors = run("show", wrong)
    assert code == 64
    assert f"{wrong}: found no job of this id; near it are" in errors[-1]["message"]
    assert f"{short_id(job)} (next.mp4, waiting)" in errors[-1]["message"]
    assert run("show", "zzzz")[2][-1]["message"] == "zzzz: found no job of this id; rigdrop jobs --all lists them"
    assert run("show", "")[0] == 64
    assert run("cancel")[0] == 64


def test_an_id_that_two_have_is_told_with_both(run, world):
    world.queue.submit(world.spec("next.mp4", number=2))
    try:
        key = world.spec("next.mp4").key
        code, _, errors = run("show", key[:8])
        assert (code, "found 2 jobs, expected one" in errors[-1]["message"]) == (64, True)
        assert run("show", f"{key[:8]}-2")[0] == 0
    finally:
        world.queue.cancel(world.spec("next.mp4", number=2).job)


def test_a_job_is_cancelled_but_none_of_several_where_one_has_ended(run, world):
    world.queue.submit(world.spec("one-too-many.mp4"))
    job = world.spec("one-too-many.mp4").job
    code, _, errors = run("cancel", job, world.spec("done.mp4").job)
    assert code == 64
    assert "is done, expected a job that waits or runs; nothing was cancelled" in errors[-1]["message"]
    assert world.state("one-too-many.mp4").state == "waiting"
    code, out, _ = run("cancel", short_id(job), job)
    assert (code, out.split()) == (0, [short_id(job), "one-too-many.mp4", "cancelled"])
    assert world.state("one-too-many.mp4").state == "cancelled"
    assert run("cancel", job)[0] == 64


def test_a_job_that_failed_is_retried_by_putting_its_source_back(run, world):
    failed = world.root / "failed" / world.spec("bad.mp4").job
    failed.mkdir(parents=True)
    for name in ("bad.mp4", "bad.mp4.toml", "error.txt"):
        (failed / name).write_text(name)
    code, out, _ = run("retry", world.spec("bad.mp4").job)
    assert code == 0
    assert out == f"{short_id(world.spec('bad.mp4').job)}  back in {world.root / 'bad.mp4'}\n"
    assert sorted(path.name for path in world.root.glob("bad*")) == ["bad.mp4", "bad.mp4.toml"]
    assert not failed.exists()
    code, _, errors = run("retry", world.spec("bad.mp4").job)
    assert (code, "drop it there again" in errors[-1]["message"]) == (66, True)
    assert run("retry", world.spec("next.mp4").job)[0] == 64


def test_the_log_is_for_people_and_as_json_for_programs(run, world):
    path = logs_folder(world.root) / f"{world.spec('bad.mp4').job}.jsonl"
    with path.open("a") as file:
        file.write("Fatal Python error: \x1b[31mSegmentation fault\n")
        line = {"event": "progress", "step": "fit", "frame": 3, "frames": 9, "timestamp": "2026-03-01T12:00:00.123Z", "level": "info"}
        file.write(json.dumps(line) + "\n")
    out = run("logs", world.spec("bad.mp4").job)[1].splitlines()
    assert out[0].split()[2:] == ["probe", "step"]
    assert out[1].endswith("failed:  bad.mp4: is no video  exit_code=66")
    assert out[2] == "Fatal Python error: \ufffd[31mSegmentation fault"
    assert out[3] == "2026-03-01 12:00:00  fit                   progress 3/9"
    lines = run("logs", world.spec("bad.mp4").job, "--json")[1].splitlines()
    assert json.loads(lines[1])["message"] == "bad.mp4: is no video"


def test_a_log_that_is_not_there_is_told_of(run, world):
    assert "has no log" in run("logs", world.spec("done.mp4").job)[2][-1]["message"]
    assert run("logs", world.spec("done.mp4").job, "--follow")[0] == 66
    elsewhere = a_spec("elsewhere.mp4", "/none/such/share")
    world.queue.submit(elsewhere)
    try:
        assert "can't be seen from here" in run("logs", elsewhere.job)[2][-1]["message"]
    finally:
        world.queue.cancel(elsewhere.job)


def _start(world, *tokens, **streams) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rigdrop", "jobs", *tokens, "--database", str(world.database)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    return subprocess.Popen(command, text=True, env=environment, **streams)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminal")
def test_in_a_terminal_the_table_lives_until_ctrl_c(world):
    import pty

    ours, theirs = pty.openpty()
    process = _start(world, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while b"30/90" not in seen or seen.count(b"runs.mp4") < 2:  # shown, and shown again
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        while block := os.read(ours, 65536):
            seen += block
    except OSError:  # Linux says so when the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(WAIT_S) == 0
    assert b"Traceback" not in seen and b"stopped by" not in seen
    assert b"1 running" in seen


def test_a_log_is_followed_until_the_job_ends(world):
    spec = world.spec("followed.mp4")
    world.queue.submit(spec)
    process = _start(world, "logs", short_id(spec.job), "-f", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    log = JobLog(io.StringIO())
    log.event(spec, "step", step="probe")
    assert process.stdout.readline().split()[2:] == ["probe", "step"]
    log.event(spec, "step", step="fit")
    assert process.stdout.readline().split()[2:] == ["fit", "step"]
    world.queue.cancel(spec.job)
    out, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out, err) == (0, "", "")
