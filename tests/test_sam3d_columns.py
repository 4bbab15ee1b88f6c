from __future__ import annotations

import numpy as np
import torch

from rigdrop.ingest.pose.sam3d_body.columns import Rows, sent_back

NOTHING = {"a": np.zeros((0, 2), np.float32), "b": np.zeros((0, 1), bool)}


def _part(first: int, count: int):
    numbers = np.arange(first, first + count)
    return {"a": np.stack([numbers, -numbers], axis=1).astype(np.float32), "b": (numbers % 2 == 1)[:, None]}, np.ones(count, bool)


def test_rows_become_frames_however_they_come():
    rows = Rows(NOTHING)
    rows.expect([(3, 0), (4, 2), (5, 3)])
    assert [frame for frame, *_ in rows.whole()] == [3]
    rows.add(*_part(0, 1))
    assert list(rows.whole()) == []
    rows.add(*_part(1, 3))
    (frame, columns, ok), = rows.whole()
    assert frame == 4 and ok.tolist() == [True, True]
    assert columns["a"].tolist() == [[0, 0], [1, -1]] and columns["b"].tolist() == [[False], [True]]
    rows.expect([(9, 0)])
    rows.add(*_part(4, 1))
    found = list(rows.whole())
    assert [frame for frame, *_ in found] == [5, 9]
    assert found[0][1]["a"][:, 0].tolist() == [2, 3, 4] and found[1][1]["a"].shape == (0, 2) and found[1][2].dtype == bool


def test_a_row_that_is_no_number_somewhere_is_none_anywhere():
    a = torch.tensor([[1.0, 2.0], [torch.inf, 0.0], [3.0, 4.0]])
    columns, ok = sent_back({"bbox": a, "fused": torch.ones(3, 2, dtype=torch.bool)}).columns()
    assert ok.tolist() == [True, False, True]
    assert np.isnan(columns["bbox"][1]).all() and columns["bbox"][[0, 2]].tolist() == [[1, 2], [3, 4]]
    assert columns["fused"].tolist() == [[True, True], [False, False], [True, True]]
    assert a[1, 1] == 0  # the device's own stays
