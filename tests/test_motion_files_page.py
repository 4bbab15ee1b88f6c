"""docs/motion-files.md against the program: its options and defaults, rigs and presets, and, when asked, every command."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from rigdrop.config.layers import option_name, preset_names, read_preset
from rigdrop.config.settings import Settings
from rigdrop.convert.rigs import load_rig
from rigdrop.convert.rigs.registry import RIGS
from rigdrop.ingest.motion_files.registry import available_readers

from . import test_motion_bvh, test_motion_gvhmr
from .skeletons import MAN, man_motion

FRAMES = 24


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "motion-files.md").read_text(encoding="utf-8")


def _rows(text: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if not set("".join(row)) <= set("-")]


def _section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


# The options of each stage are told in one section, all of them.
@pytest.mark.parametrize(("stage", "title"), [
    ("motion_files", "What can be read"), ("smpl", "What can be read"), ("clean", "Clean-up"), ("feet", "Feet"),
    ("retarget", "Retargeting"), ("correctives", "Pose correctives"), ("bind", "Bind pose and lead-in"), ("place", "Where it stands"),
    ("axes", "Axes and units"),
])
def test_every_option_is_told_with_its_default(page, stage, title):
    section, options = _section(page, title), getattr(Settings(), stage)
    prefix = "retarget." if stage == "retarget" else ""
    # Of tables of which one says what another's rows mean, the first has the defaults.
    told = {row[0].strip("`").removeprefix("--"): row[1].strip("`") for row in reversed(_rows(section)) if row[0].startswith("`--")}
    for field in fields(options):
        name, default = prefix + option_name(field.name), field.default
        assert f"--{name}" in section, name
        if name not in told or default in (None, ""):
            continue
        if isinstance(default, bool):
            assert told[name] == ("on" if default else "off"), name
        elif isinstance(default, int | float):
            assert float(told[name].split()[0]) == default, name
        else:
            assert told[name] == default, name


def test_no_option_is_told_that_there_is_not(page):
    known = {*Settings().as_table(), "limit", "jobs", "preset", "force", "out", "pose", "no-level", "no-preview"}
    assert {name for name in re.findall(r"--([a-z][a-z.-]+)", page) if name not in known} == set()


def test_every_kind_of_file_is_told(page):
    suffixes = {suffix for reader in available_readers().values() for suffix in reader.suffixes if suffix != "/"}
    table = _section(page, "What can be read").split("### ")[0]
    assert {suffix for suffix in suffixes if suffix not in table} == set()


def test_every_rig_is_told_with_its_joints(page, shared, anny_folder):
    told = {row[0].strip("`"): int(row[1]) for row in _rows(_section(page, "Target rigs")) if row[0] != "`--rig`"}
    assert set(told) == set(RIGS)
    for name, joints in told.items():
        assert len(load_rig(name, mhr_folder=shared / "mhr" / "lod3").joint_names) == joints, name


def test_every_preset_of_a_program_is_told_as_it_is(page):
    rows = {row[0].strip("`"): [cell.strip("`") for cell in row[1:]] for row in _rows(_section(page, "Presets")) if row[0] != "`--preset`"}
    assert set(rows) == set(preset_names()) - {"draft", "high"}
    for name, (form, rig, root_mode, facing, frame, influences) in rows.items():
        said = read_preset(name)
        assert [form] == said["format"]
        assert said.get("rig", "–") == rig
        assert (said["root"], said["facing"]) == (root_mode, facing)
        assert ("+Z, centimetres" in frame) == (said.get("usd-skel.preset") == "unreal")
        assert str(said.get("glb-skeletal.influences", "as the rig has")) == influences


@pytest.mark.parametrize("name", ["motion-files.md", "blender.md", "unreal.md"])
def test_every_link_inside_a_page_leads_to_a_heading(root, name):
    page = (root / "docs" / name).read_text(encoding="utf-8")
    titles = re.findall(r"^##+ (.+)$", page, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert {link for link in re.findall(r"\]\(#([^)]+)\)", page) if link not in anchors} == set()


def _walk(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    swing = np.sin(2 * np.pi * np.arange(FRAMES) / 30)
    poses = np.zeros((FRAMES, 52, 3))
    poses[:, 0, 0] = np.pi / 2
    poses[:, 1, 0], poses[:, 2, 0] = -0.4 * swing, 0.4 * swing
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    trans = np.stack([np.zeros(FRAMES), 0.35 - np.arange(FRAMES) / 30, np.full(FRAMES, 0.93)], axis=1)
    np.savez(path, poses=poses.reshape(FRAMES, -1), trans=trans, betas=np.zeros(16), gender="neutral", mocap_framerate=30.0)


def _sources(folder: Path, shared: Path) -> None:
    """Small files of the names that the page's commands use."""
    _walk(folder / "walk.npz")
    for number in range(3):
        _walk(folder / "CMU" / f"{number:02d}" / f"{number:02d}_01_poses.npz")
    np.savez(folder / "CMU" / "shape.npz", betas=np.zeros(16))
    shutil.copytree(shared / "mhr" / "lod3", folder / "mhr")
    one, other = (dict(np.load(shared / "samples" / f"sam3d_body_subj0{number}.npz")) for number in (0, 1))
    np.savez(folder / "person.npz", **one)
    (folder / "sam3d").mkdir()
    for frame in range(6):
        moved = {**one, "pred_cam_t": one["pred_cam_t"] + np.float32(0.02 * frame)}
        np.savez(folder / "sam3d" / f"frame_{frame:04d}.npz", **moved)
    people = np.empty((), object)
    people[()] = [[one, other]] * 4
    np.save(folder / "people.npy", people)
    (folder / "dance").mkdir()
    test_motion_gvhmr._write(folder / "dance", test_motion_gvhmr._content())
    hands = np.random.default_rng(1).normal(0, 0.2, (test_motion_gvhmr.FRAMES, 45))
    np.savez(folder / "hand_poses.npz", left_hand_pose=hands, right_hand_pose=hands)
    angles, places = man_motion(MAN, FRAMES)
    (folder / "run.bvh").write_text(test_motion_bvh._bvh_text(MAN, 0.3 * angles, places, "zxy", 0.01), encoding="utf-8")


