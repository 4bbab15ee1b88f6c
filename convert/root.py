"""The camera and the ground: which lens took the clip, which way is up, and where people stand in one world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..ingest.tracks import Observations
from ..motion.rotations import matrix_to_quat, quat_apply, quat_multiply, rotvec_to_quat
from ..motion.take import Camera
from .fit import FitResult, Lens
from .fitting.ground import Ground

Array = NDArray[np.float64]

# Phones and most cameras see 45 to 65 degrees across the long side; 1.2 times that side in pixels is 45 degrees.
DEFAULT_FOCAL_SHARE = 1.2


@dataclass(frozen=True)
class CameraOptions:
    """What is known of the camera, and whether its world is levelled."""

    focal_px: float | None = None
    """Focal length in pixels of the upright picture; nothing takes the file's own word, or 1.2 times the long side."""
    level: bool = True
    """Find the camera's pitch from the people who stand and walk; --no-level keeps the camera's own axes."""

    def __post_init__(self) -> None:
        if self.focal_px is not None and not (np.isfinite(self.focal_px) and self.focal_px > 0):
            raise SettingsError(f"focal-px: found {self.focal_px}, expected a length in pixels above 0; leave it out if it is not known")


def lens_of(observations: Observations, options: CameraOptions) -> tuple[Lens, str]:
    """Return the clip's lens and where its focal length comes from: ``user``, ``metadata`` or ``default``."""
    if options.focal_px is not None:
        focal, source = options.focal_px, "user"
    elif observations.focal_px is not None:
        focal, source = observations.focal_px, "metadata"
    else:
        focal, source = DEFAULT_FOCAL_SHARE * max(observations.width, observations.height), "default"
    return Lens(focal, observations.width / 2, observations.height / 2), source


def world_from_camera(ground: Ground, origin_in_camera: Array) -> Array:
    """(4,4): the camera in a world whose ground is y = 0 and whose origin lies under ``origin_in_camera`` (3,)."""
    turn = rotvec_to_quat(np.array([-ground.pitch_rad, 0.0, 0.0]))
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([quat_apply(turn, axis) for axis in np.eye(3)], axis=1)
    origin = matrix[:3, :3] @ origin_in_camera
    matrix[:3, 3] = (-origin[0], ground.height_m, -origin[2])
    return matrix


def into_world(fit: FitResult, T_world_camera: Array) -> tuple[Array, Array]:
    """Carry a fit from camera axes into the world: canonical local turns (L,22,4) and the pelvis' places (L,3)."""
    quat = fit.quat_xyzw.copy()
    quat[:, 0] = quat_multiply(matrix_to_quat(T_world_camera[:3, :3]), quat[:, 0])
    return quat, fit.root_m @ T_world_camera[:3, :3].T + T_world_camera[:3, 3]


def camera_of(observations: Observations, lens: Lens, source: str, T_world_camera: Array) -> Camera:
    """Return the take's camera."""
    intrinsics = np.array([[lens.focal_px, 0, lens.center_x_px], [0, lens.focal_px, lens.center_y_px], [0, 0, 1]])
    return Camera(observations.width, observations.height, intrinsics, T_world_camera, source)

