from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rigdrop.errors import MissingPartError, ReadError
from rigdrop.ingest.pose.sam3d_body.checkpoint import build_network, load_network, official_key, open_checkpoint, read_settings, read_state
from rigdrop.ingest.pose.sam3d_body.mhr_file import read_mhr_arrays

from .sam3d_checkpoint import write_checkpoint
from .sam3d_fixture import recorded_network  # noqa: F401


@pytest.fixture
def folder(recorded, tmp_path) -> Path:
    """A folder as the official one is laid out."""
    return write_checkpoint(recorded, tmp_path)


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


class _Runs:
    """A pickle of this calls a function of two ways to do harm when it is read."""

    def __init__(self, call: Callable[..., object], *given: object) -> None:
        self.reduced = call, given

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("way", ["mkdir", "eval", "touch"])
@pytest.mark.parametrize("where", ["state_dict", "beside", "first"])
def test_a_pickle_that_would_run_something_is_not_run(tmp_path, way, where):
    harm, path = tmp_path / "harm", tmp_path / "model.ckpt"
    ways = {"mkdir": (os.mkdir, str(harm)), "eval": (eval, f"__import__('os').mkdir({str(harm)!r})"), "touch": (Path.touch, harm)}
    runs, tensors = _Runs(*ways[way]), {"weight": torch.ones(2)}
    places = {"state_dict": {"state_dict": runs}, "beside": {"state_dict": tensors, "epoch": runs}, "first": runs}
    torch.save(places[where], path)
    # What stands beside the weights is never looked at, and does nothing; some of it torch refuses even there.
    if where == "beside" and way == "eval":
        assert torch.equal(read_state(path)["weight"], tensors["weight"])
    else:
        with pytest.raises(ReadError, match=r"model\.ckpt: found (no file of tensors alone|something else than named tensors)"):
            read_state(path)
    assert not harm.exists()


@pytest.mark.parametrize("way", ["mkdir", "eval"])
def test_a_body_model_that_would_run_something_is_not_run(recorded, tmp_path, way):
    harm, path = tmp_path / "harm", tmp_path / "mhr_model.pt"
    torch.save(_Runs(*{"mkdir": (os.mkdir, str(harm)), "eval": (eval, f"__import__('os').mkdir({str(harm)!r})")}[way]), path)
    with pytest.raises(ReadError, match=r"mhr_model\.pt: found no MHR model"):
        read_mhr_arrays(path)
    assert not harm.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_body_model_that_is_cut_is_an_error(recorded, tmp_path, share):
    whole = recorded.mhr_path.read_bytes()
    (tmp_path / "mhr_model.pt").write_bytes(whole[:int(len(whole) * share)])
    with pytest.raises(ReadError, match=r"mhr_model\.pt: found no MHR model"):
        read_mhr_arrays(tmp_path / "mhr_model.pt")


def test_a_trainer_s_leavings_beside_the_weights_are_no_hindrance(tmp_path):
    weights = {"a": torch.arange(3.0), "b": torch.nn.Parameter(torch.ones(2, 2))}
    beside = {"hyper_parameters": SimpleNamespace(rate=0.1), "place": Path("x"), "best": np.float64(0.5), "epoch": 3}
    for number, layout in enumerate((weights, {"state_dict": weights} | beside)):
        torch.save(layout, tmp_path / f"{number}.ckpt")
        found = read_state(tmp_path / f"{number}.ckpt")
        assert found.keys() == weights.keys() and all(torch.equal(found[key], weights[key]) for key in weights)


def test_a_checkpoint_as_torch_saved_it_of_old_is_read(tmp_path):
    torch.save({"state_dict": {"a": torch.arange(3.0)}}, tmp_path / "model.ckpt", _use_new_zipfile_serialization=False)
    assert read_state(tmp_path / "model.ckpt")["a"].tolist() == [0, 1, 2]


