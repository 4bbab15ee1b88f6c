"""From the camera head's three numbers to where the body stands and what the camera sees of it (section 8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .constants import constant
from .crop import Crops


@dataclass(frozen=True)
class View:
    """B bodies as their cameras see them, camera axes: +X right, +Y down, +Z away."""

    translation_m: Tensor  # (B,3), from the body's own origin to the camera's
    pixels: Tensor  # (B,K,2), of the whole frame
    depths_m: Tensor  # (B,K)
    cropped: Tensor  # (B,K,2), −½ to ½ inside the crop


def see(points_m: Tensor, camera: Tensor, crops: Crops, factor: float = 1.0, own_centre: bool = True) -> View:
    """Return the view of points (B,K,3), metres, by the camera head's (B,3): scale, x, y.

    ``factor`` is 1 for bodies and 10 for hands. Without ``own_centre`` the crop's place is reckoned from the frame's centre.
    """
    focal = crops.K[:, 0, 0]
    centre = crops.K[:, :2, 2] if own_centre else crops.image_px / 2
    reach = crops.side_px * -camera[:, 0] * factor + 1e-8
    offset = 2 * (crops.centre_px - centre) / reach[:, None]
    across = camera[:, 1:] * constant((1.0, -1.0), camera.device) + offset
    translation = torch.cat([across, (2 * focal / reach)[:, None]], dim=-1)
    pixels, depths = project(points_m + translation[:, None], crops.K)
    return View(translation, pixels, depths, crops.to_crop(pixels))


def project(points_m: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels (B,K,2) and depths (B,K) of points (B,K,3), camera axes."""
    depths = points_m[..., 2]
    rays = points_m / depths[..., None]
    return (rays @ K.transpose(-1, -2))[..., :2], depths


def project_centred(points_m: Tensor, crops: Crops) -> Tensor:
    """Return pixels (B,K,2) as the original reports them at last: one focal length, the frame's middle as centre."""
    focal = crops.K[:, 0, 0, None, None]
    return focal * points_m[..., :2] / points_m[..., 2:] + (crops.image_px / 2)[:, None]
