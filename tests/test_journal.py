"""The journal of a conversion: what is noted twice counts once, and what is written is read."""

from __future__ import annotations

from rigdrop.journal import Journal


def test_what_is_written_is_read(tmp_path):
    journal = Journal(warnings=["暗い"], problems=[{"message": "too long", "exit_code": 64}], people=[{"id": "person_01", "files": []}])
    journal.spent("fit", 1.23456, 80.5)
    journal.wrote("take.h5")
    journal.write(tmp_path / "journal.json")
    assert Journal.read(tmp_path / "journal.json") == journal
    assert journal.stages == [{"stage": "fit", "seconds": 1.235, "peak_memory_mb": 80.5}]


def test_where_there_is_none_it_is_empty(tmp_path):
    assert Journal.read(tmp_path / "journal.json") == Journal()


def test_a_stage_that_ran_again_counts_once():
    journal = Journal()
    journal.spent("estimate", 9.0, 1.0)
    journal.spent("fit", 1.0, 1.0)
    journal.spent("estimate", 7.0, 2.0)
    assert [(stage["stage"], stage["seconds"]) for stage in journal.stages] == [("fit", 1.0), ("estimate", 7.0)]


def test_a_file_that_was_written_again_counts_once():
    journal = Journal()
    for file in ("take.h5", "a.glb", "take.h5"):
        journal.wrote(file)
    assert journal.files == ["take.h5", "a.glb"]