def test_weights_that_share_memory_and_half_precision_are_read_as_they_are(recorded, folder):
    """The official file's size tells of a backbone in half precision, all else in float32, and one regressor for both heads."""
    state = dict(recorded.state)
    for key, value in recorded.state.items():
        if key.startswith("backbone.") and value.is_floating_point():
            state[key] = value.bfloat16()
    state["head_pose_hand.keypoint_mapping"] = state["head_pose.keypoint_mapping"]
    state["head_pose.mhr.character_torch.mesh.faces"] = torch.zeros(4, 3, dtype=torch.int64)
    torch.save(state, folder / "model.ckpt")
    network = load_network(folder)
    assert all(value.dtype == torch.float32 for value in network.state_dict().values() if value.is_floating_point())
    key = "backbone.encoder.blocks.0.attn.qkv.weight"
    assert torch.equal(network.state_dict()[key], recorded.state[key].bfloat16().float())
    assert torch.equal(network.hands.head_pose.keypoint_mapping, network.body.head_pose.keypoint_mapping)


def test_a_regressor_that_is_stored_sparsely_becomes_a_plain_one(recorded):
    mapping = recorded.state["head_pose.keypoint_mapping"]
    state = recorded.state | {"head_pose.keypoint_mapping": mapping.to_sparse()}
    network = build_network(state, recorded.config, recorded.arrays, "x.ckpt")
    assert torch.equal(network.body.head_pose.keypoint_mapping, mapping)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_is_an_error(folder, share):
    whole = (folder / "model.ckpt").read_bytes()
    (folder / "model.ckpt").write_bytes(whole[:int(len(whole) * share)])
    with pytest.raises(ReadError, match="found no file of tensors alone"):
        read_state(folder / "model.ckpt")


@pytest.mark.parametrize(("content", "found"), [
    (b"<!DOCTYPE html><title>Log in</title>", "a web page"),
    (b"\n <html>", "a web page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS's note of a file that was not fetched"),
    (b"PK\x03\x04", "no file of tensors alone"),
])
def test_a_download_that_went_wrong_is_named(tmp_path, content, found):
    (tmp_path / "model.ckpt").write_bytes(content)
    with pytest.raises(ReadError, match=f"model.ckpt: found {found}.*get it again"):
        read_state(tmp_path / "model.ckpt")


def test_the_error_never_advises_to_read_the_file_unsafely(tmp_path):
    torch.save({"state_dict": _Runs(os.mkdir, "x")}, tmp_path / "model.ckpt")
    with pytest.raises(ReadError) as error:
        read_state(tmp_path / "model.ckpt")
    assert "weights_only" not in str(error.value) and "\n" not in str(error.value)


def test_a_network_of_something_else_is_an_error(folder):
    torch.save({"state_dict": {"conv1.weight": torch.zeros(3)}}, folder / "model.ckpt")
    with pytest.raises(ReadError, match=r"model\.ckpt: found no 'backbone\.patch_embed\.proj\.weight', expected a SAM 3D Body checkpoint"):
        load_network(folder)


def test_a_yaml_that_asks_for_another_network_is_an_error(recorded, folder):
    settings = json.loads(json.dumps(recorded.about["config"]))
    settings["TRAIN"]["FP16_TYPE"] = "bfloat16"
    (folder / "model_config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    assert open_checkpoint(folder).config == recorded.config
    settings["MODEL"]["DECODER"]["FFN_TYPE"] = "swiglu_fused"
    (folder / "model_config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ReadError, match=r"model_config\.yaml: MODEL\.DECODER\.FFN_TYPE: found 'swiglu_fused', expected 'origin'"):
        open_checkpoint(folder)


def test_without_a_yaml_the_official_settings_count(folder):
    """The stand-in's are others, so its shapes no longer fit: heads of 64 where it has 16."""
    (folder / "model_config.yaml").unlink()
    config = open_checkpoint(folder).config
    assert (config.crop_px, config.decoder.head_width, config.own_centre) == (512, 64, True)


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


def test_a_network_outlives_the_file_that_it_was_read_from(recorded, folder):
    """Weights that are overwritten in place, as by a copy of newer ones, must not reach a network that is at work."""
    network = load_network(folder)
    size = (folder / "model.ckpt").stat().st_size
    (folder / "model.ckpt").write_bytes(bytes(size))
    for (key, mine), theirs in zip(network.state_dict().items(), recorded.network().state_dict().values()):
        assert torch.equal(mine, theirs), key
