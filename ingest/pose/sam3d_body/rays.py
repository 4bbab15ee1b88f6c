"""Which way each patch looks, told to the feature map (section 3, ray conditioning)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from .crop import Crops
from .norms import ChannelNorm
from .patch_conv import PatchConv

_FREQUENCIES = 16
_HIGHEST = 32.0
FEATURES = 3 + 2 * 3 * _FREQUENCIES


def ray_map(crops: Crops) -> Tensor:
    """Return the slopes (B,2,N,N), x and y over z, of the rays through a crop's pixels: whole numbers, no half (section 1)."""
    pixels = torch.arange(crops.crop_px, device=crops.scale.device, dtype=torch.float32)
    x, y = slopes(crops, pixels, pixels)
    return torch.stack([x[:, None, :].expand(-1, len(pixels), -1), y[:, :, None].expand(-1, -1, len(pixels))], dim=1)


def slopes(crops: Crops, columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slopes of rays through columns (B,columns) and rows (B,rows), crop pixels."""
    scale, K = crops.scale[:, None], crops.K
    x = ((columns - crops.offset[:, :1]) / scale - K[:, 0, 2, None]) / K[:, 0, 0, None]
    y = ((rows - crops.offset[:, 1:]) / scale - K[:, 1, 2, None]) / K[:, 1, 1, None]
    return x, y


def shrink(pixels: int, patch: int) -> Tensor:
    """Return the matrix (pixels/patch, pixels), float64, of antialiased bilinear reduction along one axis.

    A triangle of half-width ``patch`` around each patch's centre, its weights summing to 1 at the border too.
    """
    centres = (torch.arange(pixels // patch, dtype=torch.float64) + 0.5) * patch - 0.5
    apart = (torch.arange(pixels, dtype=torch.float64)[None] - centres[:, None]).abs() / patch
    weights = (1 - apart).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)


def ray_cells(crops: Crops, patch: int, margin: int = 0) -> Tensor:
    """Return the slopes (B,2,rows,columns) of patches' rays: `ray_map` reduced, without making it.

    Slopes are linear in the pixel, so reducing them is reducing the pixels' numbers. ``margin`` columns are left out at
    either side first.
    """
    across = crops.crop_px - 2 * margin
    rows, columns = (_centres(count, patch, first, crops.scale.device) for count, first in ((crops.crop_px, 0), (across, margin)))
    x, y = slopes(crops, columns, rows)
    return torch.stack([x[:, None, :].expand(-1, len(rows), -1), y[:, :, None].expand(-1, -1, len(columns))], dim=1)


@cache
def _centres(pixels: int, patch: int, first: int, device: torch.device) -> Tensor:
    """Return the mean pixel (pixels/patch,) of each patch, counted from ``first``."""
    with torch.inference_mode(False):
        return (shrink(pixels, patch) @ torch.arange(pixels, dtype=torch.float64) + first).float().to(device)


def fourier(rays: Tensor) -> Tensor:
    """Return the features (…,99) of rays (…,3): themselves, then sines and cosines of 16 multiples from 1 to 32."""
    multiples = torch.linspace(1.0, _HIGHEST, _FREQUENCIES, device=rays.device)
    angles = (rays[..., None] * multiples).flatten(-2) * torch.pi
    return torch.cat([rays, torch.sin(angles), torch.cos(angles)], dim=-1)


class RayConditioning(nn.Module):
    """The feature map with each patch's ray mixed in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = PatchConv(width + FEATURES, width, 1, bias=False)
        self.norm = ChannelNorm(width)

    def forward(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return the map (B,D,rows,columns) of features (B,D,rows,columns) and the patches' slopes (B,2,rows,columns)."""
        rays = torch.cat([cells, torch.ones_like(cells[:, :1])], dim=1).permute(0, 2, 3, 1)
        mixed: Tensor = self.norm(self.conv(torch.cat([features, fourier(rays).permute(0, 3, 1, 2)], dim=1)))
        return mixed
