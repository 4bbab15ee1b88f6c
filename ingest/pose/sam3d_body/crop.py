"""From a box in a frame to the square that the network sees: geometry, condition, pixels (section 1).

All crops of a batch are cut on the device the frames are on, whatever sizes these have; frames stay uint8. A crop may be of
the mirrored frame, which is how a left hand comes to look like a right one: its pixels are then those of column W − 1 − x.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

BODY_PADDING = 1.25
HAND_PADDING = 0.9
_BODY_ASPECT = 0.75


@dataclass(frozen=True)
class Frames:
    """F pictures of any sizes, of C channels each, one behind the other."""

    flat: Tensor  # (pixels of all,C) uint8, row by row
    first: Tensor  # (F,) int64, where each begins
    size_px: Tensor  # (F,2) int64, width and height


@dataclass(frozen=True)
class Crops:
    """What B square crops of N pixels show of their frames; all float32 but ``frame``."""

    frame: Tensor  # (B,) int64, which of the batch's frames
    mirrored: Tensor  # (B,) bool: the frame's mirror image is meant wherever pixels are named
    centre_px: Tensor  # (B,2), x and y in the frame
    side_px: Tensor  # (B,), length in the frame
    scale: Tensor  # (B,), crop pixels a frame pixel
    offset: Tensor  # (B,2): crop = scale · frame + offset
    image_px: Tensor  # (B,2), width and height of the frame
    K: Tensor  # (B,3,3), pixels of the frame
    crop_px: int  # N

    def __len__(self) -> int:
        return len(self.frame)

    def pick(self, which: Tensor) -> Crops:
        """Return the crops that an index or a mask (B,) names."""
        chosen = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "crop_px"}
        return Crops(**chosen, crop_px=self.crop_px)

    def condition(self) -> Tensor:
        """Return where each crop is in its camera's view (B,3): its centre's slopes and its side over the focal length."""
        focal = self.K[:, 0, 0, None]
        centre = (self.centre_px - self.K[:, :2, 2]) / focal
        return torch.cat([centre, self.side_px[:, None] / focal], dim=-1)

    def to_crop(self, pixels: Tensor) -> Tensor:
        """Return frame pixels (B,K,2) as crop coordinates, −½ to ½ inside the crop."""
        return (self.scale[:, None, None] * pixels + self.offset[:, None]) / self.crop_px - 0.5

    def to_frame(self, fractions: Tensor) -> Tensor:
        """Return fractions of the crop (B,2), 0 to 1, as frame pixels."""
        return (fractions * self.crop_px - self.offset) / self.scale[:, None]


def as_frames(frames: Tensor | Frames) -> Frames:
    """Return frames (F,H,W,C) uint8, which are all of one size, as any frames."""
    if isinstance(frames, Frames):
        return frames
    count, height, width, channels = frames.shape
    size = torch.empty(count, 2, dtype=torch.int64, device=frames.device)
    size[:, 0].fill_(width)
    size[:, 1].fill_(height)
    return Frames(frames.reshape(-1, channels), torch.arange(count, device=frames.device) * (height * width), size)


def join_crops(parts: list[Crops]) -> Crops:
    """Return several batches as one."""
    joined = {f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Crops) if f.name != "crop_px"}
    return Crops(**joined, crop_px=parts[0].crop_px)


def default_K(image_px: Tensor) -> Tensor:
    """Return the camera (B,3,3) of frames (B,2) about which nothing is known: the diagonal as focal length."""
    K = torch.zeros(len(image_px), 3, 3, device=image_px.device)
    K[:, 0, 0] = K[:, 1, 1] = image_px.float().norm(dim=-1)
    K[:, :2, 2] = image_px / 2
    K[:, 2, 2] = 1
    return K


def mirror_K(K: Tensor, width_px: Tensor) -> Tensor:
    """Return the camera (B,3,3) that sees the mirror images of frames (B,) wide."""
    mirrored = K.clone()
    mirrored[:, 0, 2] = width_px - 1 - K[:, 0, 2]
    return mirrored


def crops_of_boxes(
    boxes_xyxy: Tensor, image_px: Tensor, K: Tensor, crop_px: int, padding: float = BODY_PADDING,
    frame: Tensor | None = None, mirrored: bool = False,
) -> Crops:
    """Return the crops of boxes (B,4), frame pixels: enlarged by ``padding``, made 3:4, then square."""
    boxes = boxes_xyxy.float()
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = (boxes[:, 2:] - boxes[:, :2]) * padding
    side = torch.maximum(size[:, 0] / _BODY_ASPECT, size[:, 1])
    scale = crop_px / side.double()
    offset = crop_px / 2 - scale[:, None] * centre.double()
    if frame is None:
        frame = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    return Crops(
        frame, torch.full_like(frame, mirrored, dtype=torch.bool), centre, side, scale.float(), offset.float(),
        image_px.float(), K.float(), crop_px,
    )


def cut(frames: Tensor | Frames, crops: Crops) -> Tensor:
    """Return the pixels (B,C,N,N) uint8 of crops of frames, (F,H,W,C) or any: bilinear, 0 beyond the border, rounded.

    Coordinates and blends are those of OpenCV 5's warp, float32, up to the last bit of a fused multiply.
    """
    frames = as_frames(frames)
    first, (width, height) = frames.first[crops.frame], frames.size_px[crops.frame, :, None].unbind(1)
    side = crops.side_px.double()
    start = crops.centre_px.double() - side[:, None] / 2
    x, across = _taps(side / crops.crop_px, start[:, 0], crops.crop_px)
    y, down = _taps(side / crops.crop_px, start[:, 1], crops.crop_px)

    def tap(row: int, column: int) -> Tensor:
        xs, ys = x + column, y + row
        seen = ((ys >= 0) & (ys < height))[:, :, None] & ((xs >= 0) & (xs < width))[:, None]
        xs = torch.where(crops.mirrored[:, None], width - 1 - xs, xs).clamp(min=0).minimum(width - 1)
        rows = first[:, None] + ys.clamp(min=0).minimum(height - 1) * width
        return frames.flat[rows[:, :, None] + xs[:, None]].float() * seen[..., None]

    across, down = across[:, None, :, None], down[:, :, None, None]
    upper = tap(0, 0)
    upper = upper + across * (tap(0, 1) - upper)
    lower = tap(1, 0)
    lower = lower + across * (tap(1, 1) - lower)
    blended = upper + down * (lower - upper)
    return blended.round().clamp(0, 255).to(torch.uint8).permute(0, 3, 1, 2)


def cut_masks(masks: Tensor | Frames, crops: Crops) -> Tensor:
    """Return the crops (B,1,N,N) uint8 of masks that are 0 or 1, one for each crop: (B,H,W) uint8, or frames of one channel."""
    own = torch.arange(len(crops), device=crops.frame.device)
    return cut(masks if isinstance(masks, Frames) else masks[..., None], replace(crops, frame=own))


def _taps(step: Tensor, start: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the lower neighbours (B,N) int64 and the share of the upper ones (B,N) float32 along one axis."""
    place = torch.arange(count, device=step.device, dtype=torch.float64)
    # Rounded to float32 where the original's arithmetic is.
    exact = (place * step.float().double()[:, None] + start.float().double()[:, None]).float()
    lower = exact.floor()
    return lower.long(), exact - lower
