"""Made-up SAM 3D Body output, written out by hand as upstream lays it out, with every number known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

VERTICES = 20  # not the model's own count: it comes from the file


def person(number: int, frame: int) -> dict[str, Any]:
    """Return one person's dict in one frame. People stand 1.5 m apart and walk along x, 2 cm a frame."""
    rng = np.random.default_rng([number, frame])
    own = np.random.default_rng(number)
    joints = own.normal(0, 0.4, (127, 3)) + rng.normal(0, 0.01, (127, 3))
    return {
        "mhr_model_params": (own.normal(0, 0.5, 204) + rng.normal(0, 0.02, 204)).astype(np.float32),
        "shape_params": own.normal(0, 1, 45).astype(np.float32),
        "pred_cam_t": np.array([1.5 * number + 0.02 * frame, 1.1, 5.0 + 0.2 * number], np.float32),
        "expr_params": np.zeros(72, np.float32),
        "focal_length": np.float32(900.0),
        "pred_joint_coords": joints.astype(np.float32),
        "pred_vertices": (joints[:VERTICES] + 0.05).astype(np.float32),
        "pred_global_rots": np.tile(np.eye(3, dtype=np.float32), (127, 1, 1)),
        "pred_keypoints_2d": rng.uniform(0, 700, (70, 2)).astype(np.float32),
        "bbox": np.array([10.0, 20, 300, 700], np.float32) + frame,
    }


def without(fields: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return a dict that lacks some keys."""
    return {key: value for key, value in fields.items() if key not in keys}


def stacked(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return dicts as one, every array with an axis more in front."""
    return {key: np.stack([item[key] for item in items]) for key in items[0]}


def table(frames: int, people: int) -> dict[str, Any]:
    """Return arrays that lead with frames and people."""
    return stacked([stacked([person(number, frame) for number in range(people)]) for frame in range(frames)])


def save_objects(path: Path, value: Any) -> Path:
    """Pickle a value into an .npy as ``np.save`` does, and a list as a list, whatever the shapes in it."""
    boxed = np.empty((), object)
    boxed[()] = value
    np.save(path, boxed)
    return path


class Runs:
    """A pickle of this creates the file ``path`` when it is read: proof that something was executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)
