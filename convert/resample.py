"""Motion at another rate: every frame at its own exact time, between the two that were recorded around it.

Turns go the short way on SO(3), places, scales and meshes straight. A frame that lies on a recorded one is that one; of
what lies between two, only as much is known as is known of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..motion.rotations import matrix_to_quat, quat_slerp, quat_to_matrix
from ..motion.take import Camera
from .performance import Performance

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A time this near to a recorded one, in steps, is that one: far above float64's rounding, far below any jitter.
_ON_A_FRAME = 1e-6
# Recorded frames further apart than this, in usual steps, have a hole between them, of which nothing was seen.
_HOLE_STEPS = 2.5
_BLOCK_BYTES = 2**25


def times_at(times_s: Floats, rate: Fraction | None) -> Floats:
    """Return times (N,) from the first of ``times_s`` (F,) to the last at an exact ``rate``; without one, the same as they are."""
    if rate is None:
        return times_s
    steps = int(float(times_s[-1] - times_s[0]) * float(rate) + _ON_A_FRAME)
    return np.asarray(times_s[0] + np.arange(steps + 1) * rate.denominator / rate.numerator)


@dataclass(frozen=True, eq=False)
class Resampling:
    """Where N new frames lie among F recorded ones."""

    times_s: Floats  # (N,), of the new frames
    before: NDArray[np.intp]  # (N,), the recorded frame at that time, or before it
    after: NDArray[np.intp]  # (N,), the next one; the same where the new frame lies on it
    share: Floats  # (N,), 0…1, how far it is from the one to the other
    whole: Mask  # (N,), False in holes of the recording

    @classmethod
    def of(cls, recorded_s: Floats, times_s: Floats) -> Resampling:
        """Find ``times_s`` (N,) among ``recorded_s`` (F,), both rising; what lies outside is held to the ends."""
        last = len(recorded_s) - 1
        before = np.clip(np.searchsorted(recorded_s, times_s, side="right") - 1, 0, max(last - 1, 0))
        after = np.minimum(before + 1, last)
        apart_s = recorded_s[after] - recorded_s[before]
        share = np.clip((times_s - recorded_s[before]) / np.where(apart_s > 0, apart_s, 1.0), 0.0, 1.0)
        before = np.where(share >= 1 - _ON_A_FRAME, after, before)
        on_frame = (share <= _ON_A_FRAME) | (before == after)
        usual_s = float(np.median(np.diff(recorded_s))) if last else 1.0
        return cls(times_s, before, np.where(on_frame, before, after), np.where(on_frame, 0.0, share),
                   on_frame | (apart_s < _HOLE_STEPS * usual_s))

    @property
    def picks(self) -> bool:
        """Whether every new frame lies on a recorded one."""
        return bool((self.before == self.after).all())

    def straight(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return (N,…) of floating-point values (F,…), straight between neighbours."""

        def blend(start: NDArray[Any], end: NDArray[Any], share: Floats) -> NDArray[Any]:
            return np.asarray(start + share.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1)) * (end - start))

        return self._blended(values, blend)

    def turned(self, quat_xyzw: Floats) -> Floats:
        """Return (N,…,4) of unit quaternions (F,…,4), the short way between neighbours."""

        def blend(start: NDArray[Any], end: NDArray[Any], share: Floats) -> NDArray[Any]:
            return quat_slerp(start, end, np.broadcast_to(share.reshape(-1, *[1] * (quat_xyzw.ndim - 2)), start.shape[:-1]))

        return self._blended(quat_xyzw, blend)

    def of_both(self, mask: Mask) -> Mask:
        """Return (N,…) of a mask (F,…): where it holds on both sides, and the recording has no hole."""
        return np.asarray(mask[self.before] & mask[self.after] & self.whole.reshape(-1, *[1] * (mask.ndim - 1)))

    def picked(self, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return those of ``values`` that the new frames have: arrays of F frames only where every new frame lies on one of them."""
        return {name: array[self.before] for name, array in values.items()} if self.picks else {}

    def _blended(self, values: NDArray[Any], blend: Callable[[NDArray[Any], NDArray[Any], Floats], NDArray[Any]]) -> NDArray[Any]:
        """Blend a few frames at a time: meshes of a long clip are gigabytes, and are not copied where nothing changes."""
        if self.picks and np.array_equal(self.before, np.arange(len(values))):
            return values
        blended = np.empty((len(self.times_s), *values.shape[1:]), values.dtype)
        size = max(1, _BLOCK_BYTES // max(values[0].nbytes, 1))
        for start in range(0, len(blended), size):
            part = slice(start, start + size)
            blended[part] = blend(values[self.before[part]], values[self.after[part]], self.share[part])
        return blended


def resampled(performance: Performance, way: Resampling) -> Performance:
    """Return the same motion in the frames of ``way``."""
    scale, weights = performance.scale, performance.morph_weights
    return Performance(
        performance.rig, way.times_s, way.turned(performance.quat_xyzw), way.straight(performance.translation_m),
        way.of_both(performance.visible), way.straight(performance.confidence) * way.whole, way.of_both(performance.known),
        None if scale is None else way.straight(scale), None if weights is None else way.straight(weights),
    )


def resampled_camera(camera: Camera, way: Resampling) -> Camera:
    """Return the camera in the frames of ``way``: one that moves turns and goes as people do, and its lens changes straight."""
    lens, T_world_camera = camera.intrinsics_px, camera.world_from_camera
    if T_world_camera.ndim == 3:
        moved = np.tile(np.eye(4), (len(way.times_s), 1, 1))
        moved[:, :3, :3] = quat_to_matrix(way.turned(matrix_to_quat(T_world_camera[:, :3, :3])))
        moved[:, :3, 3] = way.straight(T_world_camera[:, :3, 3])
        T_world_camera = moved
    return replace(camera, intrinsics_px=way.straight(lens) if lens.ndim == 3 else lens, world_from_camera=T_world_camera)
