"""A made-up clip for the recorded network: the recorded picture, in frames of several sizes, with some of its people."""

from __future__ import annotations

import numpy as np
import torch

from rigdrop.ingest.pose.sam3d_body.batches import FramePeople
from rigdrop.ingest.pose.sam3d_body.passes import People

from .sam3d_network import Recorded

LARGE = (2160, 3840)
_CORNER = (3000, 1000)  # where the picture is in a larger frame


def frame_of(recorded: Recorded, number: int, who: list[int], size: tuple[int, int] | None = None, masked: str = "") -> FramePeople:
    """Return a frame that shows some of the two people, each as often as named; ``masked`` is ``all`` or ``some``."""
    about = recorded.about["cases"]["full_all"]
    image = recorded.body["input/image_rgb"].numpy().copy()
    boxes, K = np.array(about["boxes_xyxy"], np.float32)[who], np.array(about["cam_int"][0])
    masks = recorded.body["input/masks01"].numpy()[who] if masked else None
    scores = None if masked != "some" else np.array([float(one == 1) for one in who], np.float32)
    if size is not None:
        x, y = (min(corner, room - own) for corner, room, own in zip(_CORNER, size[::-1], image.shape[1::-1]))
        whole = np.zeros((*size, 3), np.uint8)
        whole[y:y + image.shape[0], x:x + image.shape[1]] = image
        boxes, K, image = boxes + np.array([x, y, x, y], np.float32), K + np.array([[0, 0, x], [0, 0, y], [0, 0, 0]]), whole
    return FramePeople(number, image, boxes, K, masks, scores)


def alone(frame: FramePeople) -> People:
    """Return the people of a frame as a batch of its own."""
    count = len(frame.boxes_xyxy)
    return People(
        torch.from_numpy(frame.image_rgb)[None], torch.from_numpy(frame.boxes_xyxy), torch.from_numpy(frame.K).float().expand(count, 3, 3),
        torch.zeros(count, dtype=torch.int64), None if frame.masks is None else torch.from_numpy(frame.masks),
        None if frame.mask_scores is None else torch.from_numpy(frame.mask_scores),
    )
