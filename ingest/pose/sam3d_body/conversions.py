"""Rotations as the network writes them: six numbers, pairs of sine and cosine, Euler angles in three orders (section 6).

Matrices are (…,3,3), columns are images of the axes; angles are radians; all work on any batch and any device.
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional

from .constants import indices

# Body parameters (MHR parameter minus 6) that turn a joint with three freedoms, as (twist or rx, lean or ry, bend or rz):
# spine0 to 3, neck, head, right and left clavicle and upper arm, right and left upper leg, then per hand thumb1, index1,
# ring1, pinky1, middle1, and the jaw.
_TRIPLES = (
    (0, 2, 4), (6, 8, 10), (12, 13, 14), (15, 16, 17), (18, 19, 20), (21, 22, 23), (24, 25, 26), (27, 28, 29), (34, 35, 36),
    (37, 38, 39), (44, 45, 46), (53, 54, 55), (64, 65, 66), (85, 69, 73), (86, 70, 79), (87, 71, 82), (88, 72, 76),
    (91, 92, 93), (112, 96, 100), (113, 97, 106), (114, 98, 109), (115, 99, 103), (130, 131, 132),
)
_LENGTHS = (124, 125, 126, 127, 128, 129)
_SINGLES = tuple(sorted(set(range(124)) - {index for triple in _TRIPLES for index in triple}))
# A hand's freedoms by joint: pinky, ring, middle and index have 3, 1, 1; the thumb 2, 3, 1, 1. Three are six numbers, others a
# pair each, sine and cosine.
_HAND_FREEDOMS = (3, 1, 1) * 4 + (2, 3, 1, 1)
_HAND_STARTS = tuple(accumulate(_HAND_FREEDOMS, initial=0))[:-1]
_HAND_TRIPLES = tuple(tuple(range(start, start + 3)) for start, count in zip(_HAND_STARTS, _HAND_FREEDOMS) if count == 3)
# Where sine and cosine of an angle no longer say which way a joint points.
_LOCKED = 1e-6

BODY_ANGLES = 133
BODY_NUMBERS = 260
HAND_ANGLES = 27
HAND_NUMBERS = 54


def six_to_matrix(six: Tensor) -> Tensor:
    """Return Gram and Schmidt's matrix (…,3,3) of two columns (…,6), the third their cross product."""
    first = functional.normalize(six[..., :3], dim=-1)
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
    second = functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def matrix_to_zyx(matrix: Tensor) -> Tensor:
    """Return (g0, g1, g2), (…,3), with matrix = Rz(g0)·Ry(g1)·Rx(g2); at gimbal lock g2 is 0."""
    return _matrix_to_angles(matrix, 2, 1, 0)


def matrix_to_xzy(matrix: Tensor) -> Tensor:
    """Return (x, z, y), (…,3), with matrix = Rx(x)·Rz(z)·Ry(y); at gimbal lock y is 0."""
    return _matrix_to_angles(matrix, 0, 2, 1)


def matrix_to_xyz(matrix: Tensor) -> Tensor:
    """Return (rx, ry, rz), (…,3), with matrix = Rz(rz)·Ry(ry)·Rx(rx); at gimbal lock rz is 0."""
    return -_matrix_to_angles(matrix.transpose(-1, -2), 0, 1, 2)


def zyx_to_matrix(angles_rad: Tensor) -> Tensor:
    """Return Rz(g0)·Ry(g1)·Rx(g2), (…,3,3), for (g0, g1, g2), (…,3)."""
    return turn(angles_rad[..., 0], 2) @ turn(angles_rad[..., 1], 1) @ turn(angles_rad[..., 2], 0)


def xzy_to_matrix(angles_rad: Tensor) -> Tensor:
    """Return Rx(x)·Rz(z)·Ry(y), (…,3,3), for (x, z, y), (…,3)."""
    return turn(angles_rad[..., 0], 0) @ turn(angles_rad[..., 1], 2) @ turn(angles_rad[..., 2], 1)


def xyz_to_matrix(angles_rad: Tensor) -> Tensor:
    """Return Rz(rz)·Ry(ry)·Rx(rx), (…,3,3), for (rx, ry, rz), (…,3)."""
    return zyx_to_matrix(angles_rad.flip(-1))


def turn(angle_rad: Tensor, axis: int) -> Tensor:
    """Return the matrix (…,3,3) of a turn by an angle (…) about axis 0, 1 or 2."""
    cosine, sine = torch.cos(angle_rad), torch.sin(angle_rad)
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    rows = {
        0: (one, zero, zero, zero, cosine, -sine, zero, sine, cosine),
        1: (cosine, zero, sine, zero, one, zero, -sine, zero, cosine),
        2: (cosine, -sine, zero, sine, cosine, zero, zero, zero, one),
    }[axis]
    return torch.unflatten(torch.stack(rows, dim=-1), -1, (3, 3))


def angle_between(first: Tensor, second: Tensor) -> Tensor:
    """Return the angle (…), radians, between two rotations (…,3,3) (section 9, step 3)."""
    trace = (first * second).sum((-1, -2))
    return torch.acos(((trace - 1) / 2).clamp(-1, 1))


