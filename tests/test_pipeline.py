"""One conversion from end to end: what it leaves, what it skips, what it keeps, and what it never leaves half done."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from rigdrop.config.options import OutputOptions
from rigdrop.config.settings import Settings, load_settings
from rigdrop.errors import ReadError, Stopped, WriteError
from rigdrop.files import sha256_of
from rigdrop.ingest.video import open_clip
from rigdrop.motion.store import read_take, write_take
from rigdrop.motion.take import Take
from rigdrop.pipeline import Conversion, Known, convert_clip
from rigdrop.render.encode import EncodeOptions, video_writer

from .synthetic import small_take

# float32 coordinates a metre or two from the origin are good to about 0.1 µm; skinning adds a few of those.
STORE_MM = 0.005


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return Settings()


@pytest.fixture
def stored(tmp_path) -> Path:
    """A stored take of two people whose clip is gone."""
    path = tmp_path / "source" / "take.h5"
    write_take(path, replace(small_take(people=2), provenance={"take": "clip", "fingerprint": "m", "source": "/gone.mp4", "video": {}}))
    return path


def _with(settings: Settings, **output) -> Settings:
    return replace(settings, output=OutputOptions(**output))


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class Events(list):
    def __call__(self, event, /, **fields):
        self.append((event, fields))

    def of(self, event):
        return [fields for name, fields in self if name == event]


def test_a_stored_take_becomes_every_format_for_everybody(stored, tmp_path, settings):
    folder = tmp_path / "out" / "歩く人"
    report = convert_clip(stored, folder, settings)
    endings = ("skeletal.glb", "baked.glb", "skel.usdc")
    expected = [f"{person}/歩く人_{person}_{ending}" for person in ("person_01", "person_02") for ending in endings]
    assert _names(folder) == sorted(["report.json", "take.h5", *expected])
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == report.content
    verified = [entry["verify"] for person in report.content["people"] for entry in person["files"]]
    assert len(verified) == 6
    assert all(figures["max_mm"] < STORE_MM and figures["frames"] == 12 and not figures["broken_rules"] for figures in verified)


def test_the_take_beside_the_files_is_the_take(stored, tmp_path, settings):
    convert_clip(stored, tmp_path / "out" / "clip", settings)
    assert (tmp_path / "out" / "clip" / "take.h5").read_bytes() == stored.read_bytes()


def test_a_take_converted_where_it_lies_stays_untouched(stored, settings):
    def content() -> tuple[int, ...]:
        status = stored.stat()  # reading it may change when it was last read
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    before = content()
    convert_clip(stored, stored.parent, settings)
    assert content() == before


def test_again_does_nothing(stored, tmp_path, settings):
    folder, events = tmp_path / "out" / "clip", Events()
    convert_clip(stored, folder, settings)
    before = {name: (folder / name).stat().st_mtime_ns for name in _names(folder)}
    assert convert_clip(stored, folder, settings, events).skipped
    assert before == {name: (folder / name).stat().st_mtime_ns for name in _names(folder)}
    assert [event for event, _ in events] == ["take", "skipped"]


@pytest.mark.parametrize("change", ["force", "options", "missing", "cut", "source"])
def test_again_after_a_change_converts(stored, tmp_path, settings, change):
    folder = tmp_path / "out" / "clip"
    convert_clip(stored, folder, settings)
    file = folder / "person_01" / "clip_person_01_baked.glb"
    if change == "missing":
        file.unlink()
    elif change == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif change == "options":
        settings = replace(settings, formats=load_settings(["--glb-skeletal.influences", "4"]).formats)
    elif change == "force":
        settings = _with(settings, force=True)
    else:
        take = read_take(stored)
        write_take(stored, replace(take, provenance={**take.provenance, "fingerprint": "other"}))
    assert not convert_clip(stored, folder, settings).skipped
    assert file.exists()


def test_another_format_of_the_same_motion_joins_the_others(stored, tmp_path, settings):
    folder = tmp_path / "out" / "clip"
    convert_clip(stored, folder, _with(settings, format=("glb-skeletal",)))
    content = convert_clip(stored, folder, _with(settings, format=("usd-skel",))).content
    formats = [[entry["format"] for entry in person["files"]] for person in content["people"]]
    assert formats == [["usd-skel", "glb-skeletal"]] * 2
    assert sorted(entry["file"] for entry in content["files"]) == [name for name in _names(folder) if name != "report.json"]


def test_the_same_format_under_another_name_replaces_it(stored, tmp_path, settings):
    folder = tmp_path / "out" / "clip"
    convert_clip(stored, folder, settings)
    convert_clip(stored, folder, replace(settings, formats=load_settings(["--usd-skel.format", "usda"]).formats))
    assert [name for name in _names(folder) if "usd" in name] == [f"{who}/clip_{who}_skel.usda" for who in ("person_01", "person_02")]


def test_files_of_another_motion_do_not_stay(stored, tmp_path, settings):
    folder = tmp_path / "out" / "clip"
    convert_clip(stored, folder, settings)
    take = read_take(stored)
    write_take(stored, replace(take, people=take.people[:1], provenance={**take.provenance, "fingerprint": "other"}))
    convert_clip(stored, folder, _with(settings, format=("glb-baked",)))
    assert _names(folder) == ["person_01/clip_person_01_baked.glb", "report.json", "take.h5"]


def test_scene_and_bundle_hold_everybody(stored, tmp_path, settings):
    import zipfile

    folder = tmp_path / "out" / "clip"
    convert_clip(stored, folder, _with(settings, scene=True, bundle=True))
    with zipfile.ZipFile(folder / "clip_bundle.zip") as bundle:
        assert sorted(bundle.namelist()) == [name for name in _names(folder) if name not in ("report.json", "clip_bundle.zip")]
    assert "scene.usdc" in _names(folder)


def test_a_scene_without_stages_says_what_to_add(stored, tmp_path, settings):
    from rigdrop.errors import UsageError

    with pytest.raises(UsageError, match="scene: found the formats glb-baked, expected usd-skel among them"):
        _with(settings, format=("glb-baked",), scene=True)
    assert not (tmp_path / "out").exists()


def _clip_of(path: Path, take: Take, colour: int) -> str:
    """Write a clip of one colour with a picture for every frame of a take; return its sha256."""
    with video_writer(path, take.camera.width, take.camera.height, take.fps, EncodeOptions()) as video:
        for time_s in take.times_s.tolist():
            video.add(np.full((take.camera.height, take.camera.width, 3), colour, np.uint8), time_s)
    return sha256_of(path)


def _background(folder: Path) -> float:
    """The colour behind everybody, in the upper left corner of the sheet's first picture."""
    return float(cv2.imread(str(folder / "preview.png"))[4:12, 4:12].mean())


