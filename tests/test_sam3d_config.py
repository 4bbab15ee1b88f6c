from __future__ import annotations

import json

import pytest
import torch

from rigdrop.errors import ReadError
from rigdrop.ingest.pose.sam3d_body.checkpoint import official_key
from rigdrop.ingest.pose.sam3d_body.config import BackboneConfig, NetworkConfig, check_settings, read_config
from rigdrop.ingest.pose.sam3d_body.network import Network

from .conftest import lacking

# Kept by the original, used by nobody who only infers.
UNUSED = {"backbone.encoder.mask_token", "hand_cls_embed.weight", "hand_cls_embed.bias"} | {
    f"{head}.{name}" for head in ("head_pose", "head_pose_hand") for name in ("faces", "hand_pose_comps_ori")
}
VARIANTS = ["dinov3_vith16plus", "vit_hmr_512_384"]


@pytest.fixture(scope="session")
def official(shared) -> dict[str, dict[str, tuple[int, ...]]]:
    """The official networks' keys and shapes."""
    path = shared / "sam3d" / "state_dict_full.json"
    if not path.is_file():
        lacking(f"{path} is not there")
    known = json.loads(path.read_text(encoding="utf-8"))
    return {
        variant: {key: tuple(value["shape"]) for group in known[variant]["groups"].values() for key, value in group.items()}
        for variant in VARIANTS
    }


def test_the_defaults_are_the_official_network(official):
    assert read_config(official[VARIANTS[0]], {}, "official") == NetworkConfig()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_network_of_the_official_size_has_the_official_keys(official, variant):
    with torch.device("meta"):
        network = Network(read_config(official[variant], {}, "official"))
    ours = {official_key(key): tuple(value.shape) for key, value in network.state_dict().items()}
    assert ours == {key: shape for key, shape in official[variant].items() if key not in UNUSED}


def test_the_variant_sees_a_narrower_crop(official):
    config = read_config(official[VARIANTS[1]], {}, "official")
    assert config.backbone == BackboneConfig("vit", 1280, 32, 16, 5120, 16, 0, 768)
    assert config.grid == (32, 24) and config.margin == 64
    assert NetworkConfig().grid == (32, 32) and NetworkConfig().margin == 0


def test_the_yaml_says_what_tensors_do_not(official):
    settings = {"MODEL": {"IMAGE_SIZE": [256, 256], "DECODER": {"DIM_HEAD": 32, "USE_INTRIN_CENTER": False},
                          "CAMERA_HEAD": {"DEFAULT_SCALE_FACTOR_HAND": 4}}}
    config = read_config(official[VARIANTS[0]], settings, "official")
    assert (config.crop_px, config.decoder.heads, config.own_centre, config.hand_camera_factor) == (256, 16, False, 4)


def test_something_else_is_an_error():
    with pytest.raises(ReadError, match=r"x\.ckpt: found no 'backbone.patch_embed.proj.weight', expected a SAM 3D Body checkpoint"):
        read_config({"weight": (3, 3)}, {}, "x.ckpt")


def test_a_size_that_makes_no_sense_is_an_error(official):
    with pytest.raises(ReadError, match="sizes that no SAM 3D Body network has"):
        read_config(official[VARIANTS[0]], {"MODEL": {"IMAGE_SIZE": "large"}}, "x.ckpt")


@pytest.mark.parametrize(("variant", "side"), [(VARIANTS[0], 500), (VARIANTS[0], 0), (VARIANTS[1], 256)])
def test_a_crop_that_patches_do_not_fill_is_an_error(official, variant, side):
    with pytest.raises(ReadError, match="sizes that no SAM 3D Body network has"):
        read_config(official[variant], {"MODEL": {"IMAGE_SIZE": [side, side]}}, "x.ckpt")


def test_settings_that_this_engine_does_not_compute_are_refused():
    check_settings({}, "x.yaml")
    check_settings({"MODEL": {"DECODER": {"REPEAT_PE": True}, "PERSON_HEAD": "odd"}, "TRAIN": {"FP16_TYPE": "float16"}}, "x.yaml")
    with pytest.raises(ReadError, match=r"x\.yaml: MODEL\.DECODER\.ENABLE_TWOWAY: found True, expected False"):
        check_settings({"MODEL": {"DECODER": {"ENABLE_TWOWAY": True}}}, "x.yaml")
