"""People's outlines, kept for a whole clip in little room: a picture of one bit a pixel each, of the box alone, compressed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SPECK = 0.1  # of the largest piece of an outline: less is a speck


class Outlines:
    """Outlines by somebody's number and the frame; some 2 kB each, where a picture of bytes takes 2 MB."""

    def __init__(self, height: int, width: int) -> None:
        self._size = height, width
        self._kept: dict[tuple[int, int], tuple[int, int, bytes]] = {}

    def keep(self, number: int, frame: int, mask: NDArray[np.bool_]) -> NDArray[np.float32] | None:
        """Keep an outline (H,W), and return the box (4,) about it; nothing where it is empty."""
        box = outline_box(mask)
        if box is None:
            return None
        x0, y0, x1, y1 = box
        done, packed = cv2.imencode(".png", mask[y0:y1, x0:x1].astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
        assert done, "a picture in memory is always written"
        self._kept[number, frame] = x0, y0, packed.tobytes()
        return np.array(box, dtype=np.float32)

    def get(self, number: int, frame: int) -> NDArray[np.uint8] | None:
        """Return the outline (H,W), 0 or 1; nothing where there is none."""
        found = self._kept.get((number, frame))
        if found is None:
            return None
        x0, y0, packed = found
        part: Any = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_GRAYSCALE)
        mask = np.zeros(self._size, dtype=np.uint8)
        mask[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part > 0
        return mask

    @property
    def kept_bytes(self) -> int:
        """How much room the outlines take."""
        return sum(len(packed) for _, _, packed in self._kept.values())


def outline_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Return the box, x0 y0 x1 y1, about the pieces of an outline (H,W) that are no specks; nothing where it is empty."""
    count, _, pieces, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    pieces = pieces[1:]  # the first is what is not in it
    pieces = pieces[pieces[:, cv2.CC_STAT_AREA] >= _SPECK * pieces[:, cv2.CC_STAT_AREA].max()]
    left, top = pieces[:, cv2.CC_STAT_LEFT], pieces[:, cv2.CC_STAT_TOP]
    right, bottom = left + pieces[:, cv2.CC_STAT_WIDTH], top + pieces[:, cv2.CC_STAT_HEIGHT]
    return int(left.min()), int(top.min()), int(right.max()), int(bottom.max())