@pytest.mark.parametrize("lead", [0, 3])
def test_a_preview_shows_the_clip_that_the_take_was_made_of_wherever_it_was_put(tmp_path, settings, lead):
    take, place = small_take(), tmp_path / "done" / "clip.mp4"
    place.parent.mkdir()
    _clip_of(place, take, 40)  # came later, under the same name
    own = _clip_of(tmp_path / "done" / "clip_2.mp4", small_take(frames=12 - lead), 200)
    provenance = {"source": str(place), "video": {}, "settings": {"lead-in": lead}}
    write_take(tmp_path / "take.h5", replace(take, source_sha256=own, provenance=provenance))
    folder, wanted = tmp_path / "out" / "clip", _with(settings, format=("glb-skeletal",))
    assert convert_clip(tmp_path / "take.h5", folder, wanted).content["warnings"] == []
    assert _background(folder) == pytest.approx(200, abs=6)
    # Every row has its picture, those before the motion too.
    assert len(list(open_clip(folder / "preview.mp4").frames())) == take.frame_count
    (tmp_path / "done" / "clip_2.mp4").unlink()
    warned = convert_clip(tmp_path / "take.h5", tmp_path / "out" / "other", wanted).content["warnings"]
    assert len(warned) == 1 and "holds another clip now; there is no preview" in warned[0]


def test_what_a_stopped_conversion_left_is_settled_by_the_next(stored, tmp_path, settings):
    folder, alone = tmp_path / "out" / "clip", tmp_path / "alone.h5"
    write_take(alone, replace(small_take(people=1), provenance={"take": "clip", "fingerprint": "n", "source": "/gone.mp4", "video": {}}))
    convert_clip(alone, tmp_path / "out" / "expected", settings)

    def stop(event, /, **fields):
        if event == "stage" and fields["stage"] == "verify glb-skeletal":
            raise Stopped("stopped by a test")

    convert_clip(stored, folder, settings)
    with pytest.raises(Stopped):
        convert_clip(alone, folder, settings, stop)
    convert_clip(alone, folder, settings)
    expected = [name.replace("expected", "clip") for name in _names(tmp_path / "out" / "expected")]
    assert _names(folder) == expected
    # Nor does one whose first conversion was stopped keep what that had written.
    fresh = tmp_path / "out" / "fresh"
    with pytest.raises(Stopped):
        convert_clip(stored, fresh, settings, stop)
    convert_clip(alone, fresh, settings)
    assert _names(fresh) == [name.replace("clip", "fresh") for name in expected]


