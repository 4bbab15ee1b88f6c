"""SAM 3D Body's network at any size with made-up weights, and frames for it: as much work as the real ones, and nothing licensed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from rigdrop.ingest.pose.sam3d_body.batches import FramePeople
from rigdrop.ingest.pose.sam3d_body.config import NetworkConfig
from rigdrop.ingest.pose.sam3d_body.heads import PoseHead
from rigdrop.ingest.pose.sam3d_body.mhr import Mhr
from rigdrop.ingest.pose.sam3d_body.mhr_correctives import CorrectiveArrays
from rigdrop.ingest.pose.sam3d_body.mhr_file import EXPRESSIONS, PARAMETERS, SHAPES, MhrArrays
from rigdrop.ingest.pose.sam3d_body.network import Network
from rigdrop.ingest.pose.sam3d_body.passes import People

FRAME_PX = (1280, 720)
"""Width and height of the frames."""
JOINTS = 127
OFFICIAL_VERTICES = 18_439
_OFFICIAL_TRIANGLES, _OFFICIAL_HIDDEN, _OFFICIAL_LINKS = 36_874, 3000, 53_136
_INFLUENCES = 4
_LEVELS = 16
# Of the 70 keypoints these are no joints; so many vertices make one of them in the recorded stand-in.
_FROM_VERTICES, _VERTICES_EACH = 22, 4
_HAND_SLOTS = 62
_BLOCK = 1 << 20


class _QuickDraws(TorchFunctionMode):
    """Gives modules that draw their first weights one small block of made-up numbers again and again: a billion draws take a minute."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._block = 0.02 * torch.randn(_BLOCK, device=device)

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") not in ("kaiming_uniform_", "uniform_", "normal_"):
            return func(*args, **kwargs)
        tensor: torch.Tensor = kwargs.get("tensor", args[0] if args else None)
        flat = tensor.detach().view(-1)
        for part in flat.split(_BLOCK):
            part.copy_(self._block[:len(part)])
        return tensor


def random_arrays(vertices: int = OFFICIAL_VERTICES, hidden: int = _OFFICIAL_HIDDEN) -> MhrArrays:
    """Return an MHR model of the official file's sizes, pose correctives too: a tree of 16 levels with made-up numbers."""
    rng = np.random.default_rng(0)
    chains = JOINTS // _LEVELS + 1
    transform = np.zeros((7 * JOINTS, PARAMETERS), np.float32)
    transform[rng.permutation(7 * JOINTS)[:PARAMETERS], np.arange(PARAMETERS)] = 1
    turns = np.tile(np.array([0, 0, 0, 1], np.float32), (JOINTS, 1))
    links = np.zeros((hidden, 6 * (JOINTS - 2)), np.float32)
    links[rng.integers(0, hidden, _OFFICIAL_LINKS), rng.integers(0, links.shape[1], _OFFICIAL_LINKS)] = 0.1
    return MhrArrays(
        parents=np.maximum(np.arange(JOINTS) - chains, -1 * (np.arange(JOINTS) == 0)),
        offsets_cm=rng.normal(0, 5, (JOINTS, 3)).astype(np.float32),
        pre_quat_xyzw=turns,
        parameter_transform=transform,
        bind_offset_cm=rng.normal(0, 5, (JOINTS, 3)).astype(np.float32),
        bind_quat_xyzw=turns,
        skin_vertices=np.repeat(np.arange(vertices), _INFLUENCES),
        skin_joints=rng.integers(0, JOINTS, vertices * _INFLUENCES),
        skin_weights=np.full(vertices * _INFLUENCES, 1 / _INFLUENCES, np.float32),
        base_cm=rng.normal(0, 40, (vertices, 3)).astype(np.float32),
        shape_vectors_cm=rng.random((SHAPES, vertices, 3), np.float32),
        expression_vectors_cm=rng.random((EXPRESSIONS, vertices, 3), np.float32),
        faces=rng.integers(0, vertices, (_OFFICIAL_TRIANGLES, 3)),
        correctives=CorrectiveArrays(links, rng.random((3 * vertices, hidden), np.float32)),
    )


def random_network(config: NetworkConfig, arrays: MhrArrays, device: torch.device, dtype: torch.dtype) -> Network:
    """Return a network as `load_network` would, its weights drawn on the device itself; its backbone multiplies in ``dtype``."""
    torch.manual_seed(0)
    with torch.device(device), _QuickDraws(device):
        network = Network(config)
    for branch in (network.body, network.hands):
        _fill_tables(branch.head_pose, config.mapping)
    if dtype != torch.float32:
        network.lighten(dtype)
    network.attach(Mhr(arrays).to(device))
    return network.to(device).eval().requires_grad_(False)


def frames_of(count: int, people: int) -> Iterator[FramePeople]:
    """Yield frames of noise with so many people in each."""
    rng = np.random.default_rng(2)
    width, height = FRAME_PX
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    focal = float(np.hypot(width, height))
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    left = np.linspace(20, width - 320, people)
    boxes = np.stack([left, np.full(people, 40), left + 300, np.full(people, 680)], axis=1).astype(np.float32)
    for frame in range(count):
        yield FramePeople(frame, image, boxes, K)


def people_of(count: int, device: torch.device) -> People:
    """Return so many people at one place of one frame of noise."""
    frame = next(frames_of(1, 1))
    return People(
        torch.from_numpy(frame.image_rgb)[None].to(device), torch.from_numpy(frame.boxes_xyxy).to(device).expand(count, -1),
        torch.from_numpy(frame.K).float().to(device).expand(count, -1, -1), torch.zeros(count, dtype=torch.int64, device=device),
    )


def _fill_tables(head: PoseHead, mapping: tuple[int, int]) -> None:
    """Give a head tables that turn nothing and stretch nothing, and keypoints of a few vertices or of one joint."""
    rng = np.random.default_rng(1)
    keypoints, points = mapping
    rows = np.zeros(mapping, np.float32)
    rows[np.arange(keypoints), points - JOINTS + rng.integers(0, JOINTS, keypoints)] = 1
    rows[:_FROM_VERTICES - 1] = 0
    for row in range(_FROM_VERTICES - 1):
        rows[row, rng.integers(0, points - JOINTS, _VERTICES_EACH)] = 1 / _VERTICES_EACH
    head.keypoint_mapping.copy_(torch.from_numpy(rows))
    for table in (head.scale_comps, head.hand_pose_comps, head.local_to_world_wrist):
        table.copy_(torch.eye(*table.shape, device=table.device))
    head.joint_rotation.copy_(torch.eye(3, device=head.joint_rotation.device).expand_as(head.joint_rotation))
    count = len(head.hand_joint_idxs_left)
    head.hand_joint_idxs_left += _HAND_SLOTS
    head.hand_joint_idxs_right += _HAND_SLOTS + count