def _rigdrop(folder: Path, *words: str) -> None:
    process = subprocess.run([sys.executable, "-m", "rigdrop", *words], cwd=folder, capture_output=True, text=True,
                             env={**os.environ, "RIGDROP_PREVIEW": "false"})
    assert process.returncode == 0, f"{' '.join(words)}: {process.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["motion-files.md", "unreal.md"])
def test_every_command_of_a_page_runs(name, root, shared, tmp_path):
    """In their order, in one folder, on small files."""
    page = (root / "docs" / name).read_text(encoding="utf-8")
    _sources(tmp_path, shared)
    _rigdrop(tmp_path, "convert", "walk.npz", "--out", "made", "--format", "glb-skeletal,usd-skel")
    shutil.copy(tmp_path / "made" / "walk" / "person_01" / "walk_person_01_skeletal.glb", tmp_path / "hero.glb")
    shutil.copy(tmp_path / "made" / "walk" / "person_01" / "walk_person_01_skel.usdc", tmp_path / "stage.usdc")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    for words in commands:
        _rigdrop(tmp_path, *words[1:])
    assert len(commands) > 2
    if name == "motion-files.md":
        assert len(list((tmp_path / "few").iterdir())) == 2
        assert {each.name for each in (tmp_path / "takes").iterdir()} == {f"0{number}_01_poses" for number in range(3)}
        assert {each.name for each in (tmp_path / "rigdrop-out" / "people").iterdir()} >= {"person_01", "person_02"}
        assert "pelvis = " in (tmp_path / "map.toml").read_text(encoding="utf-8")
