"""One person's motion on one rig while it is being worked on: between what was read and what the take will hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RigdropError
from ..motion.kinematics import decompose, local_matrices, local_to_world
from ..motion.rig import Rig
from ..motion.rotations import quat_continuous, quat_normalize
from ..motion.take import Motion

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Performance:
    """Local joint values of a rig over F frames, double precision, finite everywhere; what was made up is marked."""

    rig: Rig
    times_s: Floats  # (F,), strictly increasing
    quat_xyzw: Floats  # (F,J,4), relative to the parent, unit
    translation_m: Floats  # (F,J,3), relative to the parent
    visible: NDArray[np.bool_]  # (F,), the person was there
    confidence: NDArray[np.float32]  # (F,), 0…1
    known: NDArray[np.bool_]  # (F,J), the joint's turn was measured; False where it was filled
    scale: Floats | None = None  # (F,J), uniform; nothing means 1
    morph_weights: Floats | None = None  # (F,M), how much of each of the rig's morph targets; nothing where it has none

    def __post_init__(self) -> None:
        frames, joints = len(self.times_s), len(self.rig.joint_names)
        shapes: dict[str, tuple[int, ...]] = {
            "quat_xyzw": (frames, joints, 4), "translation_m": (frames, joints, 3), "visible": (frames,), "confidence": (frames,),
            "known": (frames, joints), "scale": (frames, joints), "morph_weights": (frames, self.rig.morph_count),
        }
        for name, expected in shapes.items():
            array: NDArray[Any] | None = getattr(self, name)
            if array is not None and array.shape != expected:
                raise RigdropError(f"performance: {name}: found {array.shape}, expected {expected}")
            if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
                raise RigdropError(f"performance: {name}: found NaN or infinity, expected finite numbers; fill gaps first")

    @classmethod
    def of_motion(cls, rig: Rig, times_s: Floats, motion: Motion) -> Performance:
        """Take a stored motion to work on; joints of frames in which the person was not visible count as made up."""
        known = np.broadcast_to(motion.visible[:, None], motion.local_quat_xyzw.shape[:2]).copy()
        scale, weights = (None if array is None else array.astype(np.float64) for array in (motion.local_scale, motion.morph_weights))
        return cls(rig, times_s, quat_normalize(motion.local_quat_xyzw), motion.local_translation_m.astype(np.float64), motion.visible,
                   motion.confidence, known, scale, weights)

    def to_motion(self) -> Motion:
        """Return the motion as a take holds it: single precision, quaternions continuous in sign."""
        quat = quat_continuous(quat_normalize(self.quat_xyzw)).astype(np.float32)
        scale, weights = (None if array is None else array.astype(np.float32) for array in (self.scale, self.morph_weights))
        return Motion(quat, self.translation_m.astype(np.float32), self.visible, self.confidence, scale, weights)

    def with_turns(self, quat_xyzw: Floats, translation_m: Floats | None = None) -> Performance:
        """Return the same person with other turns (F,J,4), and other places (F,J,3) relative to the parents where given."""
        return replace(self, quat_xyzw=quat_xyzw, translation_m=self.translation_m if translation_m is None else translation_m)

    @property
    def frame_count(self) -> int:
        """Number of frames, F."""
        return len(self.times_s)

    @cached_property
    def T_world_joint(self) -> Floats:
        """World transforms (F,J,4,4) of the joints."""
        return local_to_world(self.rig.joint_parents, local_matrices(self.quat_xyzw, self.translation_m, self.scale))

    @property
    def joints_m(self) -> Floats:
        """World places (F,J,3) of the joints."""
        return self.T_world_joint[..., :3, 3]

    def places_m(self, rows: NDArray[np.integer]) -> Floats:
        """World places (R,J,3) of the joints in some frames (R,), reckoned for these alone."""
        scale = None if self.scale is None else self.scale[rows]
        local = local_matrices(self.quat_xyzw[rows], self.translation_m[rows], scale)
        return np.asarray(local_to_world(self.rig.joint_parents, local)[..., :3, 3])


def moved(performance: Performance, T_new_old: Floats) -> Performance:
    """Return the person moved by a rigid ``T_new_old`` (4,4), world: joints without a parent move, and all that hangs from them."""
    roots = np.flatnonzero(performance.rig.joint_parents < 0)
    scale = None if performance.scale is None else performance.scale[:, roots]
    quat, translation = performance.quat_xyzw.copy(), performance.translation_m.copy()
    T_world_root = T_new_old @ local_matrices(quat[:, roots], translation[:, roots], scale)
    quat[:, roots], translation[:, roots], _ = decompose(T_world_root)
    return performance.with_turns(quat, translation)


def rest_performance(rig: Rig, times_s: Floats) -> Performance:
    """Return somebody who stands in the rig's rest pose for all of ``times_s``, with everything known."""
    quat, translation, scale = decompose(rig.skeleton.rest_local)
    frames, joints = len(times_s), len(rig.joint_names)
    unscaled = bool(np.allclose(scale, 1.0, atol=1e-9))
    return Performance(
        rig, times_s, np.broadcast_to(quat, (frames, joints, 4)).copy(), np.broadcast_to(translation, (frames, joints, 3)).copy(),
        np.ones(frames, bool), np.ones(frames, np.float32), np.ones((frames, joints), bool),
        None if unscaled else np.broadcast_to(scale, (frames, joints)).copy(),
    )
