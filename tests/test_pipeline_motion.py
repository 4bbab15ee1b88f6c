"""Motion files through the pipeline: what they leave, what is skipped, each stage in a process of its own, and what can't be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigdrop.config.options import OutputOptions
from rigdrop.config.settings import Settings, load_settings
from rigdrop.convert.clean import CleanOptions
from rigdrop.convert.finish import BindOptions
from rigdrop.errors import ReadError, SettingsError, WriteError
from rigdrop.formats.registry import FORMATS
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.video_options import VideoOptions
from rigdrop.motion.store import read_take
from rigdrop.pipeline import Conversion, Known, convert_clip

from .motion_clips import SPEED_M_S, write_amass, write_bvh
from .synthetic import small_take

pytestmark = pytest.mark.usefixtures("alone")
GLB = OutputOptions(format=("glb-skeletal",), preview=False)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tube(tmp_path) -> Path:
    """A .glb with a character of its own, which needs no body of ours: 24 frames at 30 fps."""
    take, path = small_take(24), tmp_path / "tube.glb"
    FORMATS["glb-skeletal"].write(take, take.people[0], path, None)
    return path


class Events(list):
    def __call__(self, event, /, **fields):
        self.append((event, fields))

    def stages(self):
        return [fields["stage"] for name, fields in self if name == "stage"]


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file_with_a_character_keeps_it_and_its_motion(tube, tmp_path):
    report = convert_clip(tube, tmp_path / "out" / "tube", Settings(output=GLB))
    assert _names(tmp_path / "out" / "tube") == ["person_01/tube_person_01_skeletal.glb", "report.json", "take.h5"]
    take, truth = read_take(tmp_path / "out" / "tube" / "take.h5"), small_take(24)
    person, own = take.people[0], truth.people[0]
    assert take.provenance["kind"] == "motion" and take.source_name == "tube.glb" and take.fps == 30
    np.testing.assert_allclose(take.times_s - take.times_s[0], truth.times_s - truth.times_s[0], atol=1e-6)
    # Joints that a file's nodes carry in single precision.
    assert set(own.rig.joint_names) <= set(person.rig.joint_names)
    assert report.content["people"][0]["files"][0]["verify"]["max_mm"] < 0.005
    stages = [stage["stage"] for stage in report.content["stages"]]
    assert stages == ["estimate", "fit", "store", "write glb-skeletal", "verify glb-skeletal"]


def test_again_does_nothing_and_what_changes_the_motion_does(tube, tmp_path):
    folder, settings = tmp_path / "out" / "tube", Settings(output=GLB)
    convert_clip(tube, folder, settings)
    assert convert_clip(tube, folder, settings).skipped
    written = Events()
    convert_clip(tube, folder, replace(settings, output=replace(GLB, format=("usd-skel",))), written)
    assert "estimate" not in written.stages() and "write usd-skel" in written.stages()
    for changed in (replace(settings, clean=CleanOptions(smoothing="gaussian")), replace(settings, video=VideoOptions(end_s=0.4)),
                    replace(settings, motion_files=MotionFileOptions(frame_limit=5))):
        events = Events()
        convert_clip(tube, folder, changed, events)
        assert "estimate" in events.stages()
    assert read_take(folder / "take.h5").frame_count == 5


def test_another_content_of_a_file_that_settings_name_is_another_motion(tube, tmp_path):
    """A map of joints that was corrected must not find the folder up to date."""
    (tmp_path / "joints.toml").write_text("[joints]\n")
    settings = Settings(output=GLB, motion_files=MotionFileOptions(joint_map=tmp_path / "joints.toml"))
    folder = tmp_path / "out" / "tube"
    first = Conversion(tube, folder, settings).motion_fingerprint
    assert Conversion(tube, folder, settings).motion_fingerprint == first
    (tmp_path / "joints.toml").write_text("[joints]\npelvis = 'root'\n")
    assert Conversion(tube, folder, settings).motion_fingerprint != first
    posed = replace(settings, bind=BindOptions("pose.npz"))
    (tmp_path / "pose.npz").write_bytes(b"1")
    before = Conversion(tube, folder, posed).motion_fingerprint
    (tmp_path / "pose.npz").write_bytes(b"2")
    assert Conversion(tube, folder, posed).motion_fingerprint != before


@pytest.mark.parametrize(("options", "times_s"), [
    (VideoOptions(start_s=0.2), np.arange(6, 24) / 30),
    (VideoOptions(start_s=0.2, end_s=0.5), np.arange(6, 15) / 30),
    (VideoOptions(fps=10.0), np.arange(0, 24, 3) / 30),
    (VideoOptions(fps=59.94), np.arange(46) * 1001 / 60000),
    (VideoOptions(start_s=0.2, fps=25.0), 0.2 + np.arange(15) / 25),
])
def test_a_part_at_another_rate_keeps_its_times(tube, tmp_path, options, times_s):
    convert_clip(tube, tmp_path / "out" / "tube", Settings(output=GLB, video=options))
    take = read_take(tmp_path / "out" / "tube" / "take.h5")
    np.testing.assert_allclose(take.times_s, times_s, atol=1e-6)
    assert take.fps == (options.rate or 30)


def test_a_character_at_another_rate_is_where_it_was(tube, tmp_path):
    """Between frames, too: each joint lies near the chord between its places in the frames on either side."""
    from rigdrop.motion.kinematics import world_transforms

    convert_clip(tube, tmp_path / "out" / "tube", Settings(output=GLB))
    convert_clip(tube, tmp_path / "fast" / "tube", Settings(output=GLB, video=VideoOptions(fps=120.0)))
    joints = []
    for folder in ("out", "fast"):
        person = read_take(tmp_path / folder / "tube" / "take.h5").people[0]
        motion = person.motion
        joints.append(world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m)[..., :3, 3])
    recorded, fast = joints
    assert len(fast) == 4 * 23 + 1
    np.testing.assert_allclose(fast[::4], recorded, atol=1e-6)
    length = np.linalg.norm(np.diff(recorded, axis=0), axis=-1)
    off = np.linalg.norm(fast[2::4] - (recorded[:-1] + recorded[1:]) / 2, axis=-1)
    assert (off <= 0.05 * length + 1e-6).all() and length.max() > 0.01


def test_a_part_that_is_not_there_is_an_error_and_makes_no_folder(tube, tmp_path):
    with pytest.raises(ReadError, match=r"tube\.glb: found no frame from 9 s to the end"):
        convert_clip(tube, tmp_path / "out" / "tube", Settings(output=GLB, video=VideoOptions(start_s=9.0)))
    assert not (tmp_path / "out").exists()


_UNREADABLE = ("gone.npz", "gone.glb", "cut.npz", "else.npz", "empty.npz", "text.bvh", "text.glb", "text.usdc", "text.pt")


@pytest.mark.parametrize("name", _UNREADABLE)
def test_what_is_no_motion_file_is_an_error_that_names_it_and_makes_no_folder(tmp_path, name):
    path = tmp_path / name
    if name == "cut.npz":
        path.write_bytes(write_amass(tmp_path / "whole.npz").read_bytes()[:-200])
    elif name == "else.npz":
        np.savez(path, words=np.arange(3))
    elif not name.startswith("gone"):
        path.write_bytes(b"" if name.startswith("empty") else b"nothing of the kind\n" * 9)
    with pytest.raises(ReadError, match=name.replace(".", r"\.")):
        convert_clip(path, tmp_path / "out" / "clip", Settings(output=GLB))
    assert not (tmp_path / "out").exists()


def test_a_preview_shows_motion_that_nobody_filmed(tube, tmp_path):
    report = convert_clip(tube, tmp_path / "out" / "tube", Settings(output=replace(GLB, preview=True)))
    assert {"preview.mp4", "preview.png"} <= set(_names(tmp_path / "out" / "tube"))
    # From the take alone too: there is no clip to miss.
    again = convert_clip(tmp_path / "out" / "tube" / "take.h5", tmp_path / "again" / "tube", Settings(output=replace(GLB, preview=True)))
    assert "preview.mp4" in _names(again.folder)
    assert not any("no preview" in warning for each in (report, again) for warning in each.content["warnings"])


def test_each_stage_in_a_process_of_its_own_comes_to_the_same(tube, tmp_path):
    settings = Settings(output=OutputOptions(format=("glb-skeletal", "usd-skel"), preview=True))
    known = Known(kept_at=tmp_path / "done" / "tube.glb", notes={"job": "ab-1"})

    def begun() -> Conversion:
        return Conversion(tube, tmp_path / "staged" / "tube", settings, scratch=tmp_path / "scratch", known=known)

    files = (f"{verb} {form}" for form in settings.output.format for verb in ("write", "verify"))
    for stage in ("estimate", "fit", "store", *files, "draw"):
        verb, _, name = stage.partition(" ")
        for _ in range(2):
            getattr(begun(), verb)(*[name] if name else [])
    staged, whole = begun().finish().content, convert_clip(tube, tmp_path / "whole" / "tube", settings).content
    told = {"created_utc", "stages", "source", "job"}
    assert staged | dict.fromkeys(told) == whole | dict.fromkeys(told)
    assert (staged["job"], staged["source"]) == ("ab-1", str(tmp_path / "done" / "tube.glb"))
    assert [entry["stage"] for entry in staged["stages"]] == [entry["stage"] for entry in whole["stages"]]
    for entry in (entry for entry in whole["files"] if entry["file"] != "take.h5"):
        assert (tmp_path / "staged" / "tube" / entry["file"]).read_bytes() == (tmp_path / "whole" / "tube" / entry["file"]).read_bytes()


@pytest.mark.parametrize("preview", [False, True])
def test_a_file_where_the_folder_should_be_is_the_disks_fault(tube, tmp_path, preview):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tube").write_text("a file")
    with pytest.raises(WriteError, match="tube"):
        convert_clip(tube, tmp_path / "out" / "tube", Settings(output=replace(GLB, preview=preview)))


@pytest.mark.slow
@pytest.mark.parametrize(("write", "name"), [(write_amass, "walk.npz"), (write_bvh, "walk.bvh")])
def test_a_walk_becomes_a_character_that_walks(anny_folder, tmp_path, write, name):
    source = write(tmp_path / name, 40)
    report = convert_clip(source, tmp_path / "out" / "walk", load_settings(["--no-preview", "--format", "glb-skeletal", "--feet"]))
    take = read_take(tmp_path / "out" / "walk" / "take.h5")
    person = take.people[0]
    assert (take.frame_count, len(take.people), person.rig.name) == (40, 1, "unreal")
    assert report.content["people"][0]["bone_drift"] < 1e-4  # no joint is stretched; float32 is left
    assert report.content["people"][0]["files"][0]["verify"]["max_mm"] < 0.02
    if name.endswith("npz"):
        from rigdrop.motion.kinematics import world_transforms

        motion = person.motion
        world = world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m)
        pelvis = world[:, person.rig.skeleton.semantic["pelvis"], :3, 3]
        # Both bodies are adults: the way is scaled by the length of the legs, within a tenth or two.
        assert 0.8 < (pelvis[-1, 2] - pelvis[0, 2]) / (SPEED_M_S * 39 / 30) < 1.25
        assert np.abs(pelvis[:, 0] - pelvis[0, 0]).max() < 0.02
        head = world[:, person.rig.skeleton.semantic["head"], 1, 3]
        assert (head > pelvis[:, 1] + 0.4).all()


@pytest.mark.slow
def test_options_of_every_stage_reach_the_take(anny_folder, tmp_path):
    source = write_amass(tmp_path / "walk.npz", 40)
    tokens = ["--no-preview", "--format", "glb-skeletal", "--rig", "mixamo", "--bind-pose", "T", "--lead-in", "10", "--facing", "+x",
              "--smoothing", "gaussian"]
    convert_clip(source, tmp_path / "out" / "walk", load_settings(tokens))
    take = read_take(tmp_path / "out" / "walk" / "take.h5")
    person = take.people[0]
    assert (person.rig.name, take.frame_count) == ("mixamo", 50)
    np.testing.assert_array_equal(np.flatnonzero(person.motion.visible), np.arange(10, 50))
    np.testing.assert_allclose(np.diff(take.times_s), 1 / 30, atol=1e-9)
    assert [stage["stage"] for stage in take.provenance["fit"]["clean"][0]["stages"]] == ["smoothing_gaussian"]


@pytest.mark.slow
def test_root_motion_of_a_rig_that_has_no_root_is_refused(anny_folder, tmp_path):
    source = write_amass(tmp_path / "walk.npz", 5)
    with pytest.raises(SettingsError, match="no root joint"):
        convert_clip(source, tmp_path / "out" / "walk", load_settings(["--rig", "mixamo", "--root", "root-motion", "--no-preview"]))
    assert not (tmp_path / "out").exists()
