from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from rigdrop.ingest.rows import Rows

LAYOUT = np.dtype([("frame", np.int32), ("points", np.float32, (4, 2))])


def filled(count):
    rows = Rows(LAYOUT)
    for frame in range(count):
        assert rows.add(frame, np.full((4, 2), frame / 2)) == frame
    return rows


@pytest.mark.parametrize("count", [0, 1, 1024, 3000])
def test_every_record_comes_back(count):
    rows = filled(count)
    assert len(rows) == count
    np.testing.assert_array_equal(rows.column("frame"), np.arange(count))
    np.testing.assert_array_equal(rows.column("points"), np.arange(count)[:, None, None] / 2 * np.ones((4, 2)))


def test_some_records_come_in_the_order_asked_for():
    rows, wanted = filled(3000), np.array([2999, 5, 1024, 5])
    np.testing.assert_array_equal(rows.column("frame", wanted), wanted)
    assert rows.column("points", wanted).shape == (4, 4, 2) and rows.column("frame", wanted[:0]).shape == (0,)


def test_a_column_is_a_copy_that_keeps_nothing_else_alive():
    rows = filled(10)
    column = rows.column("points")
    assert column.base is None and column.dtype == np.float32
    column[:] = 0
    assert rows.column("points")[9, 0, 0] == 4.5


def test_a_record_costs_its_own_bytes():
    tracemalloc.start()
    try:
        rows = filled(4096)  # four blocks, all full
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) * LAYOUT.itemsize <= held <= 1.05 * len(rows) * LAYOUT.itemsize
