"""Rotations as unit quaternions, xyzw, and the steps between forms; any leading batch shape goes in, float64 comes out.

Names say the way: ``a_to_b``. Quaternions are Hamilton's, active, and rotate column vectors: ``v' = q v q*``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

IDENTITY_XYZW = np.array([0.0, 0.0, 0.0, 1.0])

# Below this angle (rad) sin(x)/x is 1 − x²/6 to double precision, and the division would lose digits.
_SMALL_RAD = 1e-4


def quat_normalize(quat_xyzw: ArrayLike) -> Array:
    """Return ``quat_xyzw`` (…,4) with length 1; a zero quaternion becomes the identity."""
    quat = np.asarray(quat_xyzw, dtype=np.float64)
    length = np.linalg.norm(quat, axis=-1, keepdims=True)
    return np.where(length > 0, quat / np.where(length > 0, length, 1.0), IDENTITY_XYZW)


def quat_multiply(left_xyzw: ArrayLike, right_xyzw: ArrayLike) -> Array:
    """Return the product left · right (…,4): the rotation that turns by ``right`` first, then by ``left``."""
    left, right = np.asarray(left_xyzw, dtype=np.float64), np.asarray(right_xyzw, dtype=np.float64)
    lv, lw = left[..., :3], left[..., 3:]
    rv, rw = right[..., :3], right[..., 3:]
    vector = lw * rv + rw * lv + np.cross(lv, rv)
    scalar = lw * rw - np.sum(lv * rv, axis=-1, keepdims=True)
    return np.concatenate([vector, scalar], axis=-1)


def quat_inverse(quat_xyzw: ArrayLike) -> Array:
    """Return the inverse of unit quaternions (…,4)."""
    return np.asarray(np.asarray(quat_xyzw, dtype=np.float64) * np.array([-1.0, -1.0, -1.0, 1.0]))


def quat_apply(quat_xyzw: ArrayLike, vectors: ArrayLike) -> Array:
    """Rotate ``vectors`` (…,3) by unit quaternions (…,4)."""
    quat, vector = np.asarray(quat_xyzw, dtype=np.float64), np.asarray(vectors, dtype=np.float64)
    axis, w = quat[..., :3], quat[..., 3:]
    twice = 2.0 * np.cross(axis, vector)
    return vector + w * twice + np.cross(axis, twice)


def quat_to_matrix(quat_xyzw: ArrayLike) -> Array:
    """Return rotation matrices (…,3,3) for unit quaternions (…,4)."""
    x, y, z, w = np.moveaxis(np.asarray(quat_xyzw, dtype=np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def matrix_to_quat(matrices: ArrayLike) -> Array:
    """Return unit quaternions (…,4) for rotation matrices (…,3,3).

    Bar-Itzhack's and Shepperd's problem without a branch: all four numerators are computed, and the one with the
    largest divisor is taken, so that no angle loses digits.
    """
    m = np.asarray(matrices, dtype=np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    candidates = np.stack(
        [
            np.stack([1 + xx - yy - zz, d, e, a], axis=-1),
            np.stack([d, 1 - xx + yy - zz, f, b], axis=-1),
            np.stack([e, f, 1 - xx - yy + zz, c], axis=-1),
            np.stack([a, b, c, 1 + xx + yy + zz], axis=-1),
        ],
        axis=-2,
    )
    divisors = np.stack([xx - yy - zz, yy - xx - zz, zz - xx - yy, xx + yy + zz], axis=-1)
    best = np.argmax(divisors, axis=-1)[..., None, None]
    return quat_normalize(np.take_along_axis(candidates, best, axis=-2)[..., 0, :])


def rotvec_to_quat(rotvec: ArrayLike) -> Array:
    """Return unit quaternions (…,4) for rotation vectors (…,3), axis times angle in radians."""
    vector = np.asarray(rotvec, dtype=np.float64)
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    safe = np.where(angle > _SMALL_RAD, angle, 1.0)
    factor = np.where(angle > _SMALL_RAD, np.sin(safe / 2) / safe, 0.5 - angle**2 / 48)
    return np.concatenate([vector * factor, np.cos(angle / 2)], axis=-1)


def quat_to_rotvec(quat_xyzw: ArrayLike) -> Array:
    """Return rotation vectors (…,3), 0 to π long, for unit quaternions (…,4); both signs give the same answer."""
    quat = np.asarray(quat_xyzw, dtype=np.float64)
    quat = np.where(quat[..., 3:] < 0, -quat, quat)
    sine = np.linalg.norm(quat[..., :3], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, quat[..., 3:])
    factor = np.where(sine > _SMALL_RAD, angle / np.where(sine > _SMALL_RAD, sine, 1.0), 2.0 + sine**2 / 3)
    return np.asarray(quat[..., :3] * factor)


def quat_continuous(quat_xyzw: ArrayLike) -> Array:
    """Return the same rotations (frames, …, 4) with signs chosen so that neighbours in time are near each other."""
    quat = np.array(quat_xyzw, dtype=np.float64)
    if len(quat) < 2:
        return quat
    dots = np.sum(quat[1:] * quat[:-1], axis=-1)
    signs = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    quat[1:] *= signs[..., None]
    return quat


def quat_slerp(start_xyzw: ArrayLike, end_xyzw: ArrayLike, share: ArrayLike) -> Array:
    """Turn from ``start`` to ``end`` (…,4) the short way by ``share`` (…) of the angle."""
    step = quat_to_rotvec(quat_multiply(quat_inverse(start_xyzw), end_xyzw))
    return quat_multiply(start_xyzw, rotvec_to_quat(step * np.asarray(share)[..., None]))


def quat_between(from_vectors: ArrayLike, to_vectors: ArrayLike) -> Array:
    """Return the smallest rotations (…,4) that bring the directions (…,3) of ``from_vectors`` onto ``to_vectors``."""
    start, end = _unit(from_vectors), _unit(to_vectors)
    start, end = np.broadcast_arrays(start, end)
    cosine = np.sum(start * end, axis=-1, keepdims=True)
    quat = np.concatenate([np.cross(start, end), 1.0 + cosine], axis=-1)
    # Opposite directions: any axis across will do; cross with the coordinate axis that is furthest from the direction.
    helper = np.eye(3)[np.argmin(np.abs(start), axis=-1)]
    half_turn = np.concatenate([_unit(np.cross(start, helper)), np.zeros_like(cosine)], axis=-1)
    return quat_normalize(np.where(cosine < -1 + 1e-9, half_turn, quat))


def _unit(vectors: ArrayLike) -> Array:
    vector = np.asarray(vectors, dtype=np.float64)
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-300))
