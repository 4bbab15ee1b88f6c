"""Which files an input names, and which folder each take gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rigdrop.cli.sources import assign_folders, expand
from rigdrop.errors import ReadError
from rigdrop.files import sha256_of
from rigdrop.report import note_unsettled

from . import sam3d_files
from .motion_clips import write_amass, write_bvh

OUT = Path("rigdrop-out")


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())


def _report(folder: Path, **content: str) -> None:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"schema": "rigdrop.report", **content}))


def test_a_folder_gives_its_videos_at_any_depth_and_nothing_hidden(tmp_path):
    _touch(tmp_path / "b.MP4", tmp_path / "deep" / "a.mov", tmp_path / "notes.txt", tmp_path / ".trash" / "c.mp4")
    assert expand([str(tmp_path)], OUT) == [tmp_path / "b.MP4", tmp_path / "deep" / "a.mov"]


def test_a_pattern_gives_what_it_matches_and_each_file_once(tmp_path):
    _touch(tmp_path / "a1.mp4", tmp_path / "a2.mp4")
    assert expand([str(tmp_path / "a2.mp4"), str(tmp_path / "a*.mp4")], OUT) == [tmp_path / "a2.mp4", tmp_path / "a1.mp4"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    _touch(tmp_path / "take[1].mp4", tmp_path / "take1.mp4")
    assert expand([str(tmp_path / "take[1].mp4")], OUT) == [tmp_path / "take[1].mp4"]


def test_a_missing_file_is_left_to_the_reader_to_complain_about(tmp_path):
    assert expand([str(tmp_path / "none.mp4")], OUT) == [tmp_path / "none.mp4"]


@pytest.mark.parametrize("name", ["", "*.mp4"])
def test_an_empty_folder_or_pattern_is_an_error_that_names_it(tmp_path, name):
    with pytest.raises(ReadError, match=str(tmp_path)):
        expand([str(tmp_path / name)], OUT)


def _take(folder: Path, finished: bool = True) -> None:
    """A take's folder as a conversion leaves it; while it is converted again it has no report."""
    names = ("take.h5", "preview.mp4", "person_01/rig.bvh")
    _touch(*(folder / name for name in names))
    if finished:
        (folder / "report.json").write_text(json.dumps({"schema": "rigdrop.report", "files": [{"file": name} for name in names]}))
    else:
        note_unsettled(folder, names)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("out", ["rigdrop-out", "deep/takes", "elsewhere", "."])
def test_what_conversions_made_is_no_clip_wherever_it_lies(tmp_path, out, finished):
    clips = [tmp_path / "a.mp4", tmp_path / "b" / "c.mov"]
    _touch(*clips)
    _take(tmp_path / out / "a", finished=finished)
    assert expand([str(tmp_path)], tmp_path / out) == clips
    assert expand([str(tmp_path)], tmp_path / "other") == clips
    assert expand([str(tmp_path / "**" / "*.mp4")], tmp_path / out) == clips[:1]
    for name in (tmp_path / out / "a", tmp_path / out / "**" / "preview.mp4"):
        with pytest.raises(ReadError, match="we have written"):
            expand([str(name)], tmp_path / "other")
    for name in ("preview.mp4", "take.h5"):
        assert expand([str(tmp_path / out / "a" / name)], OUT) == [tmp_path / out / "a" / name]  # by name it is meant
    assert expand([str(tmp_path / out / "*" / "take.h5")], OUT) == [tmp_path / out / "a" / "take.h5"]


def test_the_output_folder_is_no_source_unless_it_is_named_or_around_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _touch(Path("shots/a.mp4"), Path("shots/out/demo.mp4"))
    assert expand(["shots"], Path("shots/out")) == [Path("shots/a.mp4")]
    assert expand(["."], tmp_path / "shots" / "out") == [Path("shots/a.mp4")]
    assert expand(["shots/out"], Path("shots/out")) == [Path("shots/out/demo.mp4")]
    assert expand(["shots/out"], Path("shots")) == [Path("shots/out/demo.mp4")]
    assert expand(["shots"], Path("shots")) == [Path("shots/a.mp4"), Path("shots/out/demo.mp4")]