def quat_to_matrix(quat_xyzw: Tensor) -> Tensor:
    """Return the matrix (…,3,3) of a unit quaternion xyzw (…,4)."""
    x, y, z, w = quat_xyzw.unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    )
    return torch.unflatten(torch.stack(rows, dim=-1), -1, (3, 3))


def body_angles(numbers: Tensor) -> Tensor:
    """Return the body parameters (…,133), radians, of the network's (…,260): 23 × 6 numbers, 58 sine-cosine pairs, 6 plain."""
    angles = numbers.new_zeros((*numbers.shape[:-1], BODY_ANGLES))
    angles[..., indices(_TRIPLES, numbers.device)] = _six_to_angles(torch.unflatten(numbers[..., :138], -1, (23, 6)))
    pairs = torch.unflatten(numbers[..., 138:254], -1, (58, 2))
    angles[..., indices(_SINGLES, numbers.device)] = torch.atan2(pairs[..., 0], pairs[..., 1])
    angles[..., 124:130] = numbers[..., 254:]
    return angles


def body_numbers(angles_rad: Tensor) -> Tensor:
    """Return the network's numbers (…,260) for body parameters (…,133): what `body_angles` undoes."""
    six = _angles_to_six(angles_rad[..., indices(_TRIPLES, angles_rad.device)])
    single = angles_rad[..., indices(_SINGLES, angles_rad.device)]
    pairs = torch.stack([torch.sin(single), torch.cos(single)], dim=-1)
    return torch.cat([six.flatten(-2), pairs.flatten(-2), angles_rad[..., _LENGTHS[0]:_LENGTHS[-1] + 1]], dim=-1)


def hand_angles(numbers: Tensor) -> Tensor:
    """Return a hand's angles (…,27), radians, of its (…,54) numbers."""
    pairs = torch.unflatten(numbers, -1, (HAND_ANGLES, 2))
    angles = torch.atan2(pairs[..., 0], pairs[..., 1])
    triples = indices(_HAND_TRIPLES, numbers.device)
    angles[..., triples] = _six_to_angles(pairs[..., triples, :].flatten(-2))
    return angles


def hand_numbers(angles_rad: Tensor) -> Tensor:
    """Return a hand's numbers (…,54) for its angles (…,27): what `hand_angles` undoes."""
    numbers = torch.stack([torch.sin(angles_rad), torch.cos(angles_rad)], dim=-1)
    triples = indices(_HAND_TRIPLES, angles_rad.device)
    numbers[..., triples, :] = torch.unflatten(_angles_to_six(angles_rad[..., triples]), -1, (3, 2))
    return numbers.flatten(-2)


def zero_pose() -> Tensor:
    """Return the 519 numbers of a body that stands as the model rests: the start where a checkpoint brings none."""
    upright = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    body = body_numbers(torch.zeros(BODY_ANGLES))
    return torch.cat([upright, body, torch.zeros(519 - len(upright) - len(body))])


def _matrix_to_angles(matrix: Tensor, i: int, j: int, k: int) -> Tensor:
    """Return the angles (…,3) with matrix = R_i·R_j·R_k, turns about three different axes; at gimbal lock the last is 0."""
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    m = [row.unbind(-1) for row in matrix.unbind(-2)]
    flat = torch.hypot(m[i][i], m[i][j])
    first = torch.where(flat < _LOCKED, torch.atan2(sign * m[k][j], m[j][j]), torch.atan2(-sign * m[j][k], m[k][k]))
    # Of what the first turn leaves, so that near the lock both still make the same matrix.
    sine, cosine = sign * torch.sin(first), torch.cos(first)
    third = torch.atan2(sign * (cosine * m[j][i] + sine * m[k][i]), cosine * m[j][j] + sine * m[k][j])
    return torch.stack([first, torch.atan2(sign * m[i][k], flat), third], dim=-1)


def _six_to_angles(six: Tensor) -> Tensor:
    """Return (rx, ry, rz), (…,3), of two columns x and nearly y (…,6); rz is 0 where x points along z."""
    x = functional.normalize(six[..., :3], dim=-1)
    z = functional.normalize(torch.linalg.cross(x, six[..., 3:]), dim=-1)
    y = torch.linalg.cross(z, x)
    flat = torch.hypot(x[..., 0], x[..., 1])
    locked = flat < _LOCKED
    rx = torch.where(locked, torch.atan2(-z[..., 1], y[..., 1]), torch.atan2(y[..., 2], z[..., 2]))
    rz = torch.where(locked, 0.0, torch.atan2(x[..., 1], x[..., 0]))
    return torch.stack([rx, torch.atan2(-x[..., 2], flat), rz], dim=-1)


def _angles_to_six(angles_rad: Tensor) -> Tensor:
    matrix = xyz_to_matrix(angles_rad)
    return torch.cat([matrix[..., 0], matrix[..., 1]], dim=-1)
