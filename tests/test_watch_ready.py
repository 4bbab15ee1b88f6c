"""When a file is ready, on a clock that the test holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rigdrop.watch.ready import Readiness
from rigdrop.watch.scan import Entry, Stamp

A = Entry(Path("/inbox"), "a.mp4", Stamp(100, 5, 7))
B = Entry(Path("/inbox"), "b.mp4", Stamp(100, 5, 8))


def _ready(settle_s: float = 2.0, grace_s: float = 100.0) -> Readiness:
    return Readiness(settle_s, grace_s)


def test_a_file_is_given_when_two_scans_a_while_apart_saw_the_same():
    ready = _ready()
    assert ready.update([A], 10.0) == []
    assert ready.update([A], 11.9) == []
    assert ready.update([A], 12.0) == [A]


def test_one_scan_is_never_enough():
    assert _ready(settle_s=1e-9).update([A], 1e9) == []


@pytest.mark.parametrize("change", [{"size": 101}, {"size": 99}, {"mtime_ns": 6}, {"mtime_ns": 4}, {"inode": 9}])
def test_any_change_begins_the_wait_anew(change):
    ready = _ready()
    other = replace(A, stamp=replace(A.stamp, **change))
    ready.update([A], 0.0)
    assert ready.update([other], 2.0) == []
    assert ready.update([other], 3.9) == []
    assert ready.update([other], 4.0) == [other]


def test_its_settings_are_waited_for_too():
    ready = _ready()
    ready.update([A], 0.0)
    with_settings = replace(A, sidecar=Stamp(3, 1, 1))
    assert ready.update([with_settings], 2.0) == []
    longer = replace(A, sidecar=Stamp(5, 2, 1))
    assert ready.update([longer], 3.9) == []
    assert ready.update([longer], 5.9) == [longer]


def test_a_file_that_grows_for_a_minute_is_given_after_it():
    ready = _ready()
    given = [
        second for second in range(70)
        if ready.update([replace(A, stamp=Stamp(min(second, 60), min(second, 60), 7))], float(second))
    ]
    assert given[0] == 62


def test_a_file_is_given_until_it_is_gone_or_not_ready():
    ready = _ready()
    ready.update([A, B], 0.0)
    assert ready.update([A, B], 2.0) == ready.update([A, B], 2.1) == [A, B]
    ready.not_open(A, "moov atom not found", 2.1)
    assert ready.update([A, B], 2.2) == [B]
    assert ready.update([A], 2.3) == []


def test_the_longest_quiet_comes_first():
    ready = _ready()
    ready.update([B], 0.0)
    ready.update([A, B], 1.0)
    assert ready.update([A, B], 5.0) == [B, A]


def test_what_does_not_open_is_given_later_and_later_then_given_up():
    ready = _ready(settle_s=2.0, grace_s=60.0)
    ready.update([A], 0.0)
    looks, answer, second = [], "wait", 0.0
    while answer == "wait":
        second += 0.5
        if ready.update([A], second):
            looks.append(second)
            answer = ready.not_open(A, "moov atom not found", second)
    assert looks == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert answer == "give up"


def test_the_grace_counts_from_the_last_change():
    ready = _ready(grace_s=10.0)
    ready.update([A], 0.0)
    ready.update([A], 9.0)
    grown = replace(A, stamp=Stamp(101, 5, 7))
    ready.update([grown], 9.5)
    assert ready.update([grown], 11.5) == [grown]
    assert ready.not_open(grown, "no", 11.5) == "wait"
    assert ready.update([grown], 19.5) == [grown]
    assert ready.not_open(grown, "no", 19.5) == "give up"


def test_the_wait_is_never_longer_than_a_minute_and_grows_anew_after_a_change():
    ready = _ready(grace_s=1e6)
    ready.update([A], 0.0)
    now, waits = 2.0, []
    for _ in range(10):
        assert ready.update([A], now) == [A]
        ready.not_open(A, "no", now)
        waits.append(ready.due_s(now))
        now += waits[-1]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    other = replace(A, stamp=Stamp(1, 1, 1))
    ready.update([other], now)
    assert ready.update([other], now + 2) == [other]
    ready.not_open(other, "no", now + 2)
    assert ready.due_s(now + 2) == 2


def test_one_that_was_given_up_but_cannot_be_taken_comes_again_later():
    ready = _ready(grace_s=5.0)
    ready.update([A], 0.0)
    assert ready.update([A], 6.0) == [A]
    assert ready.not_open(A, "no", 6.0) == "give up"
    assert ready.not_open(A, "the folder is read-only", 6.0) == "give up"
    assert ready.update([A], 6.0) == []
    assert ready.update([A], 6.0 + ready.due_s(6.0)) == [A]


def test_what_is_said_of_a_file_that_has_changed_or_gone_meanwhile_says_nothing():
    ready = _ready(grace_s=1.0)
    ready.update([A], 0.0)
    ready.update([replace(A, stamp=Stamp(1, 1, 1))], 5.0)
    assert ready.not_open(A, "no", 50.0) == "wait"
    assert ready.not_open(B, "no", 50.0) == "wait"
    assert ready.update([replace(A, stamp=Stamp(1, 1, 1))], 7.0) != []


def test_a_file_that_went_and_came_back_waits_anew():
    ready = _ready()
    ready.update([A], 0.0)
    ready.update([], 1.0)
    assert ready.update([A], 2.0) == []
    assert ready.update([A], 4.0) == [A]


def test_it_says_when_the_next_look_is_due():
    ready = _ready()
    assert ready.due_s(0.0) is None
    ready.update([A], 0.0)
    ready.update([A, B], 1.0)
    assert ready.due_s(1.5) == 0.5
    assert ready.due_s(30.0) == 0.0
    ready.update([A, B], 2.5)  # A was given, and is no reason to come again at once
    assert ready.due_s(2.5) == 0.5
    ready.forget(A)
    ready.update([], 3.0)
    assert ready.due_s(3.0) is None


def test_it_counts_what_waits_for_what():
    ready = _ready()
    assert ready.counts() == {"settling": 0, "unopened": 0, "ready": 0} and tuple(ready.counts()) == Readiness.STATES
    ready.update([A, B], 0.0)
    assert ready.counts() == {"settling": 2, "unopened": 0, "ready": 0}
    ready.update([A, B], 2.0)
    ready.not_open(A, "moov atom not found", 2.0)
    assert ready.counts() == {"settling": 0, "unopened": 1, "ready": 1}
    assert ready.reasons() == {"a.mp4": "moov atom not found"}
    ready.forget(B)
    assert ready.counts() == {"settling": 0, "unopened": 1, "ready": 0}


def test_ten_thousand_files_are_no_trouble():
    ready = _ready()
    many = [replace(A, relative=f"{number}.mp4") for number in range(10_000)]
    assert ready.update(many, 0.0) == []
    assert len(ready.update(many, 2.0)) == 10_000
    assert ready.due_s(2.0) is None
