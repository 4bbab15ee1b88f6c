"""Which folder a body comes from; the way itself is told in the tests of the pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rigdrop.config.settings import Settings, load_settings
from rigdrop.embody import mhr_folder
from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions


@pytest.mark.parametrize(("tokens", "named", "folder"), [
    ([], None, None),
    ([], "there", "there"),
    (["--mhr", "mine"], "there", "mine"),
    (["--checkpoint", "weights"], None, None),  # another estimator has nothing of it
    (["--checkpoint", "weights", "--estimator", "sam3d-body"], None, "weights/assets"),
    (["--checkpoint", "weights", "--estimator", "sam3d-body"], "there", "there"),
    (["--checkpoint", "weights", "--estimator", "sam3d-body", "--mhr", "mine"], None, "mine"),
])
def test_whoever_names_mhr_s_folder_more_closely_wins(tokens, named, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RIGDROP_ASSETS", str(tmp_path / "assets"))
    monkeypatch.delenv("RIGDROP_MHR", raising=False)
    settings = load_settings(tokens)
    if named is not None:
        (tmp_path / named).mkdir()
        (tmp_path / named / "mhr_model.pt").touch()
        monkeypatch.setenv("RIGDROP_MHR", str(tmp_path / named))
    found = mhr_folder(settings)
    assert found == (None if folder is None else tmp_path / folder if folder == named else Path(folder))


def test_a_checkpoint_s_own_mhr_is_found_however_the_checkpoint_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("RIGDROP_MHR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RIGDROP_ASSETS", str(tmp_path / "assets"))
    sam3d = replace(Settings().pose, estimator="sam3d-body")
    tilde = replace(Settings(), pose=sam3d, sam3d=Sam3dOptions(checkpoint=Path("~/weights")))
    assert tilde.sam3d.checkpoint == tmp_path / "weights" and mhr_folder(tilde) == tmp_path / "weights" / "assets"
    monkeypatch.setenv("RIGDROP_CHECKPOINT", str(tmp_path / "others"))
    assert mhr_folder(replace(Settings(), pose=sam3d)) == tmp_path / "others" / "assets"
    (tmp_path / "one.safetensors").touch()
    assert mhr_folder(replace(tilde, sam3d=Sam3dOptions(checkpoint=tmp_path / "one.safetensors"))) == tmp_path / "assets"
