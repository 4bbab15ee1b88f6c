from __future__ import annotations

import threading
import time

import pytest

from rigdrop.ingest.pose.ahead import ahead


def test_the_same_items_in_the_same_order():
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter([]))) == []
    assert list(ahead(iter([None, False, 0]))) == [None, False, 0]


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("broken")

    found = []
    with pytest.raises(ValueError, match="broken"):
        found.extend(ahead(items()))
    with pytest.raises(ValueError, match="broken"):
        for item in ahead(items()):
            found.append(item)
    assert found == [1, 2, 1, 2] or found == [1, 2]


def test_no_more_than_a_few_are_made_too_early():
    made = []
    source = (made.append(k) or k for k in range(1000))
    reader = ahead(source, depth=3)
    next(reader)
    time.sleep(0.05)
    # One in hand, three that wait, one that waits to be put.
    assert len(made) <= 5
    reader.close()


def test_stopping_early_stops_the_thread_and_the_source():
    before = threading.active_count()
    reader = ahead(iter(range(10**9)))
    assert next(reader) == 0
    reader.close()
    assert threading.active_count() == before
