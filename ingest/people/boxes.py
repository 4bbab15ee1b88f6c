"""Who is where in a clip, as boxes: what an estimator needs that reads bodies from crops of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RigdropError

MaskOf = Callable[[int, int], NDArray[np.uint8] | None]
"""The outline (H,W), 0 or 1, of a person, by id, in a frame, by number; nothing where there is none."""


@dataclass(frozen=True, eq=False)
class PersonBoxes:
    """One person's boxes, in the N frames in which they were seen."""

    id: int
    frame: NDArray[np.int64]  # (N,), rising
    box_xyxy: NDArray[np.float32]  # (N,4), pixels of the upright picture, about the whole body as far as it is in sight
    score: NDArray[np.float32]  # (N,), 0…1
    occluded: NDArray[np.bool_]  # (N,), somebody in front hides much of the person

    def __post_init__(self) -> None:
        count = len(self.frame)
        for name, shape in (("box_xyxy", (count, 4)), ("score", (count,)), ("occluded", (count,))):
            if getattr(self, name).shape != shape:
                raise RigdropError(f"person {self.id}: {name}: found {getattr(self, name).shape}, expected {shape}")
        if not count or (np.diff(self.frame) <= 0).any() or not np.isfinite(self.box_xyxy).all():
            raise RigdropError(f"person {self.id}: found no frame, frames that do not rise, or NaN, expected a box in each of some frames")


@dataclass(frozen=True, eq=False)
class Sighted:
    """Everybody in a clip."""

    times_s: NDArray[np.float64]  # (F,), strictly increasing
    people: tuple[PersonBoxes, ...]
    mask_of: MaskOf | None = None
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)  # goes into the provenance
