"""What somebody does and when: key poses for the upper body, and drives that carry the root over the ground."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..motion.rotations import quat_slerp
from .key_pose import Pose

Array = NDArray[np.float64]

_GRID_HZ = 240.0
_RAMP_S = 0.45
# A foot that has just landed must come to rest before it can lift again.
_PAUSE_S = 0.35


@dataclass(frozen=True)
class Drive:
    """A stretch of walking or turning: how far and how much, in how many steps."""

    start_s: float
    end_s: float
    distance_m: float
    turn_rad: float  # to the left
    steps: int


@dataclass
class Score:
    """A script that is written from its start to its end; ``now_s`` is where the pen is."""

    now_s: float = 0.0
    keys: list[tuple[float, Pose]] = field(default_factory=lambda: [(0.0, Pose())])
    drives: list[Drive] = field(default_factory=list)

    @property
    def pose(self) -> Pose:
        """The last key pose."""
        return self.keys[-1][1]

    def to(self, pose: Pose, seconds: float) -> None:
        """Move from the last pose to this one."""
        self.now_s += seconds
        self.keys.append((self.now_s, pose))

    def hold(self, seconds: float) -> None:
        """Stay in the last pose."""
        self.to(self.pose, seconds)

    def drive(self, distance_m: float, turn_rad: float, step_s: float, steps: int) -> None:
        """Walk or turn on the spot, in the last pose."""
        if self.drives and self.now_s < self.drives[-1].end_s + _PAUSE_S:
            self.hold(self.drives[-1].end_s + _PAUSE_S - self.now_s)
        start = self.now_s
        self.hold(step_s * steps)
        self.drives.append(Drive(start, self.now_s, distance_m, turn_rad, steps))

    def sample(self, times_s: Array) -> tuple[Array, Array]:
        """Return the body's local rotations (F,22,4) and amounts (F,7, see `Pose.amounts`), eased from key to key."""
        key_times = np.array([time for time, _ in self.keys])
        quats = np.stack([pose.body_quats() for _, pose in self.keys])
        amounts = np.stack([pose.amounts() for _, pose in self.keys])
        before = np.clip(np.searchsorted(key_times, times_s, side="right") - 1, 0, len(key_times) - 1)
        after = np.minimum(before + 1, len(key_times) - 1)
        length = np.maximum(key_times[after] - key_times[before], 1e-9)
        share = minimum_jerk(np.clip((times_s - key_times[before]) / length, 0.0, 1.0))
        turned = quat_slerp(quats[before], quats[after], np.broadcast_to(share[:, None], (len(times_s), quats.shape[1])))
        return turned, amounts[before] + (amounts[after] - amounts[before]) * share[:, None]


@dataclass(frozen=True, eq=False)
class Path:
    """The root's way over the ground: a smooth line that can be asked for any time."""

    times_s: Array  # (N,)
    x_z_yaw: Array  # (N,3), metres and radians; yaw 0 faces +Z and grows to the left

    @classmethod
    def of(cls, score: Score, start_yaw: float, end_s: float) -> Path:
        """Follow a score's drives; the middle of the ground that is covered until ``end_s`` ends up at the origin."""
        times = np.arange(-1.0, score.now_s + 1.0, 1.0 / _GRID_HZ)
        speed, turning = np.zeros_like(times), np.zeros_like(times)
        for drive in score.drives:
            envelope = _envelope(times, drive.start_s, drive.end_s)
            speed += drive.distance_m * envelope
            turning += drive.turn_rad * envelope
        yaw = start_yaw + np.cumsum(turning) / _GRID_HZ
        x, z = np.cumsum(speed * np.sin(yaw)) / _GRID_HZ, np.cumsum(speed * np.cos(yaw)) / _GRID_HZ
        place = np.stack([x, z], axis=1)
        covered = place[(times > -1.0 / _GRID_HZ) & (times < end_s + 1.0 / _GRID_HZ)]
        place -= 0.5 * (covered.min(axis=0) + covered.max(axis=0))
        return cls(times, np.concatenate([place, yaw[:, None]], axis=1))

    def at(self, times_s: Array | float) -> Array:
        """Place and heading (…,3) at given times."""
        return np.stack([np.interp(times_s, self.times_s, column) for column in self.x_z_yaw.T], axis=-1)


def minimum_jerk(share: Array) -> Array:
    """Ease 0…1 as a hand does that moves from rest to rest (Flash and Hogan, 1985)."""
    return np.asarray(share**3 * (10.0 - 15.0 * share + 6.0 * share**2))


def _envelope(times_s: Array, start_s: float, end_s: float) -> Array:
    """A speed profile over a stretch that starts and ends at rest and covers 1 in all."""
    ramp = min(_RAMP_S, 0.5 * (end_s - start_s))
    rise = minimum_jerk(np.clip((times_s - start_s) / ramp, 0.0, 1.0))
    fall = minimum_jerk(np.clip((end_s - times_s) / ramp, 0.0, 1.0))
    return np.asarray(rise * fall / (end_s - start_s - ramp))
