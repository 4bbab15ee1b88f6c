"""What `rigdrop assets` says of SAM 3D Body's weights, which it never fetches."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rigdrop.cli.app import main

from .sam3d_checkpoint import write_checkpoint
from .sam3d_fixture import recorded_network  # noqa: F401


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder that the user named, with nothing in it."""
    monkeypatch.setenv("RIGDROP_CHECKPOINT", str(tmp_path))
    return tmp_path


@pytest.fixture
def checkpoint(recorded, folder) -> Path:
    return write_checkpoint(recorded, folder)


def _run(capsys, *tokens: str) -> tuple[int, str, str]:
    code = main(["assets", *tokens])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def _verified(capsys) -> tuple[int, str, str]:
    code, out, _ = _run(capsys, "verify", "sam3d-body", "--json")
    row, = json.loads(out)
    return code, row["state"], row["about"]


def test_it_is_listed_with_its_own_licence(capsys, monkeypatch):
    monkeypatch.delenv("RIGDROP_CHECKPOINT", raising=False)
    row, = (row for row in json.loads(_run(capsys, "list", "--json")[1]) if row["asset"] == "sam3d-body")
    assert (row["state"], row["licence"], row["path"]) == ("yours to name", "SAM License", None)
    assert _verified(capsys)[:2] == (0, "yours to name")  # nobody asked for it


@pytest.mark.parametrize("command", ["install", "where"])
def test_it_is_never_fetched_and_the_message_says_where_to_ask(capsys, monkeypatch, command):
    monkeypatch.delenv("RIGDROP_CHECKPOINT", raising=False)
    code, out, err = _run(capsys, command, "sam3d-body")
    assert (code, out) == (69, "")
    assert "https://huggingface.co/facebook/sam-3d-body-dinov3" in err and "SAM License" in err and "--checkpoint DIR" in err


def test_where_it_is(capsys, folder):
    assert _run(capsys, "where", "sam3d-body")[1].strip() == str(folder)


def test_a_whole_checkpoint_is_told_in_figures(capsys, checkpoint):
    code, state, about = _verified(capsys)
    assert (code, state) == (0, "installed")
    assert about.startswith("SAM 3D Body, DINOv3, 2 blocks of 128, ") and about.endswith("MHR of 4,899 vertices")


def test_an_empty_folder_lacks_the_weights(capsys, folder):
    code, state, about = _verified(capsys)
    assert (code, state) == (69, "missing") and "found a folder without model.ckpt" in about


def test_a_file_that_is_none_is_damaged(capsys, checkpoint):
    (checkpoint / "model.ckpt").write_bytes(b"<html>")
    code, state, about = _verified(capsys)
    assert (code, state) == (69, "damaged") and "found a web page" in about


def test_without_torch_nothing_is_said_of_what_is_in_it(capsys, checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # type: ignore[arg-type]  # how Python itself says that there is none
    code, state, about = _verified(capsys)
    assert (code, state) == (0, "installed") and about.startswith("not looked into: SAM 3D Body needs torch")
