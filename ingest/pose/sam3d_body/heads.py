"""From a token to a body: the pose head with its parameters, and the camera head (sections 6 to 8)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from .config import NetworkConfig
from .conversions import (
    BODY_NUMBERS,
    HAND_ANGLES,
    HAND_NUMBERS,
    body_angles,
    hand_angles,
    matrix_to_xyz,
    matrix_to_zyx,
    six_to_matrix,
    xyz_to_matrix,
)
from .feed_forward import FeedForward
from .mhr_file import EXPRESSIONS, SHAPES

SCALES = 28
NUMBERS = 6 + BODY_NUMBERS + SHAPES + SCALES + 2 * HAND_NUMBERS + EXPRESSIONS
KEYPOINTS = 70
# The right hand's keypoints, the only ones that mean anything in the hand branch; the last is the wrist.
HAND_KEYPOINTS = slice(21, 42)
_POSE = 136
# Fingers and jaw, which the hands' numbers and nobody say.
_HAND_SLOTS = slice(62, 116)
_JAW = slice(130, 133)
_DECIMETRES_PER_METRE = 10.0
_JOINTS = 127
_SCALE_PARAMETERS = 68


@dataclass(frozen=True)
class BodyParams:
    """What the pose head says of B bodies."""

    raw: Tensor  # (B,266), the numbers of the global turn and of the body
    global_rot: Tensor  # (B,3), radians; root = Rz(third)·Ry(second)·Rx(first)
    body: Tensor  # (B,133), radians and lengths
    shape: Tensor  # (B,45)
    scale: Tensor  # (B,28)
    hand: Tensor  # (B,108), left then right
    face: Tensor  # (B,72), all zero

    def pick(self, which: Tensor) -> BodyParams:
        """Return the bodies that an index or a mask (B,) names."""
        return BodyParams(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def where(self, mask: Tensor, other: BodyParams) -> BodyParams:
        """Return these bodies where ``mask`` (B,) says so and ``other``'s elsewhere."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return BodyParams(**{name: torch.where(mask[:, None], mine, theirs) for name, (mine, theirs) in pairs.items()})

    def estimate(self, camera: Tensor) -> Tensor:
        """Return the previous estimate's numbers (B,522) that a second pass starts from, with the camera's (B,3)."""
        return torch.cat([self.raw, self.shape, self.scale, self.hand, self.face, camera], dim=-1)


class PoseHead(nn.Module):
    """519 numbers of a token, and MHR's 204 parameters of them."""

    scale_mean: Tensor
    scale_comps: Tensor
    hand_pose_mean: Tensor
    hand_pose_comps: Tensor
    hand_joint_idxs_left: Tensor
    hand_joint_idxs_right: Tensor
    keypoint_mapping: Tensor
    joint_rotation: Tensor
    right_wrist_coords: Tensor
    root_coords: Tensor
    local_to_world_wrist: Tensor
    nonhand_param_idxs: Tensor

    def __init__(self, config: NetworkConfig, hand: bool) -> None:
        super().__init__()
        self.hand = hand
        width = config.decoder.width
        self.proj = FeedForward(width, width, NUMBERS, nn.ReLU())
        tables: dict[str, tuple[int, ...]] = {
            "scale_mean": (_SCALE_PARAMETERS,), "scale_comps": (SCALES, _SCALE_PARAMETERS), "hand_pose_mean": (HAND_NUMBERS,),
            "hand_pose_comps": (HAND_NUMBERS, HAND_NUMBERS), "keypoint_mapping": config.mapping, "right_wrist_coords": (3,),
            "root_coords": (3,), "local_to_world_wrist": (3, 3), "joint_rotation": (_JOINTS, 3, 3),
        }
        indices = {"hand_joint_idxs_left": HAND_ANGLES, "hand_joint_idxs_right": HAND_ANGLES, "nonhand_param_idxs": config.nonhand}
        for name, shape in tables.items():
            self.register_buffer(name, torch.zeros(shape))
        for name, count in indices.items():
            self.register_buffer(name, torch.arange(count))

    def forward(self, token: Tensor, start: Tensor) -> BodyParams:
        """Return the bodies that tokens (B,C) mean, reckoned from ``start`` (1,519) or (B,519)."""
        numbers = self.proj(token) + start
        sizes = [6 + BODY_NUMBERS, SHAPES, SCALES, 2 * HAND_NUMBERS, EXPRESSIONS]
        raw, shape, scale, hand, face = torch.split(numbers, sizes, dim=-1)
        body = body_angles(raw[:, 6:])
        for unsaid in (_HAND_SLOTS, _JAW):
            body[:, unsaid].zero_()
        return BodyParams(raw, matrix_to_zyx(six_to_matrix(raw[:, :6])), body, shape, scale, hand, face * 0)

    def model_params(self, params: BodyParams) -> Tensor:
        """Return MHR's parameters (B,204): decimetres, radians, log2 of scale. A hand's have its wrist at the origin."""
        global_rot, move_m = params.global_rot, torch.zeros_like(params.global_rot)
        if self.hand:
            turned = xyz_to_matrix(global_rot) @ self.local_to_world_wrist
            global_rot = matrix_to_xyz(turned)
            move_m = -(turned @ (self.right_wrist_coords - self.root_coords) + self.root_coords)
        pose = torch.cat([_DECIMETRES_PER_METRE * move_m, global_rot, params.body[:, :_POSE - 6]], dim=-1)
        left, right = torch.split(params.hand, HAND_NUMBERS, dim=-1)
        for numbers, slots in ((left, self.hand_joint_idxs_left), (right, self.hand_joint_idxs_right)):
            pose[:, slots] = hand_angles(self.hand_pose_mean + numbers @ self.hand_pose_comps)
        whole = torch.cat([pose, self.scale_mean + params.scale @ self.scale_comps], dim=-1)
        if self.hand:
            whole.index_fill_(1, self.nonhand_param_idxs, 0.0)
        return whole


class CameraHead(nn.Module):
    """Three numbers of a token: scale, x and y of the crop's camera."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = FeedForward(width, width, 3, nn.ReLU())

    def forward(self, token: Tensor, start: Tensor) -> Tensor:
        """Return the cameras (B,3) that tokens (B,C) mean, reckoned from ``start`` (1,3)."""
        numbers: Tensor = self.proj(token)
        return numbers + start


def without_raw(params: BodyParams) -> BodyParams:
    """Return bodies whose raw numbers are zero, since hands were fused and they no longer tell the pose."""
    return replace(params, raw=torch.zeros_like(params.raw))

