"""Where a picture is taken from: a pinhole camera at one moment, and the rays and pixels that go with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..motion.frames import opencv_to_gltf
from ..motion.take import Camera

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class View:
    """A pinhole camera in one frame; pixels have their origin at the upper left corner of the upper left pixel."""

    width: int
    height: int
    intrinsics_px: NDArray[np.float64]  # (3,3), OpenCV's
    world_from_camera: NDArray[np.float64]  # (4,4), T_world_camera, glTF's axes: looks down -Z, metres

    @classmethod
    def of_camera(cls, camera: Camera, frame: int = 0) -> View:
        """The view of a take's camera in a frame."""
        intrinsics, world = camera.intrinsics_px, camera.world_from_camera
        return cls(
            camera.width, camera.height,
            intrinsics[frame] if intrinsics.ndim == 3 else intrinsics,
            world[frame] if world.ndim == 3 else world,
        )

    def resized(self, width: int, height: int) -> View:
        """The same view in another number of pixels."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return replace(self, width=width, height=height, intrinsics_px=scale @ self.intrinsics_px)

    def to_camera(self, points_world_m: ArrayLike) -> Array:
        """World points (…,3), metres, in OpenCV's camera axes (…,3), metres."""
        rotation, place = self.world_from_camera[:3, :3], self.world_from_camera[:3, 3]
        return opencv_to_gltf((np.asarray(points_world_m) - place) @ rotation)

    def project(self, points_world_m: ArrayLike) -> tuple[Array, Array]:
        """Return pixels (…,2) and depths (…) in metres; only depths above zero are in front of the camera."""
        in_camera = self.to_camera(points_world_m)
        depth = in_camera[..., 2]
        image = in_camera @ self.intrinsics_px.T
        safe = np.where(np.abs(depth) > 1e-9, depth, 1e-9)
        return image[..., :2] / safe[..., None], depth

    def rays(self) -> tuple[Array, Array]:
        """Return the camera's place (3,) and the directions (height, width, 3) through the middles of the pixels, world axes, depth 1."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        pixels = np.stack([x, y, np.ones_like(x)], axis=-1)
        directions = opencv_to_gltf(pixels @ np.linalg.inv(self.intrinsics_px).T)
        return self.world_from_camera[:3, 3], directions @ self.world_from_camera[:3, :3].T


def pinhole(width: int, height: int, focal_px: float) -> NDArray[np.float64]:
    """Intrinsics (3,3) with square pixels and the principal point in the middle."""
    return np.array([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])


def look_at(eye_m: ArrayLike, target_m: ArrayLike) -> NDArray[np.float64]:
    """T_world_camera (4,4) of an upright camera at ``eye_m`` (3,) that looks at ``target_m`` (3,); not straight up or down."""
    eye = np.asarray(eye_m, dtype=np.float64)
    back = eye - np.asarray(target_m, dtype=np.float64)
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    T_world_camera = np.eye(4)
    T_world_camera[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    T_world_camera[:3, 3] = eye
    return T_world_camera


def look_from(
    direction: ArrayLike, places_m: Array, width: int, height: int, intrinsics_px: Array, margin: float, nearest_m: float
) -> NDArray[np.float64]:
    """T_world_camera (4,4) of a camera that looks against ``direction`` (3,) and keeps all places (N,3) in the picture.

    It stands at the nearest distance, no less than ``nearest_m``, that leaves ``margin`` of the picture free at each edge.
    """
    toward_camera = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    upright = look_at(toward_camera, np.zeros(3))[:3, :3]
    focal, half = intrinsics_px[[0, 1], [0, 1]], np.array([width, height]) * (0.5 - margin)
    seen = places_m @ upright  # right, up, toward the camera
    slope = half / focal
    # A place p is inside the right edge where p_x - c_x <= slope (distance + c_z - p_z), and so on for each edge.
    reach = seen[:, :2, None] * np.array([1.0, -1.0]) + slope[:, None] * seen[:, 2, None, None]
    bound = reach.max(axis=0)  # (2 axes, 2 sides): slope · distance >= bound -/+ centre
    centre = 0.5 * (bound[:, 0] - bound[:, 1])
    distance = float((0.5 * bound.sum(axis=1) / slope).max())
    distance = max(distance, nearest_m + float(seen[:, 2].max()))
    T_world_camera = np.eye(4)
    T_world_camera[:3, :3] = upright
    T_world_camera[:3, 3] = upright @ np.array([centre[0], centre[1], distance])
    return T_world_camera