def test_a_clip_that_lies_in_its_takes_folder_is_one_still(tmp_path):
    """``shots/010/010.mp4`` with ``--out shots``."""
    clip = tmp_path / "010" / "010.mp4"
    _touch(clip, tmp_path / "010" / "new" / "preview.mp4")
    _take(tmp_path / "010")
    assert expand([str(tmp_path)], tmp_path) == [clip, tmp_path / "010" / "new" / "preview.mp4"]  # that shows no take: just its name


def test_a_name_that_the_system_refuses_is_an_error_that_says_why(tmp_path):
    with pytest.raises(ReadError, match=r"x\.mp4: can't be read \(File name too long\)"):
        expand([str(tmp_path / ("x" * 300 + ".mp4"))], OUT)
    with pytest.raises(ReadError, match="matches no file"):
        expand([str(tmp_path / ("x" * 300 + "*.mp4"))], OUT)


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


def test_a_folder_gives_its_motion_files_and_nothing_else_that_is_called_like_them(tmp_path):
    clips = [write_amass(tmp_path / "b" / "walk_poses.npz", 2), write_bvh(tmp_path / "a.BVH", 2)]
    np.savez(tmp_path / "b" / "shape.npz", betas=np.zeros(16), gender="female")
    np.savez(tmp_path / ".cache.npz", poses=np.zeros((2, 156)))
    assert expand([str(tmp_path)], OUT) == sorted(clips)


@pytest.mark.parametrize("name", ["hero.glb", "hero.usd", "hero.usdc", "hero.usda", "hero.usdz"])
def test_what_we_write_is_not_picked_up_from_a_folder_and_is_taken_by_name(tmp_path, name):
    clip = write_amass(tmp_path / "walk.npz", 2)
    _touch(tmp_path / name)
    assert expand([str(tmp_path)], OUT) == [clip]
    assert expand([str(tmp_path / name)], OUT) == [tmp_path / name]


def test_a_broken_motion_file_in_a_folder_is_not_passed_over(tmp_path):
    """Whoever reads it says what is wrong; left out, nobody would notice."""
    broken = write_amass(tmp_path / "cut.npz", 2)
    broken.write_bytes(broken.read_bytes()[:1000])
    assert expand([str(tmp_path)], OUT) == [broken]


def _frames(folder: Path, frames: int) -> Path:
    folder.mkdir(parents=True)
    for frame in range(frames):
        np.savez(folder / f"{frame:05d}.npz", **sam3d_files.person(0, frame))
    return folder


def test_a_folder_with_a_file_a_frame_is_one_source_and_so_are_those_in_a_folder(tmp_path):
    first, second = _frames(tmp_path / "clips" / "one", 2), _frames(tmp_path / "clips" / "deep" / "two", 3)
    clip = write_amass(tmp_path / "clips" / "walk.npz", 2)
    hidden = _frames(tmp_path / "clips" / ".trash" / "three", 1)
    assert expand([str(first)], OUT) == [first]
    assert expand([str(tmp_path / "clips")], OUT) == sorted([first, second, clip])
    assert expand([str(hidden)], OUT) == [hidden]  # by name it is meant
    assert [folder.name for _, folder in assign_folders([first, second], tmp_path / "out")] == ["one", "two"]


def test_a_source_folder_keeps_its_takes_folder(tmp_path):
    source = _frames(tmp_path / "one", 2)
    _report(tmp_path / "out" / "one", source=str(source.absolute()))
    assert assign_folders([source], tmp_path / "out")[0][1].name == "one"
    _report(tmp_path / "other" / "one", source="/elsewhere/one")
    assert assign_folders([source], tmp_path / "other")[0][1].name == "one_2"
