"""How far SAM 3D Body's network on a device and in a precision is from itself in float32 on the processor, with made-up weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from rigdrop.ingest.pose.sam3d_body.config import NetworkConfig
from rigdrop.ingest.pose.sam3d_body.mhr_file import MhrArrays
from rigdrop.ingest.pose.sam3d_body.passes import Bodies, PassOptions, find_bodies

from .random_sam3d import people_of, random_network

_HOST = torch.device("cpu")
_MM = 1000.0
# So that both hands are put on, and a rounding error decides nothing.
_BELIEVE_HANDS_RAD = 4.0


@dataclass(frozen=True)
class Agreement:
    """How far one person's body is from the one in float32 on the processor."""

    where: str
    precision: str
    joints_mean_mm: float
    joints_most_mm: float
    keypoints_px: float  # the farthest


def agreements(
    config: NetworkConfig, arrays: MhrArrays, device: torch.device, precisions: tuple[str, ...], tell: Callable[[str], None]
) -> Iterator[Agreement]:
    """Yield how far each other way to run the network is from float32 on the processor: float32 first, where the device is another."""
    tell("one person in float32 on the processor")
    network = random_network(config, arrays, _HOST, torch.float32)
    options = PassOptions("full", wrist_threshold_rad=_BELIEVE_HANDS_RAD)
    truth = find_bodies(network, people_of(1, _HOST), options)
    network.to(device)
    if device != _HOST:
        yield _apart("float32", device, find_bodies(network, people_of(1, device), options), truth)
    # Once lighter there is no way back, so of rough precisions it is the first.
    for precision in [name for name in precisions if name != "float32"][:1]:
        network.lighten(getattr(torch, precision))
        yield _apart(precision, device, find_bodies(network, people_of(1, device), options), truth)


def _apart(precision: str, device: torch.device, found: Bodies, truth: Bodies) -> Agreement:
    joints_mm = (found.joints_m.cpu() - truth.joints_m).norm(dim=-1) * _MM
    keypoints_px = (found.keypoints_px.cpu() - truth.keypoints_px).norm(dim=-1)
    return Agreement(str(device), precision, float(joints_mm.mean()), float(joints_mm.max()), float(keypoints_px.max()))
