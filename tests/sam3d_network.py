"""The recorded SAM 3D Body network of random weights, tiny, with all its stages: what our network must say again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rigdrop.ingest.pose.sam3d_body.branch import Found, Sight
from rigdrop.ingest.pose.sam3d_body.checkpoint import build_network
from rigdrop.ingest.pose.sam3d_body.config import NetworkConfig, read_config
from rigdrop.ingest.pose.sam3d_body.crop import Crops, join_crops
from rigdrop.ingest.pose.sam3d_body.hands import Hands, both_hands
from rigdrop.ingest.pose.sam3d_body.mhr_file import MhrArrays, read_mhr_arrays
from rigdrop.ingest.pose.sam3d_body.network import Network
from rigdrop.ingest.pose.sam3d_body.safetensors_file import read_safetensors

from .conftest import lacking


@dataclass
class Recorded:
    """The fixtures in a folder, read once."""

    folder: Path
    _networks: dict[str, Network] = field(default_factory=dict)

    @cached_property
    def units(self) -> dict[str, Tensor]:
        return _tensors(self.folder / "fixture_units.npz")

    @cached_property
    def body(self) -> dict[str, Tensor]:
        return _tensors(self.folder / "fixture_body.npz")

    @cached_property
    def vit(self) -> dict[str, Tensor]:
        return _tensors(self.folder / "fixture_vit.npz")

    @cached_property
    def about(self) -> dict[str, Any]:
        return json.loads((self.folder / "fixture_config.json").read_text(encoding="utf-8"))

    @cached_property
    def state(self) -> dict[str, Tensor]:
        """The weights by official name, as a checkpoint would hold them."""
        with torch.inference_mode(False):
            return self._state()

    def _state(self) -> dict[str, Tensor]:
        kept = read_safetensors(self.folder / "fixture_state.safetensors")
        mapping = torch.zeros(*kept["__keypoint_mapping_shape"].tolist())
        index = kept["__keypoint_mapping_coo_index"].long()
        mapping[index[:, 0], index[:, 1]] = kept["__keypoint_mapping_coo_value"]
        state = {key: value for key, value in kept.items() if not key.startswith("__")}
        return state | {f"{head}.keypoint_mapping": mapping for head in ("head_pose", "head_pose_hand")}

    @cached_property
    def config(self) -> NetworkConfig:
        return read_config({key: tuple(value.shape) for key, value in self.state.items()}, self.about["config"], "fixture")

    @property
    def mhr_path(self) -> Path:
        return self.folder.parent / "mhr" / "lod3" / "mhr_model.pt"

    @cached_property
    def arrays(self) -> MhrArrays:
        return read_mhr_arrays(self.mhr_path)

    def network(self, overrides: Mapping[str, Any] | None = None) -> Network:
        """Return the network, with some weights changed."""
        name = json.dumps(overrides or {}, sort_keys=True)
        if name not in self._networks:
            changed = {key: torch.tensor(value) for key, value in (overrides or {}).items()}
            with torch.inference_mode(False):  # who asks first must not mark the weights for all others
                self._networks[name] = build_network(self.state | changed, self.config, self.arrays, "fixture")
        return self._networks[name]

    def maps(self, number: int) -> Tensor:
        """Return the feature maps of the first case's batches as decoders get them: of the recorded pixels, masks told."""
        batch, network = f"full_all/batch/{number}", self.network()
        with torch.no_grad():
            maps = network.backbone((self.body[f"{batch}/img"][0] - network.mean) / network.std)
            return network.masked(maps, self.body[f"{batch}/mask"][0], self.body[f"{batch}/mask_score"][0])

    def sight(self, number: int) -> Sight:
        """Return what the first case's passes look at."""
        with torch.no_grad():
            return self.network().sight(self.maps(number), self.crops(number), hand=number > 0)

    def look(self, number: int) -> Found:
        """Return what the first case's passes find."""
        with torch.no_grad():
            return self.network().look(self.sight(number), hand=number > 0)

    def hands(self) -> Hands:
        """Return both hands of the first case's people."""
        crops = [self.crops(1), self.crops(2)]
        crops[0].mirrored[:] = True
        with torch.no_grad():
            network = self.network()
            sight = network.sight(torch.cat([self.maps(1), self.maps(2)]), join_crops(crops), hand=True)
            return both_hands(network.look(sight, hand=True), sight.crops, network.body.head_pose)

    def crops(self, number: int) -> Crops:
        """Return what the first case's batches saw: 0 bodies, 1 left hands in the mirrored image, 2 right hands."""
        def of(key: str) -> Tensor:
            return self.body[f"full_all/batch/{number}/{key}"][0]

        frame = torch.zeros(2, dtype=torch.int64)
        affine = of("affine_trans")
        return Crops(frame, frame.bool(), of("bbox_center"), of("bbox_scale")[:, 0], affine[:, 0, 0], affine[:, :, 2],
                     of("ori_img_size"), of("cam_int").expand(2, 3, 3), self.config.crop_px)


def apart(found: Tensor, truth: Tensor) -> float:
    """Return the largest difference, relative to the largest true value."""
    assert found.shape == truth.shape
    return float((found - truth).abs().max() / truth.abs().max().clamp(min=1e-12))


def _tensors(path: Path) -> dict[str, Tensor]:
    with np.load(path) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files if arrays[key].dtype.kind in "fiub"}


@cache
def recordings(shared: Path) -> Recorded:
    """Return the fixtures beside the checkout; the test is skipped, saying so, where they are not."""
    folder = shared / "sam3d"
    if not folder.is_dir():
        lacking(f"{folder} is not there")
    return Recorded(folder)
