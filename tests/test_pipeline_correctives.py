"""A motion file of MHR, converted with its pose correctives: what is asked for comes out of every format, and is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rigdrop.config.settings import Settings, load_settings
from rigdrop.motion.store import read_take
from rigdrop.pipeline import convert_clip


@pytest.fixture(scope="module")
def clip(shared, tmp_path_factory) -> Path:
    """A real person whose joints swing for eight frames."""
    folder = tmp_path_factory.mktemp("clip") / "sam3d"
    folder.mkdir()
    with np.load(shared / "samples" / "sam3d_body_subj01.npz") as sample:
        for frame in range(8):
            params = sample["mhr_model_params"].astype(np.float64)
            params[6:60] += 0.2 * np.sin(frame / 3 + np.arange(54))
            np.savez(folder / f"{frame:03d}.npz", mhr_model_params=params, shape_params=sample["shape_params"],
                     pred_cam_t=sample["pred_cam_t"])
    return folder


def _settings(folder: Path, *more: str) -> Settings:
    return load_settings(["--mhr", str(folder), "--source-fps", "30", "--no-preview", "--smoothing", "gaussian", *more])


def test_every_format_shows_the_models_mesh_of_the_final_motion(clip, corrected_mhr, tmp_path):
    report = convert_clip(clip, tmp_path / "out", _settings(corrected_mhr, "--correctives", "morphs", "--morph-count", "12"))
    (person,) = report.content["people"]
    (stored,) = read_take(tmp_path / "out" / "take.h5").people
    assert report.content["warnings"] == [] and stored.rig.morph_count == person["correctives"]["targets"] <= 9
    # Eight poses need eight directions, and one more that keeps weights above 0: what is left is single precision's.
    assert person["correctives"]["skin_mm"]["mean"] > 1 and person["correctives"]["morphed_mm"]["max"] < 0.001
    assert [file["format"] for file in person["files"]] == ["glb-skeletal", "glb-baked", "usd-skel"]
    for file in person["files"]:
        assert file["verify"]["broken_rules"] == [] and file["verify"]["max_mm"] < 0.02, file["format"]


def test_without_correctives_in_the_folder_or_on_another_rig_a_warning_says_so(clip, shared, tmp_path):
    settings = _settings(shared / "mhr" / "lod3", "--correctives", "morphs", "--format", "glb-skeletal")
    report = convert_clip(clip, tmp_path / "out", settings)
    (warning,) = report.content["warnings"]
    assert "lod3: found no pose correctives that fit its mesh" in warning
    assert "correctives" not in report.content["people"][0]


def test_another_count_is_another_motion():
    few, many = load_settings(["--correctives", "morphs"]), load_settings(["--correctives", "morphs", "--morph-count", "64"])
    assert few.motion_fingerprint("a") != many.motion_fingerprint("a")
