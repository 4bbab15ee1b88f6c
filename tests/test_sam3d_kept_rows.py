from __future__ import annotations

import numpy as np
import pytest

from rigdrop.errors import WriteError
from rigdrop.ingest.people.boxes import PersonBoxes, Sighted
from rigdrop.ingest.pose.sam3d_body.kept_rows import KeptRows


def sighted() -> Sighted:
    rng = np.random.default_rng(7)
    people = tuple(
        PersonBoxes(number, frame, rng.uniform(0, 500, (len(frame), 4)).astype(np.float32), rng.uniform(size=len(frame)).astype(np.float32),
                    rng.uniform(size=len(frame)) > 0.5)
        for number, frame in ((3, np.arange(5, 70)), (8, np.array([0, 2, 69])))
    )
    return Sighted(np.arange(70) / 29.97, people, None, ("one warning",), {"detector": "made up"})


def test_people_come_back_as_they_were(tmp_path):
    kept, before = KeptRows(tmp_path / "not there yet"), sighted()
    assert kept.people() is None
    kept.keep_people(before)
    after = kept.people()
    assert after is not None and np.array_equal(after.times_s, before.times_s)
    assert after.warnings == before.warnings and after.details == before.details
    for mine, theirs in zip(after.people, before.people, strict=True):
        assert mine.id == theirs.id
        for name in ("frame", "box_xyxy", "score", "occluded"):
            assert np.array_equal(getattr(mine, name), getattr(theirs, name)) and getattr(mine, name).dtype == getattr(theirs, name).dtype


def test_chunks_come_back_in_order_and_only_those_that_are_there(tmp_path):
    kept = KeptRows(tmp_path)
    for chunk in (4, 0):
        kept.keep(chunk, {"frame": np.arange(3) + 64 * chunk, "params": np.full((3, 204), chunk, np.float32)})
    assert [kept.has(chunk) for chunk in range(6)] == [True, False, False, False, True, False]
    assert [int(rows["frame"][0]) for rows in kept.rows(6)] == [0, 256]


def test_a_file_that_is_cut_counts_as_not_there(tmp_path):
    kept = KeptRows(tmp_path)
    kept.keep_people(sighted())
    (whole,) = tmp_path.iterdir()
    whole.write_bytes(whole.read_bytes()[:-40])
    assert kept.people() is None


def test_nothing_is_left_under_a_final_name_where_the_disk_refuses(tmp_path):
    (tmp_path / "taken").write_text("a file, where a folder should be")
    with pytest.raises(WriteError, match="free space"):
        KeptRows(tmp_path / "taken").keep(0, {"frame": np.arange(3)})
