"""Ctrl-C and SIGTERM of a command: heard once whoever swallows it, and a later one is not ignored."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

import pytest

from rigdrop.cli import stopping
from rigdrop.cli.output import progress
from rigdrop.cli.stopping import check_stop, checking, stoppable
from rigdrop.errors import ReadError, Stopped

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_raised_where_it_comes_and_the_old_handlers_are_back_afterwards(number):
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Stopped, match=f"stopped by {number.name}; nothing half-written is left"), stoppable():
        signal.raise_signal(number)
        raise AssertionError("it went on")
    assert [signal.getsignal(each) for each in SIGNALS] == before
    check_stop()  # and nobody is stopped any more


@pytest.mark.parametrize("number", SIGNALS)
def test_one_that_was_swallowed_is_raised_at_the_next_look(number):
    seen = []
    with pytest.raises(Stopped), stoppable():
        check_stop()
        with contextlib.suppress(Exception):
            signal.raise_signal(number)
        with pytest.raises(Stopped):
            check_stop()
        with pytest.raises(Stopped):
            checking(lambda event, **fields: seen.append(event))("stage")
        with progress() as emit, pytest.raises(Stopped):
            emit("stage", take="a", stage="fit")
    assert not seen


def test_one_that_was_swallowed_for_good_is_raised_in_the_end():
    with pytest.raises(Stopped), stoppable(), contextlib.suppress(Exception):
        signal.raise_signal(signal.SIGINT)


def test_one_that_was_taken_for_something_else_is_what_it_was():
    with pytest.raises(Stopped), stoppable():
        try:
            signal.raise_signal(signal.SIGINT)
        except Exception as error:
            raise ReadError("a.npy: found a pickle that can't be read") from error


def test_events_pass_while_nobody_stops():
    seen = []
    with stoppable():
        checking(lambda event, **fields: seen.append((event, fields)))("progress", done=1)
    assert seen == [("progress", {"done": 1})]


def test_a_second_one_right_after_does_not_interrupt_the_cleaning(monkeypatch):
    monkeypatch.setattr(stopping, "_PATIENCE_S", 1e9)
    cleaned = []
    with pytest.raises(Stopped, match="by SIGINT"), stoppable():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            cleaned.append(True)
    assert cleaned


_DEAF = """
import contextlib, multiprocessing, os, signal, sys, time
from rigdrop.cli import stopping

stopping._PATIENCE_S = 0.0  # as if it had passed
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    child.start()
    print(child.pid, flush=True)
    with stopping.stoppable():
        for number in map(int, sys.argv[1:]):
            with contextlib.suppress(Exception):
                signal.raise_signal(number)
        print("still here", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals of this kind")
@pytest.mark.parametrize("second", SIGNALS)
def test_a_later_one_ends_the_process_as_the_signal_does_by_itself_with_all_that_it_has_started(tmp_path, second):
    program = tmp_path / "deaf.py"
    program.write_text(_DEAF)
    command = [sys.executable, str(program), str(int(signal.SIGINT)), str(int(second))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)  # whose end means that nobody holds its pipes any more
    assert ended.returncode == -second, ended.stderr
    assert ended.stdout.split()[0].isdigit() and "still here" not in ended.stdout
