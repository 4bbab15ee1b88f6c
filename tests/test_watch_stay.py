"""Notes on what is done and stays in the inbox."""

from __future__ import annotations

import os

import pytest

from rigdrop.watch.stay import mark, marked, prune


def test_nothing_is_marked_in_a_new_folder(tmp_path):
    assert marked(tmp_path) == frozenset()


def test_marks_are_kept_and_may_be_made_twice(tmp_path):
    for identity in ("a", "b", "a"):
        mark(tmp_path, identity)
    assert marked(tmp_path) == {"a", "b"}


def test_only_what_is_gone_for_a_day_is_forgotten(tmp_path):
    for identity in ("there", "gone", "just gone"):
        mark(tmp_path, identity)
    for identity in ("there", "gone"):
        os.utime(tmp_path / ".rigdrop" / "stayed" / identity, (0, 0))
    assert prune(tmp_path, {"there"}) == 1
    assert marked(tmp_path) == {"there", "just gone"}


def test_marks_that_cannot_be_read_are_an_error_and_not_none(tmp_path):
    (tmp_path / ".rigdrop").mkdir()
    (tmp_path / ".rigdrop" / "stayed").write_text("")
    with pytest.raises(NotADirectoryError):
        marked(tmp_path)
