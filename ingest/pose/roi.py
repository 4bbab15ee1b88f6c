"""Square regions of interest: a turned square of a picture that becomes a net's input, and the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Sampling by bilinear interpolation skips pixels, and so aliases, where the crop shrinks by more than this.
_MAX_SHRINK = 2.0


@dataclass(frozen=True)
class Roi:
    """A square in picture pixels; at ``angle_rad`` 0 its up is the picture's up, positive turns clockwise."""

    x_px: float
    y_px: float
    size_px: float
    angle_rad: float

    @property
    def R_picture_roi(self) -> NDArray[np.float64]:
        """The rotation (2,2) from the square's axes to the picture's, x right and y down in both."""
        cosine, sine = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return np.array([[cosine, -sine], [sine, cosine]])

    def to_picture(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return picture pixels (…,2) of points (…,2) in the square, whose corners are (0,0) and (1,1)."""
        return np.asarray((points - 0.5) * self.size_px @ self.R_picture_roi.T + (self.x_px, self.y_px), dtype=np.float64)

    def to_roi(self, points_px: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return points (…,2) in the square of picture pixels (…,2)."""
        return np.asarray((points_px - (self.x_px, self.y_px)) @ self.R_picture_roi / self.size_px + 0.5, dtype=np.float64)

    def scaled(self, factor: float, shift_up: float = 0.0) -> Roi:
        """Return the square grown by ``factor`` about its centre, which first moves up along its own axis by a share of its old size."""
        move = self.R_picture_roi @ np.array([0.0, -shift_up * self.size_px])
        return Roi(self.x_px + float(move[0]), self.y_px + float(move[1]), self.size_px * factor, self.angle_rad)


def upright_square(centre_px: NDArray[np.floating], top_px: NDArray[np.floating]) -> Roi:
    """Return the square about ``centre_px`` whose upper side's middle is ``top_px``: how MediaPipe's alignment points draw it."""
    x, y = (float(value) for value in top_px - centre_px)
    return Roi(float(centre_px[0]), float(centre_px[1]), 2.0 * math.hypot(x, y), wrap_rad(math.atan2(y, x) + math.pi / 2))


def wrap_rad(angle: float) -> float:
    """Return an angle in [-π, π)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def crop(image_bgr: NDArray[np.uint8], roi: Roi, side: int) -> NDArray[np.float32]:
    """Return the square as a picture (side,side,3) in RGB, 0…1; beyond the picture's edge its last pixels go on.

    Pixel centres are at half-integer coordinates on both sides. A crop that shrinks is first reduced by area averaging.
    """
    shrink = roi.size_px / side
    factor = int(shrink) if shrink >= _MAX_SHRINK else 1
    part, corner = _reduced_part(image_bgr, roi, factor)
    axes = roi.R_picture_roi * (shrink / factor)
    centre = (np.array([roi.x_px, roi.y_px]) - corner) / factor
    # The centre of the crop's pixel i is at i + ½, and that of the part's pixel j at j + ½.
    offset = centre - 0.5 + axes @ np.full(2, 0.5 - side / 2)
    M_part_crop = np.column_stack([axes, offset])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cropped = cv2.warpAffine(part, M_part_crop, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.multiply(cv2.cvtColor(cropped, cv2.COLOR_BGR2RGB), np.float32(1 / 255), dtype=np.float32)


def _reduced_part(image_bgr: NDArray[np.uint8], roi: Roi, factor: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of a picture that a square can see, ``factor`` times smaller, and its upper left corner in pixels."""
    height, width = image_bgr.shape[:2]
    corners = roi.to_picture(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    low = np.floor(corners.min(axis=0)).astype(int) - 2 * factor
    high = np.ceil(corners.max(axis=0)).astype(int) + 2 * factor
    # At least one reduced pixel is left where the square lies wholly outside.
    x0, y0 = (int(np.clip(value, 0, max(0, limit - factor))) for value, limit in zip(low, (width, height), strict=True))
    x1, y1 = (int(np.clip(value, start + factor, limit)) for value, start, limit in zip(high, (x0, y0), (width, height), strict=True))
    columns, rows = max(1, (x1 - x0) // factor), max(1, (y1 - y0) // factor)
    part = image_bgr[y0 : y0 + rows * factor, x0 : x0 + columns * factor]
    if factor > 1:
        part = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return part, np.array([x0, y0], dtype=np.float64)
