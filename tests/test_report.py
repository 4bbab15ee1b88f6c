"""What the report says, and what it says about the files of an earlier one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rigdrop.motion.kinematics import world_transforms
from rigdrop.report import (
    all_settled,
    carry_over,
    describe_person,
    note_unsettled,
    peak_memory_mb,
    read_report,
    report_header,
    settle_old_files,
    unsettled_files,
    up_to_date,
    write_report,
)

from .synthetic import small_take

REPORT = {"schema": "rigdrop.report", "fingerprint": "f"}


def _write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return [{"file": name, "bytes": len(name)} for name in names]


def test_a_report_reads_back_as_it_was_written(tmp_path):
    content = {**REPORT, "take": "歩く人", "files": []}
    write_report(tmp_path, content)
    assert read_report(tmp_path) == content


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "other"}', "\x00"])
def test_what_is_no_report_of_ours_reads_as_nothing(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    assert read_report(tmp_path) == {}


def test_up_to_date_means_same_fingerprint_and_every_file_in_its_size(tmp_path):
    report = {**REPORT, "files": _write(tmp_path, "take.h5", "person_01/a.glb")}
    assert up_to_date(tmp_path, report, "f")
    assert not up_to_date(tmp_path, report, "another")
    assert not up_to_date(tmp_path, {**report, "problems": ["baked: too long"]}, "f")
    (tmp_path / "person_01/a.glb").write_text("cut")
    assert not up_to_date(tmp_path, report, "f")
    (tmp_path / "person_01/a.glb").unlink()
    assert not up_to_date(tmp_path, report, "f")


def test_no_report_is_never_up_to_date(tmp_path):
    assert not up_to_date(tmp_path, {}, "f")


def test_files_that_are_not_current_go_and_empty_folders_with_them(tmp_path):
    old = ["take.h5", "person_01/a.glb", "person_02/b.glb"]
    _write(tmp_path, *old)
    settle_old_files(tmp_path, old, [tmp_path / "take.h5", tmp_path / "person_01/a.glb"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.glb", "person_01", "take.h5"]


def test_files_are_settled_that_a_report_names_or_a_conversion_without_one_left(tmp_path):
    old = {"files": _write(tmp_path, "take.h5", "a.glb")}
    assert unsettled_files(tmp_path, old) == ["take.h5", "a.glb"] and unsettled_files(tmp_path, {}) == []
    note_unsettled(tmp_path, ["a.glb", "歩く_b.glb"])
    assert unsettled_files(tmp_path, old) == ["take.h5", "a.glb", "歩く_b.glb"] and unsettled_files(tmp_path, {}) == ["a.glb", "歩く_b.glb"]
    all_settled(tmp_path)
    all_settled(tmp_path)
    assert unsettled_files(tmp_path, {}) == []


def test_a_report_that_names_a_file_elsewhere_does_not_cost_that_file(tmp_path):
    folder, precious = tmp_path / "take", tmp_path / "precious.txt"
    folder.mkdir()
    precious.write_text("mine")
    settle_old_files(folder, ["../precious.txt"], [])
    assert precious.exists()


def test_formats_of_the_same_motion_are_carried_into_the_new_report(tmp_path):
    kept, gone = _write(tmp_path, "person_01/a.glb")[0], {"file": "person_01/b.glb", "bytes": 3}
    old = {"people": [{"id": "person_01", "files": [{"format": "x", **kept}, {"format": "y", **gone}, {"format": "z", **kept}]}]}
    people = [{"id": "person_01", "files": [{"format": "z", "file": "new"}]}]
    assert carry_over(tmp_path, old, people) == [tmp_path / "person_01/a.glb"]
    assert [entry["format"] for entry in people[0]["files"]] == ["z", "x"]


@pytest.mark.parametrize("lost", [False, True])
def test_a_stage_is_carried_over_with_its_pictures_or_not_at_all(tmp_path, lost):
    stage, *others = _write(tmp_path, "person_01/a_skel.usdc", "person_01/a_skel_pictures/1.png", "person_01/a_skel_pictures/2.png",
                            "person_01/b_skel_pictures/1.png")
    if lost:
        (tmp_path / "person_01/a_skel_pictures/2.png").unlink()
    old = {"people": [{"id": "person_01", "files": [{"format": "usd-skel", **stage}]}], "files": [stage, *others]}
    people = [{"id": "person_01", "files": [{"format": "z", "file": "new"}]}]
    carried = carry_over(tmp_path, old, people)
    settle_old_files(tmp_path, unsettled_files(tmp_path, old), carried)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ([] if lost else ["person_01/a_skel.usdc", "person_01/a_skel_pictures/1.png", "person_01/a_skel_pictures/2.png"])
    assert [entry["format"] for entry in people[0]["files"]] == (["z"] if lost else ["z", "usd-skel"])


def test_a_person_who_floats_still_has_no_jitter_and_no_slide():
    take = small_take(frames=12)
    motion = take.people[0].motion
    still = replace(
        motion,
        local_quat_xyzw=np.repeat(motion.local_quat_xyzw[:1], 12, axis=0),
        local_translation_m=np.repeat(motion.local_translation_m[:1], 12, axis=0),
        visible=np.arange(12) < 9,
    )
    entry = describe_person(take, replace(take.people[0], motion=still))
    assert entry["visible_share"] == 0.75
    assert entry["jitter_10m_s3"] == entry["bone_drift"] == 0
    assert entry["foot_slide_mm_per_frame"] is None


def test_a_foot_that_is_dragged_over_the_ground_slides_by_that_much():
    take = small_take(frames=12)
    rig, motion = take.people[0].rig, take.people[0].motion
    feet = replace(rig, skeleton=replace(rig.skeleton, semantic={"left_foot": 0}))
    moved = np.repeat(motion.local_translation_m[:1], 12, axis=0)
    moved[:, 0] = [0.0, rig.bind_world[0, 1, 3] - rig.vertices_m[:, 1].min(), 0.0]
    moved[:, 0, 2] = 0.004 * np.arange(12)
    entry = describe_person(take, replace(take.people[0], rig=feet, motion=replace(motion, local_translation_m=moved)))
    assert entry["foot_slide_mm_per_frame"] == pytest.approx(4.0, abs=1e-3)  # rounded to a micrometre


def test_bones_are_those_below_the_pelvis():
    take = small_take(frames=12)
    rig = take.people[0].rig
    lengths = np.linalg.norm(take.people[0].motion.local_translation_m[:, 6].astype(float), axis=1)

    def drift(pelvis):
        named = replace(rig, skeleton=replace(rig.skeleton, semantic={"pelvis": pelvis}))
        return describe_person(take, replace(take.people[0], rig=named))["bone_drift"]

    parent = int(rig.joint_parents[6])
    # The last joint is the only one that moves against its parent. Quaternions in float32 are of
    # length 1 within 1e-7, and a bone of a few centimetres a metre away from the root loses another digit.
    assert drift(pelvis=parent) == pytest.approx(np.abs(lengths / lengths[0] - 1).max(), rel=1e-3)
    assert drift(pelvis=3) == pytest.approx(0, abs=1e-5)


def test_jitter_is_that_of_the_joints_in_the_world():
    take = small_take(frames=12)
    motion = take.people[0].motion
    places = world_transforms(take.people[0].rig, motion.local_quat_xyzw, motion.local_translation_m)[:, 0, :3, 3]
    third = places[3:] - 3 * places[2:-1] + 3 * places[1:-2] - places[:-3]
    expected = np.linalg.norm(third, axis=1).mean() * 30**3 / 10
    assert describe_person(take, take.people[0])["jitter_10m_s3"] == pytest.approx(expected, abs=5e-4)  # three digits are kept


def test_the_header_is_json_and_says_the_rate_exactly():
    header = json.loads(json.dumps(report_header(small_take(), "clip")))
    assert (header["take"], header["fps"], header["frames"], header["start_s"]) == ("clip", "30", 12, 5.0)
    assert header["camera"] == {"width": 640, "height": 480, "focal_px": 900.0, "focal_source": "default"}


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory_mb()
    block = np.ones(40_000_000)  # 320 MB
    if before is not None:
        assert peak_memory_mb() > max(before, block.nbytes / 1e6 / 2)


def test_what_was_done_to_a_person_stands_with_that_person():
    take = small_take(4)
    people = [take.people[0], replace(take.people[0], id="person_02")]
    told = [{"stages": []}, {"stages": [{"name": "spikes", "before": {"pops": 3}, "after": {"pops": 0}}]}]
    worked = replace(take, people=people, provenance={"fit": {"clean": told}})
    assert [describe_person(worked, person)["stages"] for person in worked.people] == [told[0]["stages"], told[1]["stages"]]
    assert "stages" not in describe_person(take, take.people[0])
