"""Which files an input names, and which folder each take gets."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from rigdrop.cli.sources import assign_folders, expand
from rigdrop.errors import ReadError
from rigdrop.files import sha256_of
from rigdrop.naming import take_name


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())


def _report(folder: Path, **content: str) -> None:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"schema": "rigdrop.report", **content}))


def test_a_folder_gives_its_videos_at_any_depth_and_nothing_hidden(tmp_path):
    _touch(tmp_path / "b.MP4", tmp_path / "deep" / "a.mov", tmp_path / "notes.txt", tmp_path / ".trash" / "c.mp4")
    assert expand([str(tmp_path)]) == [tmp_path / "b.MP4", tmp_path / "deep" / "a.mov"]


def test_a_pattern_gives_what_it_matches_and_each_file_once(tmp_path):
    _touch(tmp_path / "a1.mp4", tmp_path / "a2.mp4")
    assert expand([str(tmp_path / "a2.mp4"), str(tmp_path / "a*.mp4")]) == [tmp_path / "a2.mp4", tmp_path / "a1.mp4"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    _touch(tmp_path / "take[1].mp4", tmp_path / "take1.mp4")
    assert expand([str(tmp_path / "take[1].mp4")]) == [tmp_path / "take[1].mp4"]


def test_a_missing_file_is_left_to_the_reader_to_complain_about(tmp_path):
    assert expand([str(tmp_path / "none.mp4")]) == [tmp_path / "none.mp4"]


@pytest.mark.parametrize("name", ["", "*.mp4"])
def test_an_empty_folder_or_pattern_is_an_error_that_names_it(tmp_path, name):
    with pytest.raises(ReadError, match=str(tmp_path)):
        expand([str(tmp_path / name)])


def test_two_sources_of_one_name_get_two_folders_in_any_order_from_run_to_run(tmp_path):
    first, second, out = tmp_path / "x" / "clip.mp4", tmp_path / "y" / "clip.mov", tmp_path / "out"
    _touch(first, second)
    pairs = assign_folders([first, second], out)
    assert [folder.name for _, folder in pairs] == ["clip", "clip_2"]
    for source, folder in pairs:
        _report(folder, source=str(source.absolute()), source_sha256=sha256_of(source))
    assert dict(assign_folders([second, first], out)) == dict(pairs)


def test_a_source_that_moved_keeps_its_folder(tmp_path):
    source, out = tmp_path / "clip.mp4", tmp_path / "out"
    _touch(source)
    _report(out / "clip", source="/gone/clip.mp4", source_sha256=sha256_of(source))
    assert assign_folders([source], out) == [(source, out / "clip")]


def test_a_folder_without_a_report_is_free(tmp_path):
    source = tmp_path / "clip.mp4"
    _touch(source, tmp_path / "out" / "clip" / "half.glb")
    assert assign_folders([source], tmp_path / "out")[0][1].name == "clip"


@pytest.mark.parametrize(("stem", "name"), [("歩く人", "歩く人"), ("a b", "a b"), (" . ", "take"), ("dots.in.name", "dots.in.name")])
def test_names_stay_what_they_are(stem, name):
    assert take_name(Path(f"{stem}.mp4")) == name


def test_names_too_long_for_a_file_system_are_cut_between_letters_and_stay_different():
    names = [take_name(Path("歩" * 83 + end + ".mp4")) for end in "あいう"]
    assert len(set(names)) == 3
    assert all(len(f"{name}_person_01_skeletal.glb".encode()) <= 255 for name in names)
    assert all(name[:61] == "歩" * 60 + "~" for name in islice(names, 3))