def test_without_its_clip_a_take_has_no_preview_and_says_so(stored, tmp_path, settings):
    report = convert_clip(stored, tmp_path / "out" / "clip", settings)
    assert any("no preview" in warning for warning in report.content["warnings"])


def test_a_take_without_people_is_stored_and_valid(stored, tmp_path, settings):
    write_take(stored, replace(read_take(stored), people=[]))
    folder = tmp_path / "out" / "clip"
    assert convert_clip(stored, folder, settings).content["people"] == []
    assert _names(folder) == ["report.json", "take.h5"]


def test_the_report_says_what_each_stage_cost(stored, tmp_path, settings):
    stages = convert_clip(stored, tmp_path / "out" / "clip", settings).content["stages"]
    names = [stage["stage"] for stage in stages]
    assert names == ["store", *(f"{verb} {form}" for form in settings.output.format for verb in ("write", "verify"))]
    assert all(stage["seconds"] >= 0 for stage in stages)


def _long_take(path: Path) -> None:
    """A take that is too long for a baked GLB."""
    write_take(path, replace(small_take(frames=2100), provenance={"take": "long", "fingerprint": "l"}))


def test_a_clip_too_long_for_one_format_still_gets_the_others(tmp_path, settings):
    _long_take(tmp_path / "take.h5")
    report = convert_clip(tmp_path / "take.h5", tmp_path / "out" / "long", settings)
    assert [entry["format"] for entry in report.content["people"][0]["files"]] == ["glb-skeletal", "usd-skel"]
    assert any("glb-baked: not written" in warning for warning in report.content["warnings"])
    assert report.problems == ()


def test_a_format_that_was_asked_for_and_cannot_be_is_a_problem(tmp_path, settings):
    _long_take(tmp_path / "take.h5")
    folder = tmp_path / "out" / "long"
    report = convert_clip(tmp_path / "take.h5", folder, _with(settings, format=("glb-baked", "glb-skeletal")))
    assert len(report.problems) == 1
    assert [entry["format"] for entry in report.content["people"][0]["files"]] == ["glb-skeletal"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is Unicode")
def test_a_source_whose_name_is_not_unicode(tmp_path, settings):
    path = tmp_path / os.fsdecode(b"caf\xe9 \xff.h5")
    write_take(path, replace(small_take(), provenance={"take": "clip", "source": f"/gone/{path.stem}.mp4", "video": {}}))
    convert_clip(path, tmp_path / "out" / "clip", settings)
    report = json.loads((tmp_path / "out" / "clip" / "report.json").read_text(encoding="utf-8"))
    assert report["source"] == read_take(path).provenance["source"] == f"/gone/{path.stem}.mp4"


@pytest.mark.faults
def test_a_disk_that_refuses_leaves_no_report_and_nothing_half_written(stored, tmp_path, settings):
    folder = tmp_path / "out" / "clip"
    folder.mkdir(parents=True)
    (folder / "person_02").write_text("a file where the folder of a person should be")
    with pytest.raises(WriteError, match="person_02"):
        convert_clip(stored, folder, settings)
    assert "report.json" not in _names(folder)
    assert not [name for name in _names(folder) if ".part" in name]
    (folder / "person_02").unlink()
    assert not convert_clip(stored, folder, settings).skipped


@pytest.mark.faults
@pytest.mark.parametrize("moment", ["store", "write glb-baked", "verify usd-skel"])
def test_a_stop_at_any_stage_leaves_whole_files_and_no_report(stored, tmp_path, settings, moment):
    folder = tmp_path / "out" / "clip"

    def stop(event, /, **fields):
        if event == "stage" and fields["stage"] == moment:
            raise Stopped("stopped by a test")

    with pytest.raises(Stopped):
        convert_clip(stored, folder, settings, stop)
    assert "report.json" not in _names(folder)
    assert not [name for name in _names(folder) if ".part" in name]
    assert not convert_clip(stored, folder, settings).skipped


def test_a_take_that_is_cut_off_is_an_error_and_makes_no_folder(stored, tmp_path, settings):
    stored.write_bytes(stored.read_bytes()[:2000])
    with pytest.raises(ReadError, match=r"take\.h5"):
        convert_clip(stored, tmp_path / "out" / "clip", settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b"not a video"])
