"""Frames of reference: the steps between Rigdrop's world (+Y up, metres) and those of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def opencv_to_gltf(points: Array) -> NDArray[np.float64]:
    """Cross from OpenCV's camera axes (x right, y down, z forward) to glTF's (x right, y up, z back), or back: (…,3)."""
    return np.asarray(points * np.array([1.0, -1.0, -1.0]), dtype=np.float64)


@dataclass(frozen=True)
class WorldFrame:
    """Axes and units of a program's world, as the matrix that brings Rigdrop's vectors into it."""

    name: str
    up_axis: str  # "Y" or "Z"
    metres_per_unit: float
    R_target_rigdrop: tuple[tuple[float, float, float], ...]

    @property
    def T_target_rigdrop(self) -> NDArray[np.float64]:
        """(4,4): rotation and the step from metres to the target's units; multiply from the left."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.R_target_rigdrop) / self.metres_per_unit
        return matrix

    def change_basis(self, T_world: Array) -> NDArray[np.float64]:
        """Bring rigid transforms (…,4,4), metres, into this frame: rotated on the left only, translations in its units.

        The joint's own axes stay as they are, so a bone keeps its rotation relative to its parent.
        """
        rotation = np.array(self.R_target_rigdrop)
        moved = np.array(T_world, dtype=np.float64)
        moved[..., :3, :3] = rotation @ T_world[..., :3, :3]
        moved[..., :3, 3] = (T_world[..., :3, 3] @ rotation.T) / self.metres_per_unit
        return moved


Y_UP = WorldFrame("y-up", "Y", 1.0, ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
# +Z up, -Y toward the viewer: Blender's front view, USD's and 3ds Max's Z-up; a turn by +90° about X.
Z_UP = WorldFrame("z-up", "Z", 1.0, ((1, 0, 0), (0, 0, -1), (0, 1, 0)))
# Unreal's importer takes right-handed Z-up centimetres and flips to its left-handed world by itself.
UNREAL = WorldFrame("unreal", "Z", 0.01, ((1, 0, 0), (0, 0, -1), (0, 1, 0)))



def world_frame(up_axis: str, metres_per_unit: float) -> WorldFrame:
    """Return the frame with "Y" or "Z" up and such units."""
    turn = Z_UP if up_axis == "Z" else Y_UP
    return WorldFrame(f"{up_axis.lower()}-up", up_axis, metres_per_unit, turn.R_target_rigdrop)


WORLD_FRAMES = {frame.name: frame for frame in (Y_UP, Z_UP, UNREAL)}
