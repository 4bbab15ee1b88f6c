"""Joints that turn through half a circle and round and round, noise for them, and the angle between two turns.

What scipy computes; the code that is tested has its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def even_times(frames: int, fps: float = 30.0) -> Array:
    """Times (frames,) from 5 s on."""
    return 5.0 + np.arange(frames) / fps


def uneven_times(frames: int, fps: float = 30.0, seed: int = 3) -> Array:
    """Times (frames,) whose intervals are half to one and a half times the usual."""
    return 5.0 + np.cumsum(np.random.default_rng(seed).uniform(0.5, 1.5, frames)) / fps


def steady_turns(times_s: Array, rad_s: Array) -> Array:
    """Joints (F,J,4) that turn at even speeds (J,3), rad/s, from a turn of their own."""
    start = Rotation.random(len(rad_s), random_state=8)
    return np.stack([(start[joint] * Rotation.from_rotvec((times_s - times_s[0])[:, None] * speed)).as_quat()
                     for joint, speed in enumerate(rad_s)], axis=1)


def tumbling(times_s: Array, joints: int = 3, turns: float = 3.0) -> Array:
    """Joints (F,J,4) that go round ``turns`` times over the clip, through π, while they sway about other axes."""
    rng, phase = np.random.default_rng(5), (times_s - times_s[0]) / (times_s[-1] - times_s[0])
    columns = []
    for _ in range(joints):
        axis = rng.normal(size=3)
        spin = Rotation.from_rotvec(2 * np.pi * turns * phase[:, None] * axis / np.linalg.norm(axis))
        sway = Rotation.from_rotvec(0.4 * np.sin(2 * np.pi * phase[:, None] + rng.uniform(0, 6, 3)))
        columns.append((spin * sway).as_quat())
    return np.stack(columns, axis=1)


def wandering(times_s: Array, points: int = 3) -> Array:
    """Points (F,N,3), metres, that swing by up to half a metre."""
    rng = np.random.default_rng(6)
    return 0.5 * np.sin(times_s[:, None, None] * rng.uniform(0.5, 2.0, (points, 3)) + rng.uniform(0, 6, (points, 3)))


def shaken(quat_xyzw: Array, sigma_rad: float, seed: int = 0) -> Array:
    """Turns (F,J,4) with noise of this deviation about each axis, and signs by chance, which must mean nothing."""
    rng = np.random.default_rng(seed)
    noise = Rotation.from_rotvec(rng.normal(0, sigma_rad, (quat_xyzw[..., 0].size, 3)))
    sign = rng.choice([-1.0, 1.0], (*quat_xyzw.shape[:2], 1))
    return sign * (Rotation.from_quat(quat_xyzw.reshape(-1, 4)) * noise).as_quat().reshape(quat_xyzw.shape)


def turned_world(quat_xyzw: Array, rotvec: Array) -> Array:
    """A fixed turn on the left of all turns (F,J,4)."""
    return (Rotation.from_rotvec(rotvec) * Rotation.from_quat(quat_xyzw.reshape(-1, 4))).as_quat().reshape(quat_xyzw.shape)


def angles_deg(left_xyzw: Array, right_xyzw: Array) -> Array:
    """Angles (…) between turns (…,4), degrees."""
    left, right = np.broadcast_arrays(left_xyzw, right_xyzw)
    apart = Rotation.from_quat(left.reshape(-1, 4)).inv() * Rotation.from_quat(right.reshape(-1, 4))
    return np.degrees(apart.magnitude()).reshape(left.shape[:-1])


def rms(values: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
