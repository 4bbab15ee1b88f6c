"""Joint values over time as the channels of a glTF animation: only those that leave what their node says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pygltflib
from numpy.typing import NDArray

from .glb import GlbFile
from .glb_parts import Clock, add_channel
from .signs import same_side

Floats = NDArray[np.float64]

# A joint whose value stays within this of the node's own needs no channel: 1e-7 m or rad is float32's own grain.
SAME = 1e-7


@dataclass(frozen=True, eq=False)
class JointValues:
    """Local values of joints over time, and what their nodes rest at."""

    quat_xyzw: NDArray[np.float32]  # (F,J,4)
    translation: NDArray[np.float32]  # (F,J,3), in the unit of the parent node
    scale: NDArray[np.float32] | None  # (F,J); nothing means 1 throughout
    static: tuple[Floats, Floats, Floats]  # quats (J,4), translations (J,3), scales (J) of the nodes
    same_scale: float = SAME  # scales that come out of matrices of float32 are no nearer than this


@dataclass(frozen=True)
class JointAnimator:
    """Adds channels to one animation; all joints that need a kind of channel share one buffer view."""

    file: GlbFile
    animation: pygltflib.Animation
    clock: Clock
    nodes: Sequence[int]  # of each joint

    def add(self, values: JointValues) -> None:
        """Add every channel that is needed."""
        quat, translation, scale = values.static
        self._add_channels("translation", values.translation, translation, (3,), SAME)
        self._add_channels("rotation", same_side(values.quat_xyzw), quat, (4,), SAME)
        if values.scale is not None:
            self._add_channels("scale", values.scale, scale, (3,), values.same_scale)
        elif (scale != 1).any():
            self._add_channels("scale", np.ones((len(values.quat_xyzw), len(scale)), np.float32), scale, (3,), values.same_scale)

    def _add_channels(self, kind: str, values: NDArray[np.float32], static: Floats, shape: tuple[int, ...], same: float) -> None:
        """Give each joint that leaves its static value a channel: every frame where it moves, both ends where it stands."""
        moving = _differs(values, values[0], same)
        standing = _differs(values[0], static.astype(np.float32), same) & ~moving
        if kind == "rotation":
            standing &= _differs(values[0], -static.astype(np.float32), same)
        if moving.any():
            self._add_joints(kind, np.flatnonzero(moving), values, self.clock.every_frame(), shape)
        if standing.any():
            ends = values[np.unique([0, len(values) - 1])]
            self._add_joints(kind, np.flatnonzero(standing), ends, self.clock.both_ends(), shape)

    def _add_joints(self, kind: str, joints: NDArray[np.intp], values: NDArray[np.float32], clock: int, shape: tuple[int, ...]) -> None:
        count = len(values)
        stride = count * shape[0] * 4

        def arrays() -> Iterator[NDArray[np.float32]]:
            for joint in joints:
                column = values[:, joint]
                yield column if column.ndim == 2 else np.repeat(column[:, None], shape[0], axis=1)

        view = self.file.add_view(stride * len(joints), arrays)
        for place, joint in enumerate(joints.tolist()):
            output = self.file.add_accessor(view, "f4", count, shape, byte_offset=place * stride)
            add_channel(self.file, self.animation, self.nodes[joint], kind, clock, output)


def _differs(values: NDArray[np.float32], reference: NDArray[np.float32], same: float) -> NDArray[np.bool_]:
    """Tell for each joint (J,) whether values (F,J,…) or (J,…) leave ``reference`` (J,…) by more than ``same``."""
    joints_axis = values.ndim - reference.ndim
    away = np.abs(values - reference) > same
    return np.asarray(away.any(axis=tuple(axis for axis in range(values.ndim) if axis != joints_axis)))