def test_what_is_no_video_is_an_error_and_makes_no_folder(tmp_path, settings, content):
    clip = tmp_path / "clip.mp4"
    if content is not None:
        clip.write_bytes(content)
    with pytest.raises(ReadError, match=r"clip\.mp4"):
        convert_clip(clip, tmp_path / "out" / "clip", settings)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Twenty frames of somebody who walks, rendered."""
    from rigdrop.render.demo import DemoOptions, render_demo

    path = tmp_path_factory.mktemp("clip") / "walk.mp4"
    render_demo(path, DemoOptions(seconds=20 / 30))
    return path


@pytest.mark.slow
def test_a_clip_becomes_a_character_that_stands_where_the_person_stood(clip, tmp_path, settings):
    folder, events = tmp_path / "walk", Events()
    report = convert_clip(clip, folder, settings, events)
    person = report.content["people"][0]
    assert (report.content["frames"], len(report.content["people"]), person["visible_share"]) == (20, 1, 1.0)
    assert {"preview.mp4", "preview.png", "take.h5"} <= set(_names(folder))
    assert person["bone_drift"] < 1e-4  # one body for the whole clip; what is left is float32
    assert [fields["done"] for fields in events.of("progress") if fields["stage"] == "estimate"][-1] == 20

    # Another format costs no second look at the clip.
    again = Events()
    convert_clip(clip, folder, _with(settings, format=("usd-skel",)), again)
    assert again.of("stored") and not [fields for fields in again.of("stage") if fields["stage"] == "estimate"]
    # An option that changes the motion does.
    changed = Events()
    convert_clip(clip, folder, replace(settings, video=replace(settings.video, end_s=0.4)), changed)
    assert [fields for fields in changed.of("stage") if fields["stage"] == "estimate"]
    assert read_take(folder / "take.h5").frame_count < 20


@pytest.mark.slow
def test_each_stage_in_a_process_of_its_own_comes_to_the_same(clip, tmp_path, settings):
    """What a service does that is killed after each stage, and runs the last one again."""
    settings = _with(settings, format=("glb-skeletal", "usd-skel"), preview=False)
    known = Known(kept_at=tmp_path / "done" / "walk.mp4", notes={"job": "ab-1"})

    def begun() -> Conversion:
        return Conversion(clip, tmp_path / "staged" / "walk", settings, scratch=tmp_path / "scratch", known=known)

    for stage in ("estimate", "fit", "store", *(f"{verb} {form}" for form in settings.output.format for verb in ("write", "verify"))):
        verb, _, name = stage.partition(" ")
        for _ in range(2):
            getattr(begun(), verb)(*[name] if name else [])
    staged, whole = begun().finish().content, convert_clip(clip, tmp_path / "whole" / "walk", settings).content

    told = {"created_utc", "stages", "source", "job"}
    assert staged | dict.fromkeys(told) == whole | dict.fromkeys(told)
    assert (staged["job"], staged["source"]) == ("ab-1", str(tmp_path / "done" / "walk.mp4"))
    assert [entry["stage"] for entry in staged["stages"]] == [entry["stage"] for entry in whole["stages"]]
    for entry in (entry for entry in whole["files"] if entry["file"] != "take.h5"):
        assert (tmp_path / "staged" / "walk" / entry["file"]).read_bytes() == (tmp_path / "whole" / "walk" / entry["file"]).read_bytes()


@pytest.mark.slow
def test_nobody_in_the_clip_is_an_empty_take_with_a_warning(tmp_path, settings):
    from fractions import Fraction

    from rigdrop.render.encode import video_writer

    path = tmp_path / "empty.mp4"
    with video_writer(path, 320, 240, Fraction(30)) as video:
        for frame in range(8):
            video.add(np.full((240, 320, 3), 90 + frame, np.uint8), frame / 30)
    report = convert_clip(path, tmp_path / "out" / "empty", settings)
    assert report.content["people"] == []
    assert any("nobody" in warning or "no people" in warning for warning in report.content["warnings"])
    assert _names(tmp_path / "out" / "empty") == ["report.json", "take.h5"]
