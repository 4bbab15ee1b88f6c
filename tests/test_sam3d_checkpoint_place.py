from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rigdrop.errors import MissingPartError
from rigdrop.ingest.pose.sam3d_body.checkpoint_place import checkpoint_files, expect_checkpoint, expect_packages
from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch):
    monkeypatch.delenv("RIGDROP_CHECKPOINT", raising=False)


@pytest.fixture
def folder(tmp_path) -> Path:
    """The official layout, empty: nothing here looks into the files."""
    (tmp_path / "assets").mkdir()
    for name in ("model.ckpt", "model_config.yaml", "assets/mhr_model.pt"):
        (tmp_path / name).touch()
    return tmp_path


def test_options_and_the_environment_name_the_checkpoint(folder, monkeypatch):
    assert expect_checkpoint(Sam3dOptions(checkpoint=folder)) == folder
    monkeypatch.setenv("RIGDROP_CHECKPOINT", str(folder))
    assert expect_checkpoint(Sam3dOptions()) == folder
    assert expect_checkpoint(Sam3dOptions(checkpoint=folder / "model.ckpt")) == folder / "model.ckpt"


@pytest.mark.parametrize("gone", ["everything", "model.ckpt", "assets/mhr_model.pt", "the folder"])
def test_what_is_missing_is_one_sentence_that_says_where_to_ask(folder, gone):
    if gone in ("model.ckpt", "assets/mhr_model.pt"):
        (folder / gone).unlink()
    options = Sam3dOptions(checkpoint={"everything": None, "the folder": folder / "none"}.get(gone, folder))
    wanted = r"https://huggingface\.co/facebook/sam-3d-body-dinov3.*SAM License.*--checkpoint DIR"
    with pytest.raises(MissingPartError, match=wanted) as error:
        expect_checkpoint(options)
    assert error.value.exit_code == 69 and "\n" not in str(error.value)
    if gone == "assets/mhr_model.pt":
        assert str(error.value).startswith(str(folder / "assets" / "mhr_model.pt"))


def test_the_parts_of_a_checkpoint(folder):
    files = checkpoint_files(folder)
    wanted = ("model.ckpt", "model_config.yaml", "assets/mhr_model.pt")
    assert [files.state, files.settings, files.mhr] == [folder / name for name in wanted]
    (folder / "model.ckpt").rename(folder / "weights.safetensors")
    assert checkpoint_files(folder).state == checkpoint_files(folder / "weights.safetensors").state == folder / "weights.safetensors"


def test_a_missing_package_says_what_to_install(folder, monkeypatch):
    expect_packages()
    for module, package in (("yaml", "pyyaml"), ("torch", "torch and pyyaml")):
        monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]  # how Python itself says that there is none
        with pytest.raises(MissingPartError, match=rf"needs {package}, .*pip install 'rigdrop\[sam3d\]'"):
            expect_checkpoint(Sam3dOptions(checkpoint=folder))


def test_nothing_heavy_is_loaded_to_find_out(folder):
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from rigdrop.ingest.pose.sam3d_body.checkpoint_place import expect_checkpoint
        from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions
        expect_checkpoint(Sam3dOptions(checkpoint=Path({str(folder)!r})))
        sys.exit(bool({{"torch", "numpy", "yaml"}} & set(sys.modules)))
    """)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
