"""Children: a step gives its result, its own error, or the reason why its process ended, and the service goes on."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from rigdrop.errors import ReadError, RigdropError, SettingsError, Stopped, WriteError
from rigdrop.watch.child import Child, ChildDied, Children

from .children import child_environment, is_running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Events(list):
    """Listens, and keeps what it heard."""

    def __call__(self, event, /, **fields):
        self.append((event, fields))

    def numbers(self, event, field):
        return [fields[field] for name, fields in self if name == event]


@pytest.fixture
def new_child():
    made = []

    def make(hang_s=60.0, **options):
        made.append(Child("child", hang_s, options.pop("module", "child_steps"), environment=child_environment(), **options))
        return made[-1]

    yield make
    for child in made:
        child.stop(0.0)


@pytest.fixture
def child(new_child):
    return new_child()


@pytest.fixture
def new_pool():
    made = []

    def make(slots, **options):
        made.append(Children(slots, 60.0, "child_steps", environment=child_environment(), **options))
        return made[-1]

    yield make
    for pool in made:
        pool.kill()


def _count(child):
    return child.run("count", {}, Events())["count"]


def _fails(child, error, step, job=None, **options):
    with pytest.raises(error) as raised:
        child.run(step, job or {}, Events(), **options)
    return raised.value


def test_what_a_step_leaves_in_memory_is_there_for_the_next_step_and_job(child):
    assert [_count(child) for _ in range(3)] == [1, 2, 3]
    assert child.run("count", {}, Events())["pid"] == child.pid
    assert child.alive


def test_nothing_runs_before_there_is_work(child):
    assert (child.alive, child.pid, child.memory_mb) == (False, None, None)
    _count(child)
    assert 5 < child.memory_mb < 200


@pytest.mark.parametrize(("step", "job", "reason"), [
    ("segfault", {}, "crashed (segmentation fault)"),
    ("abort", {}, "crashed (aborted)"),
    ("killed", {}, "was killed by signal 9 (out of memory?)"),
    ("killed", {"signal": signal.SIGUSR1}, "was ended by signal 10 (SIGUSR1)"),
    ("out_of_memory", {}, "ran out of memory"),
    ("out_of_memory_by_message", {}, "ran out of memory"),
    ("end", {"code": 3}, "ended by itself (exit code 3)"),
    ("end", {"code": 0}, "ended by itself (exit code 0)"),
    ("end_hard", {"code": 0}, "ended by itself (exit code 0)"),
    ("close_pipes_and_return", {}, "ended by itself (exit code 1)"),
    ("start_another", {"die": True}, "was killed by signal 9 (out of memory?)"),
])
def test_a_process_that_ends_costs_its_step_alone(child, step, job, reason):
    _count(child)
    assert _fails(child, ChildDied, step, job).reason == reason
    assert not child.alive
    assert _count(child) == 1


def test_a_process_that_breaks_off_the_connection_is_ended(child, monkeypatch):
    monkeypatch.setattr("rigdrop.watch.child._LAST_GRACE_S", 0.1)
    monkeypatch.setattr("rigdrop.watch.process._LAST_WORDS_S", 0.1)
    _count(child)
    pid = child.pid
    # On a busy machine its own watch over its parent may be quicker to end it than we are.
    assert _fails(child, ChildDied, "close_pipes").reason in ("broke off the connection", "was killed by signal 9 (out of memory?)")
    wait_until(lambda: not is_running(pid))
    assert _count(child) == 1


@pytest.mark.parametrize("step", ["hang", "hang_in_c"])
def test_a_process_that_hangs_is_ended_and_its_log_says_where(child, tmp_path, step):
    _count(child)
    pid, log = child.pid, tmp_path / "log"
    assert _fails(child, ChildDied, step, log=log, hang_s=0.5).reason == "made no progress for 0.5 s"
    assert not is_running(pid)
    assert f"in {step}" in log.read_text()
    assert _count(child) == 1


def test_a_process_that_takes_no_request_hangs(child, monkeypatch):
    monkeypatch.setattr("rigdrop.watch.process._DUMP_S", 0.1)
    _count(child)
    os.kill(child.pid, signal.SIGSTOP)
    # More than a pipe holds: nobody may wait until it is taken.
    assert _fails(child, ChildDied, "echo", {"much": "x" * 1_000_000}, hang_s=0.5).reason == "made no progress for 0.5 s"


@pytest.mark.slow
def test_any_event_is_progress(new_child):
    child = new_child(hang_s=2.0)
    assert child.run("slow_but_alive", {"times": 25, "pause_s": 0.1}, Events()) == {}


def test_time_in_which_the_service_itself_stood_still_does_not_count(new_child, monkeypatch):
    clock = itertools.count(step=1000.0)
    monkeypatch.setattr("rigdrop.watch.child.time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert new_child(hang_s=600.0).run("slow_but_alive", {"times": 1, "pause_s": 0.3}, Events()) == {}


@pytest.mark.parametrize(("kind", "number"), [
    (ReadError, None), (SettingsError, None), (WriteError, errno.ENOSPC), (WriteError, errno.EDQUOT), (WriteError, errno.EFBIG),
])
def test_an_error_comes_back_as_it_was_and_the_process_stays(child, kind, number):
    _count(child)
    pid, message = child.pid, "clip \udc80.mp4: found nothing – «»"
    error = _fails(child, kind, "fail", {"kind": kind.__name__, "message": message, **({} if number is None else {"errno": number})})
    assert (type(error), str(error), getattr(error, "errno", None)) == (kind, message, number)
    assert child.pid == pid


def test_a_full_disk_is_seen_behind_what_came_of_it(child):
    error = _fails(child, WriteError, "fail_while_closing")
    assert (str(error), error.errno) == ("could not clean up", errno.ENOSPC)


def test_a_full_disk_that_nobody_put_into_words_is_one_too(child):
    error = _fails(child, WriteError, "full_disk")
    assert (str(error), error.errno) == ("/somewhere: can't be written (No space left on device); free space", errno.ENOSPC)


@pytest.mark.parametrize(("step", "words"), [("fault", "KeyError: 'nothing'"), ("not_json", "TypeError: a step returned object")])
def test_a_fault_of_ours_is_told_and_logged_and_ends_the_process(child, tmp_path, step, words):
    error = _fails(child, RigdropError, step, log=tmp_path / "log")
    assert (type(error), error.exit_code) == (RigdropError, 70)
    assert words in str(error)
    assert "Traceback" in (tmp_path / "log").read_text()
    assert _count(child) == 1


def test_steps_that_are_not_there_are_a_fault_of_ours(new_child):
    error = _fails(new_child(module="no_such_module"), RigdropError, "count")
    assert "No module named 'no_such_module'" in str(error)


def test_a_process_that_can_not_be_started_counts_as_one_that_died(new_child, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert _fails(new_child(), ChildDied, "count").reason == "could not be started (No such file or directory)"


def test_a_python_that_can_not_run_our_module_says_so_in_the_log(tmp_path):
    child = Child("child", 60.0, "child_steps", environment={"PYTHONPATH": "", "PYTHONHOME": str(tmp_path)})
    assert _fails(child, ChildDied, "count", log=tmp_path / "log").reason == "ended by itself (exit code 1)"
    assert (tmp_path / "log").stat().st_size > 0


def test_large_jobs_and_results_and_strange_names_go_through(child):
    job = {"text": "é\n" * 500_000, "name": os.fsdecode(b"clip \xff\xfe.mp4"), "deep": {"list": [1, 2.5, None, True]}}
    assert child.run("echo", job, Events()) == job


def test_paths_and_arrays_become_plain(child):
    events = Events()
    assert child.run("plain", {"path": Path("a")}, events) == {"path": "b", "numbers": [0, 1, 2], "share": 0.5}
    assert events == [("file", {"path": "a", "number": 3, "what": "{1, 2}"})]


def test_what_libraries_print_goes_to_the_log_of_the_step(child, tmp_path):
    logs = [tmp_path / "new folder" / name for name in ("one.jsonl", "two.jsonl")]
    for kilobytes, log in zip((3000, 1), logs):
        assert child.run("chatter", {"kilobytes": kilobytes}, Events(), log=log) == {"input": ""}
    for kilobytes, log in zip((3000, 1), logs):
        text = log.read_text()
        assert text.count("x" * 1023) == 2 * kilobytes
        assert [text.count(words) for words in ('"from": "C"', '"from": "another program"', "\\udc80")] == [1, 1, 1]


def test_a_log_is_appended_to_and_not_held_open(child, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    child.run("chatter", {"kilobytes": 0}, Events(), log=log)
    assert log.read_text().startswith("before\n")
    assert str(log) not in {os.readlink(entry) for entry in Path(f"/proc/{child.pid}/fd").iterdir()}


def test_a_log_that_can_not_be_written_fails_no_step(child, tmp_path):
    assert child.run("chatter", {"kilobytes": 1}, Events(), log=tmp_path) == {"input": ""}


def test_a_flood_of_progress_is_thinned_out_and_its_end_is_told(child):
    events = Events()
    seconds = child.run("flood", {"events": 50_000}, events)["seconds"]
    done = events.numbers("progress", "done")
    assert done == sorted(done)
    assert done[-1] == 50_000
    assert len(done) <= seconds / 0.1 + 3


def test_progress_that_was_held_back_comes_before_the_next_event(child):
    events = Events()
    steps = [("progress", {"stage": "a", "done": done, "total": 9}) for done in (1, 2, 3)]
    other = ("progress", {"stage": "b", "done": 0, "total": None})
    child.run("tell", {"events": [*steps, other, ("warning", {"message": "w"}), steps[0]]}, events)
    assert events == [steps[0], other, steps[2], ("warning", {"message": "w"}), steps[0]]


def test_a_flood_of_other_events_is_heard_in_full(child):
    events = Events()
    child.run("flood_of_warnings", {"events": 5000}, events)
    assert events.numbers("warning", "number") == list(range(5000))


def test_threads_do_not_tear_each_other_s_messages(child):
    events = Events()
    child.run("talk_from_threads", {"events": 50}, events)
    assert len(events) == 200
    for name in range(4):
        assert [fields["number"] for _, fields in events if fields["by"] == name] == list(range(50))


def test_a_thread_that_a_step_has_left_behind_does_not_talk_into_the_next(child):
    child.run("leave_a_thread", {"name": "first"}, Events())
    events = Events()
    child.run("slow_but_alive", {"times": 2, "pause_s": 0.05}, events)
    assert [name for name, _ in events] == ["alive", "alive"]


def _stop_at_first_event(child, step, job, **options):
    stop = threading.Event()
    return child.run(step, job, lambda event, **fields: stop.set(), stop, **options)


def test_a_step_that_is_stopped_leaves_nothing_half_written(child, tmp_path):
    with pytest.raises(Stopped):
        _stop_at_first_event(child, "write_slowly", {"path": str(tmp_path / "file")})
    assert list(tmp_path.iterdir()) == []
    assert not child.alive
    assert _count(child) == 1


def test_a_step_that_swallows_its_stop_is_told_again(child):
    with pytest.raises(Stopped):
        _stop_at_first_event(child, "swallow", {})
    assert not child.alive


def test_a_step_that_misses_its_stop_is_told_again(child, tmp_path, monkeypatch):
    monkeypatch.setattr("rigdrop.watch.process._AGAIN_S", 0.2)
    with pytest.raises(Stopped):
        _stop_at_first_event(child, "miss_a_signal", {"path": str(tmp_path / "file")})
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_refuses_to_stop_is_killed(new_child):
    child = new_child(grace_s=0.3)
    with pytest.raises(Stopped):
        _stop_at_first_event(child, "refuse_to_stop", {})
    assert not child.alive


def test_a_step_that_ends_well_although_it_was_told_to_stop_is_done(child):
    assert _stop_at_first_event(child, "slow_to_stop", {}) == {"finished": True}
    assert not child.alive


def test_a_step_that_is_stopped_before_it_begins_starts_nothing(child):
    stop = threading.Event()
    stop.set()
    _fails(child, Stopped, "count", stop=stop)
    assert not child.alive


def test_a_stop_that_we_did_not_ask_for_is_a_death(child, tmp_path):
    def interfere(event, **fields):
        os.kill(fields["pid"], signal.SIGTERM)

    with pytest.raises(ChildDied, match="was told to stop by another program"):
        child.run("write_slowly", {"path": str(tmp_path / "file")}, interfere)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_between_steps_is_replaced_and_not_missed(child, number):
    _count(child)
    pid = child.pid
    os.kill(pid, number)
    assert _count(child) == 1
    assert child.pid != pid


def test_a_process_that_nobody_needs_ends_by_itself(new_child):
    child = new_child(idle_s=0.1)
    _count(child)
    pid = child.pid
    wait_until(lambda: not child.alive)
    assert not is_running(pid)
    assert _count(child) == 1


def test_a_process_that_ends_for_want_of_work_just_when_work_comes_costs_nothing(new_child):
    child = new_child(idle_s=0.002)
    assert all(_count(child) >= 1 for _ in range(15))


@pytest.mark.parametrize("step", ["hang", "flood_of_warnings"])
def test_a_listener_that_fails_costs_the_process_and_is_heard_of(child, step):
    def fail(event, **fields):
        raise LookupError("the database is gone")

    with pytest.raises(LookupError):
        child.run(step, {"events": 5000}, fail)
    assert not child.alive
    assert _count(child) == 1


def _run_in_thread(child, step, job=None):
    """Run a step in a thread; returns its future once the step has told something."""
    began = threading.Event()
    threads = ThreadPoolExecutor(max_workers=1)
    future = threads.submit(child.run, step, job or {}, lambda event, **fields: began.set())
    assert began.wait(30)
    threads.shutdown(wait=False)
    return future


def test_stop_from_another_thread_ends_the_step_cleanly_and_for_good(child, tmp_path):
    future = _run_in_thread(child, "write_slowly", {"path": str(tmp_path / "file")})
    child.stop(20.0)
    with pytest.raises(Stopped):
        future.result(30)
    assert list(tmp_path.iterdir()) == []
    _fails(child, Stopped, "count")


def test_kill_from_another_thread_ends_the_step_at_once_but_not_for_good(child):
    future = _run_in_thread(child, "refuse_to_stop")
    child.kill()
    with pytest.raises(Stopped):
        future.result(30)
    assert _count(child) == 1


def test_the_process_outlives_the_thread_that_needed_it_first(child):
    thread = threading.Thread(target=_count, args=(child,))
    thread.start()
    thread.join()
    assert _count(child) == 2


def test_a_pool_lends_each_child_to_one_at_a_time(new_pool):
    pool = new_pool({"cpu": 1})
    with ThreadPoolExecutor(max_workers=1) as threads:
        with pool.lend("cpu") as first:
            second = threads.submit(lambda: pool.lend("cpu").__enter__())
            assert not second.done()
            assert _count(first) == 1
        assert second.result(30) is first


def test_a_job_keeps_its_child(new_pool):
    pool = new_pool({"cpu": 2})
    with pool.lend("cpu", "a") as of_a, pool.lend("cpu", "b") as of_b:
        assert of_a is not of_b
        assert (_count(of_a), _count(of_b)) == (1, 1)
    for job, expected in (("b", of_b), ("a", of_a), ("a", of_a), ("b", of_b)):
        with pool.lend("cpu", job) as child:
            assert child is expected
    assert sorted(pool.pids) == ["cpu-0", "cpu-1"]
    assert pool.memory_mb > of_a.memory_mb > 5


def test_a_pool_prefers_the_child_that_worked_last(new_pool):
    pool = new_pool({"cpu": 3})
    with pool.lend("cpu", "a") as of_a:
        _count(of_a)
    with pool.lend("cpu", "b") as child:
        assert child is of_a


def test_a_child_that_a_job_has_left_forgets_before_the_job_comes_back(new_pool):
    pool = new_pool({"cpu": 2})
    with pool.lend("cpu", "a") as first:
        _count(first)
        with pool.lend("cpu", "a") as second:  # the first is busy
            _count(second)
    with pool.lend("cpu", "a") as own:
        assert own is second
        assert _count(own) == 2
        with pool.lend("cpu", "a") as left:
            assert left is first
            assert _count(left) == 1


def test_a_job_prefers_a_child_that_it_has_not_left(new_pool):
    pool = new_pool({"cpu": 3})
    with pool.lend("cpu", "a") as first, pool.lend("cpu", "a") as second, pool.lend("cpu", "b") as third:
        for child in (first, second, third):
            _count(child)
    with pool.lend("cpu", "c"), pool.lend("cpu", "a") as own, pool.lend("cpu", "d"):
        assert own is second
    assert _count(first) == 2


def test_a_kind_without_slots_is_refused(new_pool):
    pool = new_pool({"cpu": 1, "gpu": 0})
    with pytest.raises(SettingsError, match="gpu: found a job for it"), pool.lend("gpu"):
        pass


@pytest.mark.parametrize(("seen", "expected"), [(None, ["0", "1"]), ("3, 5", ["3", "5"]), ("GPU-8a", ["GPU-8a", "1"])])
def test_each_child_of_several_gpus_sees_its_own(new_pool, monkeypatch, seen, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    pool = new_pool({"gpu": 2, "cpu": 1})
    with pool.lend("gpu") as one, pool.lend("gpu") as two, pool.lend("cpu") as neither:
        devices = {child.name: child.run("environment", {}, Events())["devices"] for child in (one, two, neither)}
    assert devices == {"gpu-0": expected[0], "gpu-1": expected[1], "cpu-0": seen}


def test_a_pool_that_stops_lets_steps_end_and_lends_no_more(new_pool):
    pool = new_pool({"cpu": 1})
    began, results = threading.Event(), []

    def work():
        with pool.lend("cpu") as child:
            results.append(child.run("slow_but_alive", {"times": 3, "pause_s": 0.1}, lambda event, **fields: began.set()))

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(30)
    pool.stop(grace_s=30)
    thread.join()
    assert results == [{}]
    assert pool.pids == {}
    with pytest.raises(Stopped), pool.lend("cpu"):
        pass


def test_a_pool_that_stops_ends_steps_that_do_not_end_and_sends_waiters_away(new_pool, tmp_path):
    pool = new_pool({"cpu": 1})
    began = threading.Event()

    def work():
        with pool.lend("cpu") as child:
            child.run("write_slowly", {"path": str(tmp_path / "file")}, lambda event, **fields: began.set())

    with ThreadPoolExecutor(max_workers=2) as threads:
        working = threads.submit(work)
        assert began.wait(30)
        waiting = threads.submit(work)
        pool.stop(grace_s=0.2)
        for future in (working, waiting):
            with pytest.raises(Stopped):
                future.result(30)
    assert list(tmp_path.iterdir()) == []
    assert pool.pids == {}


def test_a_pool_is_killed_at_once(new_pool):
    pool = new_pool({"cpu": 2})
    with pool.lend("cpu", "a") as child:
        future = _run_in_thread(child, "refuse_to_stop")
        pool.kill()
        with pytest.raises(Stopped):
            future.result(30)
    assert pool.pids == {}


def test_many_deaths_at_once_are_told_apart(new_pool):
    pool = new_pool({"cpu": 4})

    def work(code):
        with pool.lend("cpu") as child:
            return _fails(child, ChildDied, "end_hard", {"code": code}).reason

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert list(threads.map(work, range(8))) == [f"ended by itself (exit code {code})" for code in range(8)]
