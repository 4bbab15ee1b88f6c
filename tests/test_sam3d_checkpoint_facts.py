from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rigdrop.errors import ReadError
from rigdrop.ingest.pose.sam3d_body.checkpoint_facts import CheckpointFacts, read_facts, variant_of
from rigdrop.ingest.pose.sam3d_body.config import BackboneConfig

from .sam3d_checkpoint import write_checkpoint
from .sam3d_fixture import recorded_network  # noqa: F401

# Kept by the original, used by nobody who only infers.
UNUSED = ("mask_token", "faces", "hand_pose_comps_ori", "hand_cls_embed.weight", "hand_cls_embed.bias")


@pytest.fixture
def folder(recorded, tmp_path) -> Path:
    return write_checkpoint(recorded, tmp_path)


def test_a_whole_checkpoint_in_figures(recorded, folder):
    facts = read_facts(folder)
    used = sum(value.numel() for key, value in recorded.state.items() if not key.endswith(UNUSED))
    assert facts == CheckpointFacts("DINOv3, 2 blocks of 128", used, "float32", 4899)
    assert str(facts) == f"SAM 3D Body, DINOv3, 2 blocks of 128, {used:,} weights, mostly float32; MHR of 4,899 vertices"


def test_a_key_too_few_is_an_error(recorded, folder):
    state = {key: value for key, value in recorded.state.items() if key != "init_pose.weight"}
    torch.save(state, folder / "model.ckpt")
    with pytest.raises(ReadError, match=r"1 missing: init_pose\.weight"):
        read_facts(folder)


def test_weights_are_not_read(recorded, folder):
    """A gigabyte and more of weights that the file does not even hold on disk: only their shape is looked at."""
    state = recorded.state | {"hand_cls_embed.weight": torch.zeros(1).expand(1 << 40)}
    torch.save(state, folder / "model.ckpt")
    assert read_facts(folder).vertices == 4899


def test_the_official_variants_have_their_names():
    assert variant_of(BackboneConfig()) == "DINOv3-H+"
    assert variant_of(BackboneConfig("vit", 1280, 32, 16, 5120, 16, 0, 768)) == "ViT-H"
