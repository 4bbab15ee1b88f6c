"""What takes are called, whatever their sources are called."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from rigdrop.motion.store import write_take
from rigdrop.naming import take_name, unicode_name

from .synthetic import small_take


@pytest.mark.parametrize(("stem", "name"), [("歩く人", "歩く人"), ("a b", "a b"), (" . ", "take"), ("dots.in.name", "dots.in.name")])
def test_names_stay_what_they_are(stem, name):
    assert take_name(Path(f"{stem}.mp4")) == name


def test_names_too_long_for_a_file_system_are_cut_between_letters_and_stay_different():
    names = [take_name(Path("歩" * 83 + end + ".mp4")) for end in "あいう"]
    assert len(set(names)) == 3
    assert all(len(f"{name}_person_01_skeletal.glb".encode()) <= 255 for name in names)
    assert all(name[:61] == "歩" * 60 + "~" for name in islice(names, 3))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is Unicode")
def test_a_byte_that_is_no_unicode_becomes_its_number():
    assert take_name(Path(os.fsdecode(b"caf\xe9 \xff.mp4"))) == "caf%E9 %FF"
    assert unicode_name("café 歩") == "café 歩"


def test_a_folder_keeps_its_whole_name(tmp_path):
    (tmp_path / "take.v2").mkdir()
    assert take_name(tmp_path / "take.v2") == "take.v2"


def test_results_that_are_all_called_alike_are_called_after_their_folders(tmp_path, monkeypatch):
    (tmp_path / "dance").mkdir()
    assert take_name(tmp_path / "dance" / "hmr4d_results.pt") == "dance"
    monkeypatch.chdir(tmp_path / "dance")
    assert take_name(Path("hmr4d_results.pt")) == "dance"


def test_a_source_that_lies_elsewhere_for_the_while_is_called_after_where_its_owner_has_it(tmp_path):
    claimed = tmp_path / "claims" / "job-1" / "hmr4d_results.pt"
    assert take_name(claimed, tmp_path / "dance" / "hmr4d_results.pt") == "dance"
    write_take(tmp_path / "job-1.h5", replace(small_take(), provenance={"take": "my clip"}))
    assert take_name(tmp_path / "job-1.h5", tmp_path / "elsewhere.h5") == "my clip"


@pytest.mark.parametrize(("provenance", "name"), [({"take": "my clip"}, "my clip"), ({}, "a clip")])
def test_a_stored_take_has_the_name_that_it_was_given_or_its_sources(tmp_path, provenance, name):
    write_take(tmp_path / "take.h5", replace(small_take(), provenance=provenance))
    assert take_name(tmp_path / "take.h5") == name


def test_a_take_that_can_not_be_read_is_called_after_its_file(tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"no take")
    assert take_name(tmp_path / "broken.h5") == "broken"
