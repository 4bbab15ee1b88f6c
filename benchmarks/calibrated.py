"""Calibrated cameras and where their rays meet: the truth for clips that several cameras took at once.

Cameras look along +z here, as OpenCV's do: x right, y down. World axes are the calibration's own, +Z up, metres.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Qualisys tells places on the sensor in 64ths of a pixel.
_SUBPIXELS = 64.0


@dataclass(frozen=True, eq=False)
class CalibratedCamera:
    """A camera whose lens and place are known."""

    name: str
    intrinsics_px: Array  # (3,3)
    distortion: Array  # (4,), OpenCV's k1 k2 p1 p2
    R_camera_world: Array  # (3,3)
    center_m: Array  # (3,), world

    def to_camera(self, points_m: Array) -> Array:
        """World points (…,3) in the camera's axes."""
        return np.asarray((points_m - self.center_m) @ self.R_camera_world.T)

    def rays(self, points_px: Array) -> Array:
        """Directions (…,2) at depth 1, the lens' distortion taken out, of pixels (…,2); NaN stays."""
        flat = np.nan_to_num(points_px).reshape(-1, 1, 2)
        rays = cv2.undistortPoints(flat, self.intrinsics_px, self.distortion).reshape(points_px.shape)
        return np.where(np.isfinite(points_px), rays, np.nan)

    @property
    def focal_px(self) -> float:
        """The focal length."""
        return float(self.intrinsics_px[0, 0])

    @property
    def projection(self) -> Array:
        """(3,4): world to rays."""
        return np.concatenate([self.R_camera_world, -(self.R_camera_world @ self.center_m)[:, None]], axis=1)


def read_qualisys(path: Path) -> dict[str, CalibratedCamera]:
    """Read a Qualisys calibration (``.qca.txt``): cameras by their serial."""
    return {camera.name: camera for camera in map(_camera, ElementTree.parse(path).getroot().iter("camera"))}


def _camera(node: ElementTree.Element) -> CalibratedCamera:
    place, lens, field = (node.find(name) for name in ("transform", "intrinsic", "fov_video"))
    assert place is not None and lens is not None and field is not None

    def pixels(name: str) -> float:
        assert lens is not None
        return float(lens.attrib[name]) / _SUBPIXELS

    intrinsics = np.eye(3)
    intrinsics[0, 0], intrinsics[1, 1] = pixels("focalLengthU"), pixels("focalLengthV")
    intrinsics[0, 2] = pixels("centerPointU") - float(field.attrib["left"])
    intrinsics[1, 2] = pixels("centerPointV") - float(field.attrib["top"])
    distortion = [float(lens.attrib[f"{kind}Distortion{number}"]) for kind in ("radial", "tangental") for number in (1, 2)]
    # Its rows are the camera's axes in the world: right, up, and back.
    axes = np.array([[float(place.attrib[f"r{row}{column}"]) for column in (1, 2, 3)] for row in (1, 2, 3)])
    center_m = np.array([float(place.attrib[axis]) for axis in "xyz"]) / 1000
    return CalibratedCamera(node.attrib["serial"], intrinsics, np.array(distortion), np.diag([1.0, -1.0, -1.0]) @ axes, center_m)


@dataclass(frozen=True, eq=False)
class Met:
    """Where rays meet."""

    points_m: Array  # (…,3), world; NaN where fewer than two cameras agree
    error_px: Array  # (…), root mean square over the cameras that were used
    cameras: NDArray[np.intp]  # (…), how many were used


def meet(cameras: Sequence[CalibratedCamera], rays: Array, weight: Array, most_px: float) -> Met:
    """Triangulate rays (C,…,2), weighted (C,…), by the most cameras whose rays pass within ``most_px`` of the point.

    Linear least squares (Hartley and Zisserman, Multiple View Geometry, 12.2); among as many cameras the closest win.
    """
    shape = rays.shape[1:-1]
    best = Met(np.full((*shape, 3), np.nan), np.full(shape, np.inf), np.zeros(shape, np.intp))
    for size in range(len(cameras), 1, -1):
        for chosen in combinations(range(len(cameras)), size):
            points, error, worst = _meet_all([cameras[row] for row in chosen], rays[list(chosen)], weight[list(chosen)])
            better = (worst <= most_px) & ((best.cameras < size) | ((best.cameras == size) & (error < best.error_px)))
            best = Met(
                np.where(better[..., None], points, best.points_m),
                np.where(better, error, best.error_px),
                np.where(better, size, best.cameras),
            )
    return Met(best.points_m, np.where(best.cameras > 0, best.error_px, np.nan), best.cameras)


def _meet_all(cameras: Sequence[CalibratedCamera], rays: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Points (…,3) where the rays of all these cameras meet, and their distance from the rays in pixels: mean and worst."""
    known = np.isfinite(rays).all((0, -1)) & (weight > 0).all(0)
    finite = np.nan_to_num(rays)
    equations = [
        (finite[row, ..., axis, None] * camera.projection[2] - camera.projection[axis]) * weight[row, ..., None]
        for row, camera in enumerate(cameras) for axis in (0, 1)
    ]
    homogeneous = np.linalg.svd(np.stack(equations, axis=-2))[2][..., -1, :]
    points = homogeneous[..., :3] / np.where(np.abs(homogeneous[..., 3:]) > 1e-12, homogeneous[..., 3:], 1e-12)
    squared = np.stack([_distance_px(camera, points, finite[row]) ** 2 for row, camera in enumerate(cameras)])
    error, worst = np.sqrt(squared.mean(0)), np.sqrt(squared.max(0))
    return points, np.where(known, error, np.inf), np.where(known, worst, np.inf)


def _distance_px(camera: CalibratedCamera, points_m: Array, rays: Array) -> Array:
    seen = camera.to_camera(points_m)
    depth = seen[..., 2:]
    away = np.linalg.norm((seen[..., :2] / np.where(np.abs(depth) > 1e-9, depth, 1e-9) - rays) * camera.focal_px, axis=-1)
    return np.where(depth[..., 0] > 0, away, np.inf)
