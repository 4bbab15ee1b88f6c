"""The wrist between a body's forearm and a hand's own turn: how far apart they are, and the angles that join them (section 9).

Both hands at once: the axis of two is left, right. Turns are matrices (B,2,3,3), angles radians.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .constants import constant, indices
from .conversions import matrix_to_xzy, xzy_to_matrix
from .heads import BodyParams

FOREARMS = (76, 40)
"""MHR's joints of the left and right lower arm."""
HANDS = (78, 42)
"""MHR's joints of the left and right hand."""
_WRISTS = (77, 41)
# lowarm_twist, wrist_rz, wrist_ry of either side: the turn is Rx·Rz·Ry of these.
_ANGLES = ((41, 43, 42), (31, 33, 32))
_LOWEST = (-2.2, -2.2, -1.2)
_HIGHEST = (1.0, 1.5, 1.5)


def body_wrists(params: BodyParams) -> Tensor:
    """Return the wrists' local turns (B,2,3,3) that body parameters say."""
    return xzy_to_matrix(params.body[:, indices(_ANGLES, params.body.device)])


def hand_wrists(rotations: Tensor, hand_rotations: Tensor, joint_rotation: Tensor) -> Tensor:
    """Return the local turns (B,2,3,3) that would bring the body's hands into their own turns (B,2,3,3).

    ``rotations`` (B,127,3,3) are the body's joints, ``joint_rotation`` (127,3,3) the checkpoint's turns at rest.
    """
    device = rotations.device
    zero = rotations[:, indices(FOREARMS, device)] @ joint_rotation[indices(_WRISTS, device)]
    return zero.transpose(-1, -2) @ hand_rotations


def wrist_angles(turns: Tensor) -> Tensor:
    """Return the angles (…,3), x z y, of local turns (…,3,3), of the two ways to write one that nearer the wrist's limits."""
    return nearer_limits(matrix_to_xzy(turns))


def nearer_limits(angles_rad: Tensor) -> Tensor:
    """Return angles (…,3), x z y, or their other way of saying the same where that leaves the limits by less."""
    other = _wrapped(angles_rad * constant((1.0, -1.0, 1.0), angles_rad.device) + torch.pi)
    better = _beyond(other) < _beyond(angles_rad)
    return torch.where(better[..., None], other, angles_rad)


def with_wrists(params: BodyParams, angles_rad: Tensor, where: Tensor) -> Tensor:
    """Return body parameters (B,133) with wrists of angles (B,2,3), x z y, on the sides that ``where`` (B,2) names."""
    slots = indices(_ANGLES, angles_rad.device)
    body = params.body.clone()
    body[:, slots] = torch.where(where[..., None], angles_rad, body[:, slots])
    return body


def _beyond(angles_rad: Tensor) -> Tensor:
    low, high = (constant(limits, angles_rad.device) for limits in (_LOWEST, _HIGHEST))
    return (((low - angles_rad).clamp(min=0) + (angles_rad - high).clamp(min=0)) ** 2).sum(-1)


def _wrapped(angles_rad: Tensor) -> Tensor:
    return torch.remainder(angles_rad + torch.pi, 2 * torch.pi) - torch.pi
