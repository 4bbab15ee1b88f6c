from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
import torch

from rigdrop.errors import MissingPartError, ReadError
from rigdrop.ingest.pose.sam3d_body.checkpoint import build_network, checkpoint_files, load_network, official_key, read_settings, read_state

from .sam3d_network import Recorded, recordings


@pytest.fixture(scope="session")
def recorded(shared) -> Recorded:
    return recordings(shared)


@pytest.fixture
def folder(recorded, tmp_path) -> Path:
    """A folder as the official one is laid out."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "mhr_model.pt").symlink_to(recorded.mhr_path)
    torch.save({"state_dict": recorded.state}, tmp_path / "model.ckpt")
    (tmp_path / "model_config.yaml").write_text(json.dumps(recorded.about["config"]), encoding="utf-8")  # json is yaml
    return tmp_path


def _save(state: dict[str, torch.Tensor], path: Path) -> None:
    table, parts, start = {}, [], 0
    for name, value in state.items():
        kind = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}[value.dtype]
        parts.append(value.contiguous().numpy().tobytes())
        table[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [start, start + len(parts[-1])]}
        start += len(parts[-1])
    header = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"".join(parts))


def test_an_official_folder_becomes_the_same_network(recorded, folder):
    network, same = load_network(folder), recorded.network()
    assert network.config == same.config and not network.training
    for (key, mine), theirs in zip(network.state_dict().items(), same.state_dict().values()):
        assert torch.equal(mine, theirs), key
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_safetensors_do_as_well_and_half_precision_becomes_float32(recorded, folder):
    (folder / "model.ckpt").unlink()
    path = folder / "weights.safetensors"
    _save({key: value.half() if value.is_floating_point() else value for key, value in recorded.state.items()}, path)
    for place in (folder, path):
        network = load_network(place)
        assert network.body.init_pose.weight.dtype == torch.float32
        assert torch.allclose(network.body.init_pose.weight, recorded.state["init_pose.weight"], atol=1e-2)


def test_keys_are_the_checkpoint_s():
    assert official_key("body.decoder.layers.0.ln1.weight") == "decoder.layers.0.ln1.weight"
    assert official_key("hands.decoder.layers.0.ln1.weight") == "decoder_hand.layers.0.ln1.weight"
    assert official_key("hands.init_pose.weight") == "init_pose_hand.weight"
    assert official_key("backbone.encoder.cls_token") == "backbone.encoder.cls_token"


def test_wrong_keys_are_one_error_that_lists_them(recorded):
    state = dict(recorded.state)
    del state["bbox_embed.layers.0.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["init_camera.weight"] = torch.zeros(1, 4)
    with pytest.raises(ReadError) as error:
        build_network(state, recorded.config, recorded.arrays, "x.ckpt")
    assert "x.ckpt: found keys 1 missing: bbox_embed.layers.0.bias; 1 unexpected: extra.weight; " \
        "1 misshaped: init_camera.weight (1, 4) instead of (1, 3); expected" in str(error.value)


def test_many_wrong_keys_are_counted(recorded):
    state = {key: value for key, value in recorded.state.items() if not key.startswith("decoder_hand.layers.0")}
    with pytest.raises(ReadError, match=r"32 missing: .* and 20 more"):
        build_network(state, recorded.config, recorded.arrays, "x.ckpt")


def test_a_body_model_of_another_size_is_an_error(recorded):
    state = recorded.state | {f"{head}.keypoint_mapping": torch.zeros(308, 18566) for head in ("head_pose", "head_pose_hand")}
    config = type(recorded.config)(**{**vars(recorded.config), "mapping": (308, 18566)})
    with pytest.raises(ReadError, match="found weights of 18566 points, expected 5026"):
        build_network(state, config, recorded.arrays, "x.ckpt")


def test_no_checkpoint_says_where_to_ask_and_what_licence_holds(folder, tmp_path):
    with pytest.raises(MissingPartError, match=r"facebook/sam-3d-body-dinov3.*SAM License"):
        load_network(tmp_path / "nowhere")
    (folder / "assets" / "mhr_model.pt").unlink()
    with pytest.raises(MissingPartError, match=r"mhr_model.pt: found no such file"):
        checkpoint_files(folder)


def test_a_pickle_that_would_run_something_is_not_run(folder):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(folder / "harm"),)

    torch.save({"state_dict": Harm()}, folder / "model.ckpt")
    with pytest.raises(ReadError, match="found no file of tensors alone"):
        load_network(folder)
    assert not (folder / "harm").exists()


def test_a_file_that_is_cut_is_an_error(folder):
    whole = (folder / "model.ckpt").read_bytes()
    (folder / "model.ckpt").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ReadError, match="found no file of tensors alone"):
        read_state(folder / "model.ckpt")


def test_something_else_than_named_tensors_is_an_error(tmp_path):
    torch.save({"state_dict": {"step": 3}}, tmp_path / "model.ckpt")
    with pytest.raises(ReadError, match="something else than named tensors"):
        read_state(tmp_path / "model.ckpt")


def test_settings_may_be_absent_but_not_wrong(tmp_path):
    path = tmp_path / "model_config.yaml"
    assert read_settings(path) == {}
    path.write_text("- a list", encoding="utf-8")
    with pytest.raises(ReadError, match="found no settings"):
        read_settings(path)
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(ReadError, match="found no yaml"):
        read_settings(path)
