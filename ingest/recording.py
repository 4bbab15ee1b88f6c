"""What a motion file hands over: people who moved, each in the terms of the body that their file speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..motion.rig import Rig, Skeleton
from ..motion.take import Camera, Motion

Floats = NDArray[np.float64]

MHR_JOINTS, MHR_PARAMETERS, MHR_SHAPES, MHR_EXPRESSIONS = 127, 204, 45, 72
SMPL_JOINTS = {"smpl": 24, "smplh": 52, "smplx": 55}


def _fits(where: str, name: str, array: NDArray[Any] | None, shape: tuple[int | None, ...]) -> None:
    """Raise where an array is not of ``shape``; None in it is any length."""
    if array is None:
        return
    if array.ndim != len(shape) or any(want is not None and want != found for want, found in zip(shape, array.shape, strict=True)):
        expected = ", ".join("any" if want is None else str(want) for want in shape)
        raise ReadError(f"{where}: {name}: found {array.shape}, expected ({expected})")


@dataclass(frozen=True, eq=False)
class MhrMotion:
    """Parameters of the Momentum Human Rig over F frames; a frame in which the person is absent is NaN throughout.

    Places are in the camera's axes after the crossing to glTF's (+Y up, looks down -Z), metres, before
    ``camera_translation_m`` is added.
    """

    shape_params: Floats  # (F,45)
    camera_translation_m: Floats  # (F,3), where the body's origin is, glTF's camera axes
    model_params: Floats | None = None  # (F,204); nothing where the file has none and ``joints_m`` must be solved
    expression_params: Floats | None = None  # (F,72)
    joints_m: Floats | None = None  # (F,127,3)
    vertices_m: NDArray[np.float32] | None = None  # (F,V,3), the model's own mesh, where it was asked for
    faces: NDArray[np.int32] | None = None  # (T,3) of that mesh, where the file has them
    global_rotations: NDArray[np.float32] | None = None  # (F,127,3,3) as the file has them, often stale: for a check alone

    def __post_init__(self) -> None:
        frames = len(self.shape_params)
        _fits("mhr", "shape_params", self.shape_params, (None, MHR_SHAPES))
        _fits("mhr", "camera_translation_m", self.camera_translation_m, (frames, 3))
        _fits("mhr", "model_params", self.model_params, (frames, MHR_PARAMETERS))
        _fits("mhr", "expression_params", self.expression_params, (frames, MHR_EXPRESSIONS))
        _fits("mhr", "joints_m", self.joints_m, (frames, MHR_JOINTS, 3))
        _fits("mhr", "vertices_m", self.vertices_m, (frames, None, 3))
        _fits("mhr", "faces", self.faces, (None, 3))
        _fits("mhr", "global_rotations", self.global_rotations, (frames, MHR_JOINTS, 3, 3))
        if self.model_params is None and self.joints_m is None and self.vertices_m is None:
            raise ReadError("mhr: found neither mhr_model_params nor pred_joint_coords nor pred_vertices, expected one of them")

    @property
    def frame_count(self) -> int:
        """Number of frames, F."""
        return len(self.shape_params)


@dataclass(frozen=True, eq=False)
class SmplMotion:
    """Joint turns of an SMPL body over F frames; a frame in which the person is absent is NaN throughout.

    ``quat_xyzw`` are the model's own local turns in the file's world; ``R_world_source`` brings that world to +Y up. The
    model turns about its pelvis, which rests at a place that betas decide, so whoever knows the rest pose applies it:
    ``pelvis = R_world_source · (pelvis_rest + translation)``.
    """

    model: Literal["smpl", "smplh", "smplx"]
    quat_xyzw: Floats  # (F,J,4), J = 24, 52 or 55, unit
    translation_m: Floats  # (F,3)
    R_world_source: Floats  # (3,3)
    betas: Floats | None = None  # (B,), the whole clip's
    gender: str = "neutral"
    hands_seen: NDArray[np.bool_] | None = None  # (F,2) left, right: measured; nothing means that the file doesn't say

    def __post_init__(self) -> None:
        frames = len(self.quat_xyzw)
        _fits("smpl", "quat_xyzw", self.quat_xyzw, (None, SMPL_JOINTS[self.model], 4))
        _fits("smpl", "translation_m", self.translation_m, (frames, 3))
        _fits("smpl", "R_world_source", self.R_world_source, (3, 3))
        _fits("smpl", "betas", self.betas, (None,))
        _fits("smpl", "hands_seen", self.hands_seen, (frames, 2))

    @property
    def frame_count(self) -> int:
        """Number of frames, F."""
        return len(self.quat_xyzw)


@dataclass(frozen=True, eq=False)
class SkeletalMotion:
    """Motion of a skeleton that the file itself brings, +Y up, metres, with its skinned mesh where it has one."""

    skeleton: Skeleton
    motion: Motion
    rig: Rig | None = None

    def __post_init__(self) -> None:
        if self.motion.local_quat_xyzw.shape[1] != len(self.skeleton.joint_names):
            raise ReadError(f"skeleton: found motion of {self.motion.local_quat_xyzw.shape[1]} joints, "
                            f"expected {len(self.skeleton.joint_names)}, as it has")

    @property
    def frame_count(self) -> int:
        """Number of frames, F."""
        return self.motion.frame_count


@dataclass(frozen=True, eq=False)
class Actor:
    """One person of a recording."""

    track: int  # the source's own number for this person, never a place in a list
    name: str
    motion: MhrMotion | SmplMotion | SkeletalMotion
    visible: NDArray[np.bool_]  # (F,), there in the file, not filled in
    confidence: NDArray[np.float32]  # (F,), 0…1
    raw: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # kept as it came, frames first

    def __post_init__(self) -> None:
        frames = self.motion.frame_count
        _fits(self.name, "visible", self.visible, (frames,))
        _fits(self.name, "confidence", self.confidence, (frames,))
        for name, array in self.raw.items():
            _fits(self.name, name, array, (frames, *array.shape[1:]))
        if not self.visible.any():
            raise ReadError(f"{self.name}: visible: found no frame, expected one or more")


@dataclass(frozen=True, eq=False)
class Recording:
    """Everything that a motion file says."""

    times_s: Floats  # (F,), strictly increasing
    fps: Fraction  # the nominal rate, exact
    actors: Sequence[Actor]
    camera: Camera | None = None  # where the file knows one
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)  # goes into the provenance

    def __post_init__(self) -> None:
        object.__setattr__(self, "actors", tuple(self.actors))
        frames = len(self.times_s)
        for actor in self.actors:
            if actor.motion.frame_count != frames:
                raise ReadError(f"{actor.name}: found {actor.motion.frame_count} frames, expected {frames}, as there are times")
        tracks = [actor.track for actor in self.actors]
        if len(set(tracks)) != len(tracks):
            raise ReadError(f"recording: found tracks {tracks}, expected each person's once")
