"""What a checkpoint is, said without loading it: for ``rigdrop assets verify``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .checkpoint import fitting_network, open_checkpoint
from .config import BackboneConfig
from .mhr_file import read_mhr_arrays

# By blocks and width.
_OFFICIAL = {("dinov3", 32, 1280): "DINOv3-H+", ("vit", 32, 1280): "ViT-H"}
_KINDS = {"dinov3": "DINOv3", "vit": "ViT"}


@dataclass(frozen=True)
class CheckpointFacts:
    """A whole checkpoint in figures."""

    variant: str
    weights: int
    """Numbers in the tensors that the network uses."""
    precision: str
    """What most of them are stored in."""
    vertices: int
    """Of the MHR model beside them."""

    def __str__(self) -> str:
        return f"SAM 3D Body, {self.variant}, {self.weights:,} weights, mostly {self.precision}; MHR of {self.vertices:,} vertices"


def read_facts(path: Path) -> CheckpointFacts:
    """Return what the checkpoint at ``path`` is, once it is whole: every key there, of the right shape, and its own MHR model.

    Weights stay on disk: only their names and shapes are read. Raises `MissingPartError` where a file is missing and
    `ReadError` where one is not what it should be.
    """
    found = open_checkpoint(path)
    arrays = read_mhr_arrays(found.files.mhr)
    network = fitting_network(found.state, found.config, arrays, str(found.files.state))
    stored: Counter[str] = Counter()
    for value in found.state.values():
        stored[str(value.dtype).removeprefix("torch.")] += value.numel()
    weights = sum(value.numel() for value in network.state_dict().values())
    return CheckpointFacts(variant_of(found.config.backbone), weights, stored.most_common(1)[0][0], len(arrays.base_cm))


def variant_of(backbone: BackboneConfig) -> str:
    """Return what a network of this backbone is called: by its official name, or by its kind and size."""
    other = f"{_KINDS[backbone.kind]}, {backbone.depth} blocks of {backbone.width}"
    return _OFFICIAL.get((backbone.kind, backbone.depth, backbone.width), other)
