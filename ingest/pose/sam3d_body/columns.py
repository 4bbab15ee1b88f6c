"""Bodies as columns by upstream's names, brought to the host while the device goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .network import Network
from .passes import Bodies, PassOptions, People

Columns = dict[str, NDArray[Any]]
_SHAPES: dict[str, tuple[int, ...]] = {
    "mhr_model_params": (204,), "shape_params": (45,), "scale_params": (28,), "hand_pose_params": (108,), "body_pose_params": (133,),
    "global_rot": (3,), "pred_cam_t": (3,), "focal_length": (), "pred_keypoints_2d": (70, 2), "pred_keypoints_3d": (70, 3), "bbox": (4,),
}
_HAND_SHAPES: dict[str, tuple[int, ...]] = {"lhand_bbox": (4,), "rhand_bbox": (4,), "hands_fused": (2,)}


def no_rows(network: Network, options: PassOptions) -> Columns:
    """Return the columns of nobody."""
    shapes = _SHAPES | (_HAND_SHAPES if options.mode in ("full", "fast") else {})
    if options.vertices:
        shapes |= {"pred_vertices": (network.mhr.vertex_count, 3)}
    return {name: np.zeros((0, *shape), bool if name == "hands_fused" else np.float32) for name, shape in shapes.items()}


def named(bodies: Bodies, people: People) -> dict[str, Tensor]:
    """Return the columns of bodies, (B,…) each; those of hands where hands were looked at, vertices where they were made."""
    params = bodies.params
    found = {
        "mhr_model_params": bodies.model_params, "shape_params": params.shape, "scale_params": params.scale,
        "hand_pose_params": params.hand, "body_pose_params": params.body, "global_rot": params.global_rot,
        "pred_cam_t": bodies.translation_m, "focal_length": bodies.focal_px, "pred_keypoints_2d": bodies.keypoints_px,
        "pred_keypoints_3d": bodies.keypoints_m, "bbox": people.boxes_xyxy,
    }
    if bodies.hand is not None:
        boxes = bodies.hand.boxes_xyxy
        found |= {"lhand_bbox": boxes[:, 0], "rhand_bbox": boxes[:, 1], "hands_fused": bodies.hand.fused}
    return found if bodies.vertices_m is None else found | {"pred_vertices": bodies.vertices_m}


@dataclass(frozen=True, eq=False)
class Returning:
    """Columns on their way to the host."""

    host: dict[str, Tensor]
    ready: torch.cuda.Event | None

    def columns(self) -> tuple[Columns, NDArray[np.bool_]]:
        """Wait for the columns; return them, and which bodies (B,) are numbers throughout: others are NaN, and False, everywhere."""
        if self.ready is not None:
            self.ready.synchronize()
        found = {name: np.array(values.numpy()) for name, values in self.host.items()}
        ok = np.ones(len(found["bbox"]), bool)
        for values in found.values():
            ok &= np.isfinite(values).reshape(len(ok), -1).all(1)
        for values in found.values():
            values[~ok] = np.nan if values.dtype.kind == "f" else False
        return found, ok


def sent_back(columns: dict[str, Tensor]) -> Returning:
    """Start columns on their way; nobody waits for the device here."""
    device = next(iter(columns.values())).device
    if device.type != "cuda":
        return Returning(columns, None)
    host = {
        name: torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values.contiguous(), non_blocking=True)
        for name, values in columns.items()
    }
    return Returning(host, torch.cuda.current_stream(device).record_event())


class Rows:
    """Rows as they come, put together frame by frame."""

    def __init__(self, nothing: Columns) -> None:
        self._nothing = nothing
        self._frames: deque[tuple[int, int]] = deque()
        self._parts: deque[tuple[Columns, NDArray[np.bool_]]] = deque()

    def expect(self, frames: Iterable[tuple[int, int]]) -> None:
        """Take note of frames to come, by number and how many rows each has."""
        self._frames.extend(frames)

    def add(self, columns: Columns, ok: NDArray[np.bool_]) -> None:
        """Take the next rows."""
        self._parts.append((columns, ok))

    def whole(self) -> Iterator[tuple[int, Columns, NDArray[np.bool_]]]:
        """Yield the frames of which all rows are there."""
        while self._frames and self._frames[0][1] <= sum(len(ok) for _, ok in self._parts):
            frame, count = self._frames.popleft()
            taken = [self._take(part) for part in self._sizes(count)]
            columns = {name: _joined([part[name] for part, _ in taken], empty) for name, empty in self._nothing.items()}
            yield frame, columns, _joined([ok for _, ok in taken], np.zeros(0, bool))

    def _sizes(self, count: int) -> list[int]:
        """Return how many rows each of the first parts gives to so many."""
        sizes = []
        for _, ok in self._parts:
            if not count:
                break
            sizes.append(min(count, len(ok)))
            count -= sizes[-1]
        return sizes

    def _take(self, count: int) -> tuple[Columns, NDArray[np.bool_]]:
        """Take rows off the first part."""
        columns, ok = self._parts.popleft()
        if count < len(ok):
            self._parts.appendleft(({name: values[count:] for name, values in columns.items()}, ok[count:]))
        return {name: values[:count] for name, values in columns.items()}, ok[:count]


def _joined(parts: list[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate([empty, *parts])
