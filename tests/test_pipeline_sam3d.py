"""``--estimator sam3d-body`` through the pipeline, with the recorded random weights: the bodies are nonsense, their way is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigdrop.cli.app import main
from rigdrop.config.settings import Settings, load_settings
from rigdrop.motion.store import read_take
from rigdrop.pipeline import Conversion, convert_clip

from .sam3d_checkpoint import write_checkpoint
from .sam3d_network import recordings


@pytest.fixture
def settings(shared, tmp_path, monkeypatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    checkpoint = write_checkpoint(recordings(shared), tmp_path / "weights")
    return load_settings([
        "--estimator", "sam3d-body", "--checkpoint", str(checkpoint), "--device", "cpu", "--no-preview", "--format", "glb-skeletal",
        "--start", "2.9", "--end", "3.2", "--min-visible", "0.1", "--max-people", "1",
    ])


@pytest.fixture
def clip(shared) -> Path:
    return shared / "videos" / "sports2d_demo.mp4"


def test_a_clip_becomes_a_character_on_mhrs_own_rig(clip, tmp_path, settings):
    report = convert_clip(clip, tmp_path / "out" / "clip", settings)
    take = read_take(tmp_path / "out" / "clip" / "take.h5")
    (person,) = take.people
    assert person.rig.name == "mhr" and len(person.rig.joint_names) == 127
    assert take.provenance["kind"] == "video" and take.provenance["estimate"]["estimator"] == "sam3d-body"
    assert {"mhr_model_params", "shape_params", "pred_cam_t"} <= person.params.keys() and "pred_keypoints_2d" in person.raw
    assert report.content["people"][0]["files"][0]["verify"]["broken_rules"] == []
    assert sorted(path.name for path in (tmp_path / "out" / "clip").iterdir()) == ["person_01", "report.json", "take.h5"]
    assert convert_clip(clip, tmp_path / "out" / "clip", settings).skipped
    weights = settings.sam3d.checkpoint / "model.ckpt"
    weights.write_bytes(weights.read_bytes())  # other weights, for all that their date says
    assert not convert_clip(clip, tmp_path / "out" / "clip", settings).skipped


def test_each_stage_in_a_process_of_its_own_comes_to_the_same(clip, tmp_path, settings):
    def stage() -> Conversion:
        return Conversion(clip, tmp_path / "apart" / "clip", settings, scratch=tmp_path / "scratch")

    stage().estimate()
    kept = sorted((tmp_path / "scratch").rglob("bodies_*.npz"))
    assert kept
    before = [path.stat().st_mtime_ns for path in kept]
    stage().fit()
    assert [path.stat().st_mtime_ns for path in kept] == before  # read, and not found again
    stage().store()
    assert not any(path.exists() for path in kept)
    convert_clip(clip, tmp_path / "whole" / "clip", settings)
    apart, whole = (read_take(tmp_path / way / "clip" / "take.h5").people[0] for way in ("apart", "whole"))
    np.testing.assert_array_equal(apart.motion.local_quat_xyzw, whole.motion.local_quat_xyzw)


def test_without_weights_the_command_says_where_to_ask(clip, tmp_path, settings, capsys):
    missing = replace(settings.sam3d, checkpoint=tmp_path / "nowhere")
    code = main(["convert", str(clip), "--estimator", "sam3d-body", "--checkpoint", str(missing.checkpoint)])
    said = capsys.readouterr().err
    assert code == 69 and "facebook/sam-3d-body-dinov3" in said and "SAM License" in said
    assert not (tmp_path / "rigdrop-out").exists()
