"""The hand branch's fingers and wrists on the body branch's body (section 9, steps 6 and 7)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .conversions import HAND_NUMBERS, angle_between
from .hands import LEFT, LEFT_SCALE, RIGHT, RIGHT_SCALE, Hands
from .heads import BodyParams
from .wrist import hand_wrists, with_wrists, wrist_angles

# The scales of fingers and the shapes of hands, of which both hands have the same.
_FINGER_SCALES = slice(18, None)
_HAND_SHAPES = slice(40, None)
_NEVER_ZERO = 1e-8


def fused(
    params: BodyParams, rotations: Tensor, hands: Hands, valid: Tensor, first_wrists: Tensor, joint_rotation: Tensor,
    threshold_rad: float,
) -> tuple[BodyParams, Tensor, Tensor]:
    """Return the bodies with hands put on, which (B,2) were, and how far (B,2), radians, each wrist turned.

    ``rotations`` (B,127,3,3) are the second pass's joints, ``first_wrists`` (B,2,3,3) the first one's wrists.
    """
    turns = hand_wrists(rotations, hands.rotations, joint_rotation)
    angles = angle_between(first_wrists, turns)
    put = valid & (angles < threshold_rad)
    hand, scale, shape = params.hand.clone(), params.scale.clone(), params.shape.clone()
    for side, own, half, length in (
        (LEFT, hands.left, slice(None, HAND_NUMBERS), LEFT_SCALE), (RIGHT, hands.right, slice(HAND_NUMBERS, None), RIGHT_SCALE),
    ):
        hand[:, half] = torch.where(put[:, side, None], own.hand[:, half], hand[:, half])
        scale[:, length] = torch.where(put[:, side], own.scale[:, length], scale[:, length])
    for mine, field, part in ((scale, "scale", _FINGER_SCALES), (shape, "shape", _HAND_SHAPES)):
        mine[:, part] = _mean(put, getattr(hands.left, field)[:, part], getattr(hands.right, field)[:, part], mine[:, part])
    body = with_wrists(params, wrist_angles(turns), put)
    return replace(params, body=body, hand=hand, scale=scale, shape=shape), put, angles


def _mean(put: Tensor, left: Tensor, right: Tensor, none: Tensor) -> Tensor:
    """Return the mean (B,N) over the hands that were put on, or ``none`` where neither was."""
    # A hand that was left out may be no number at all.
    summed = torch.where(put[:, :1], left, 0.0) + torch.where(put[:, 1:], right, 0.0)
    mean = summed / (put.sum(1, keepdim=True) + _NEVER_ZERO)
    return torch.where(put.any(1)[:, None], mean, none)
