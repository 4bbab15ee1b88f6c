"""Both hands of every body, each in its own crop, and whether to believe them (section 9, steps 1 to 4).

The axis of two is left, right. A left hand is looked at in the frame's mirror image, as a right one, and turned back here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .branch import Found
from .constants import constant, indices
from .conversions import HAND_NUMBERS, angle_between
from .crop import HAND_PADDING, Crops, crops_of_boxes, join_crops, mirror_K
from .heads import BodyParams, PoseHead
from .network import Network
from .wrist import HANDS, body_wrists, hand_wrists

LEFT, RIGHT = 0, 1
WRISTS = (62, 41)
"""Keypoints of the left and the right wrist."""
_SMALLEST_PX = 64.0
_FARTHEST_SIDES = 0.25
# The scales that say how long the right and the left hand is.
RIGHT_SCALE, LEFT_SCALE = 8, 9


@dataclass(frozen=True)
class Hands:
    """What the hand branch says of both hands of B bodies, in the frame as it is."""

    left: BodyParams
    right: BodyParams
    rotations: Tensor  # (B,2,3,3), of the hands' joints
    wrists_px: Tensor  # (B,2,2)
    centres_px: Tensor  # (B,2,2), of the crops
    sides_px: Tensor  # (B,2)
    reach: Tensor  # (B,2), the farthest crop coordinate of a keypoint: below ½ all are inside


def boxes_of(network: Network, found: Found, crops: Crops) -> Tensor:
    """Return the square boxes (B,2,4), frame pixels, in which a body's pass saw its hands."""
    norm = network.hand_boxes(found)
    half = norm[..., 2:].amax(-1) * crops.crop_px / crops.scale[:, None] / 2
    centres = torch.stack([crops.to_frame(norm[:, side, :2]) for side in (LEFT, RIGHT)], dim=1)
    return torch.cat([centres - half[..., None], centres + half[..., None]], dim=-1)


def hand_crops(boxes_xyxy: Tensor, body: Crops, exact_upstream: bool) -> Crops:
    """Return the crops of boxes (B,2,4): all left hands, mirrored, then all right ones.

    A mirrored frame's camera is mirrored too, but with ``exact_upstream``.
    """
    width = body.image_px[:, 0]
    left, right = boxes_xyxy[:, LEFT], boxes_xyxy[:, RIGHT]
    mirrored = torch.stack([width - left[:, 2] - 1, left[:, 1], width - left[:, 0] - 1, left[:, 3]], dim=-1)
    K = body.K if exact_upstream else mirror_K(body.K, width)
    return join_crops([
        crops_of_boxes(mirrored, body.image_px, K, body.crop_px, HAND_PADDING, body.frame, mirrored=True),
        crops_of_boxes(right, body.image_px, body.K, body.crop_px, HAND_PADDING, body.frame),
    ])


def look_at_hands(network: Network, maps: Tensor, crops: Crops) -> Found:
    """Return what the hand branch finds in crops that have the maps (B,D,rows,columns)."""
    maps = network.masked(maps, None, maps.new_zeros(len(crops)))
    return network.look(network.sight(maps, crops, hand=True), hand=True)


def both_hands(found: Found, crops: Crops, head: PoseHead) -> Hands:
    """Return all left hands, then all right ones, as `hand_crops` has them, side by side and turned back."""
    count = len(crops) // 2
    width = crops.image_px[:, 0]
    rotations = found.joints.rotations[:, HANDS[RIGHT]]
    mirrored = constant((1.0, -1.0, -1.0), rotations.device)[:, None] * rotations
    wrists, back = found.view.pixels[:, WRISTS[RIGHT]], crops.mirrored[:, None]
    first, second = torch.arange(count, device=width.device), torch.arange(count, 2 * count, device=width.device)

    def paired(values: Tensor) -> Tensor:
        return torch.stack([values[:count], values[count:]], dim=1)

    def unmirrored(points: Tensor) -> Tensor:
        flipped = torch.stack([width - points[:, 0] - 1, points[:, 1]], dim=-1)
        return paired(torch.where(back, flipped, points))

    return Hands(
        _as_left(found.params.pick(first), head), found.params.pick(second),
        paired(torch.where(back[..., None], mirrored, rotations)), unmirrored(wrists), unmirrored(crops.centre_px),
        paired(crops.side_px), paired(found.view.cropped.abs().amax((-1, -2))),
    )


def believed(body: Found, hands: Hands, head: PoseHead, threshold_rad: float, exact_upstream: bool) -> tuple[Tensor, Tensor]:
    """Return which hands (B,2) pass all gates, and how far (B,2), radians, each wrist would turn.

    A hand's wrist must lie near the body's, measured in its own crop's sides; with ``exact_upstream``, in the other hand's.
    """
    turns = hand_wrists(body.joints.rotations, hands.rotations, head.joint_rotation)
    angles = angle_between(body_wrists(body.params), turns)
    apart = (hands.wrists_px - body.view.pixels[:, indices(WRISTS, body.view.pixels.device)]).norm(dim=-1)
    near = apart / (hands.sides_px.flip(1) if exact_upstream else hands.sides_px) < _FARTHEST_SIDES
    return (angles < threshold_rad) & (hands.sides_px > _SMALLEST_PX) & (hands.reach < 0.5) & near, angles


def _as_left(params: BodyParams, head: PoseHead) -> BodyParams:
    """Return the right hands' parameters as left ones: fingers move over, and the hand's length is said anew."""
    hand, scale = params.hand.clone(), params.scale.clone()
    hand[:, :HAND_NUMBERS] = params.hand[:, HAND_NUMBERS:]
    mean, parts = head.scale_mean, head.scale_comps
    length = mean[RIGHT_SCALE] + parts[RIGHT_SCALE, RIGHT_SCALE] * params.scale[:, RIGHT_SCALE]
    scale[:, LEFT_SCALE] = (length - mean[LEFT_SCALE]) / parts[LEFT_SCALE, LEFT_SCALE]
    return replace(params, hand=hand, scale=scale)
