"""Names: which are inputs, which are left alone, and numbers that fit."""

from __future__ import annotations

import os
import unicodedata

import pytest

from rigdrop.watch.names import INPUT_SUFFIXES, is_ignored, is_input, is_own, numbered, sidecar_name

from .watch_folders import LONG_NAME, RAW_NAME


@pytest.mark.parametrize(
    "name",
    [
        ".clip.mp4", "._clip.mp4", ".DS_Store", "clip.mp4.part", "clip.part", "clip.mp4.filepart", "clip.mp4.crdownload", "clip.tmp",
        "~clip.mp4", "~$clip.mp4", "CLIP.MP4.PART", "clip.TMP", "@eaDir", "@EADIR", ".stversions", "#recycle", "#Recycle", ".snapshot",
        ".rigdrop",
    ],
)
def test_what_is_unfinished_or_of_a_storage_server_is_ignored(name):
    assert is_ignored(name) and not is_input(name)


@pytest.mark.parametrize("name", ["clip.mp4", "part.mp4", "clip.part.mp4", "tmp", "recycle", "eaDir", "a~.mp4", "snapshot", "done", "歩く"])
def test_other_names_are_not(name):
    assert not is_ignored(name)


@pytest.mark.parametrize(
    "name", ["clip.mp4", "CLIP.MOV", "take.h5", "a.b.mkv", LONG_NAME, RAW_NAME, "ü.mp4", unicodedata.normalize("NFD", "ü.mp4")]
)
def test_videos_and_takes_are_inputs(name):
    assert is_input(name)


@pytest.mark.parametrize("name", ["clip", "clip.mp4.toml", "rigdrop.toml", "notes.txt", "preview.png", "mp4", ".mp4"])
def test_other_files_are_not(name):
    assert not is_input(name)


def test_every_suffix_is_in_lower_case():
    assert {suffix for suffix in INPUT_SUFFIXES if suffix != suffix.lower() or not suffix.startswith(".")} == set()


@pytest.mark.parametrize(
    ("name", "own"), [("done", True), ("failed", True), (".rigdrop", True), ("Done", True), ("done2", False), ("inbox", False)]
)
def test_the_services_own_folders(name, own):
    assert is_own(name) is own


def test_settings_lie_beside():
    assert sidecar_name("clip.mp4") == "clip.mp4.toml"


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("clip.mp4", 1, "clip.mp4"), ("clip.mp4", 2, "clip_2.mp4"), ("a.b.MOV", 10, "a.b_10.MOV"), ("shot.v2", 2, "shot.v2_2"),
        ("sub", 3, "sub_3"), (".mp4", 2, ".mp4_2"),
    ],
)
def test_a_number_stands_before_the_suffix(name, number, expected):
    assert numbered(name, number) == expected


@pytest.mark.parametrize("name", [LONG_NAME, "歩" * 83 + "x.mp4", "a" * 251 + ".mp4", "x" + "\udcff" * 250 + ".mp4", "a" * 255])
@pytest.mark.parametrize("number", [2, 10, 12345])
@pytest.mark.parametrize("spare_bytes", [0, 5])
def test_a_numbered_name_fits_and_is_cut_between_characters(name, number, spare_bytes):
    assert len(os.fsencode(name)) <= 255
    result = numbered(name, number, spare_bytes)
    assert 255 - spare_bytes - 4 < len(os.fsencode(result)) <= 255 - spare_bytes
    assert is_input(result) == is_input(name)
    stem = result.rpartition("_")[0]
    assert name.startswith(stem) and os.fsencode(stem).decode("utf-8", "surrogateescape") == stem


def test_an_accent_stays_with_its_letter():
    letter = "e\u0301\u0302"  # five bytes
    result = numbered(letter * 50 + "x.mp4", 2)
    assert result == letter * 49 + "_2.mp4"


def test_names_are_kept_in_the_form_that_they_have():
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Bär.mp4")
        assert unicodedata.is_normalized(form, numbered(name, 2))
