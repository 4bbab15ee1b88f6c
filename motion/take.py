"""The one truth between what comes in and what goes out: a take, its people, their motion, and the camera that saw them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .rig import Rig

# float32 quaternions from normalised float64 are within 1e-7 of length 1; the reader of a foreign file may be coarser.
_UNIT_TOLERANCE = 1e-4
_NUMBERS = ("local_quat_xyzw", "local_translation_m", "confidence", "local_scale", "morph_weights")  # float32 in a motion


def _check(condition: bool, where: str, found: object, expected: str) -> None:
    if not condition:
        raise ReadError(f"take: {where}: found {found}, expected {expected}")


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera: +X right, +Y up, looks down its own -Z, as in glTF; pixels have their origin at the upper left."""

    width: int
    height: int
    intrinsics_px: NDArray[np.float64]  # (3,3) or (F,3,3)
    world_from_camera: NDArray[np.float64]  # (4,4) or (F,4,4), T_world_camera, metres
    focal_source: str = "default"  # user | metadata | default | estimator

    def __post_init__(self) -> None:
        object.__setattr__(self, "intrinsics_px", np.ascontiguousarray(self.intrinsics_px, dtype=np.float64))
        object.__setattr__(self, "world_from_camera", np.ascontiguousarray(self.world_from_camera, dtype=np.float64))
        _check(self.width > 0 and self.height > 0, "camera", (self.width, self.height), "a positive width and height")
        for name, array, size in (("intrinsics_px", self.intrinsics_px, 3), ("world_from_camera", self.world_from_camera, 4)):
            fits = array.ndim in (2, 3) and array.shape[-2:] == (size, size)
            _check(fits, f"camera/{name}", array.shape, f"({size},{size}) or (F,{size},{size})")
        finite = np.isfinite(self.intrinsics_px).all() and np.isfinite(self.world_from_camera).all()
        _check(bool(finite), "camera", "NaN or infinity", "finite numbers")

    def project(self, points_world_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return pixels (F,N,2) of world points (F,N,3); a point behind the camera gives NaN."""
        T_camera_world = np.linalg.inv(self.world_from_camera)
        T_camera_world = T_camera_world if T_camera_world.ndim == 3 else T_camera_world[None]
        in_camera = points_world_m @ np.swapaxes(T_camera_world[:, :3, :3], 1, 2) + T_camera_world[:, None, :3, 3]
        intrinsics = self.intrinsics_px if self.intrinsics_px.ndim == 3 else self.intrinsics_px[None]
        # Crossing into OpenCV's axes, where intrinsics are defined.
        opencv = in_camera * np.array([1.0, -1.0, -1.0])
        depth = np.where(opencv[..., 2:] > 1e-6, opencv[..., 2:], np.nan)
        image = (opencv / depth) @ np.swapaxes(intrinsics, 1, 2)
        return np.asarray(image[..., :2], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Motion:
    """What the joints of one rig do over a take's F frames, relative to their parents; checked, finite everywhere."""

    local_quat_xyzw: NDArray[np.float32]  # (F,J,4), unit, sign-continuous
    local_translation_m: NDArray[np.float32]  # (F,J,3)
    visible: NDArray[np.bool_]  # (F,), seen, not filled in
    confidence: NDArray[np.float32]  # (F,), 0…1
    local_scale: NDArray[np.float32] | None = None  # (F,J), uniform; nothing means 1
    morph_weights: NDArray[np.float32] | None = None  # (F,M), 0…1, how much of each of the rig's morph targets

    def __post_init__(self) -> None:
        object.__setattr__(self, "visible", np.ascontiguousarray(self.visible, dtype=np.bool_))
        for name in _NUMBERS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        whole = self.local_quat_xyzw.shape
        _check(len(whole) == 3 and whole[2] == 4, "local_quat_xyzw", whole, "(F, J, 4)")
        frames, joints = whole[:2]
        per_joint, per_frame = {"local_translation_m": (frames, joints, 3), "local_scale": (frames, joints)}, ("visible", "confidence")
        shapes = {**per_joint, **dict.fromkeys(per_frame, (frames,))}
        for name, expected in shapes.items():
            array = getattr(self, name)
            _check(array is None or array.shape == expected, name, None if array is None else array.shape, f"{expected}")
        weights = self.morph_weights
        _check(weights is None or (weights.ndim == 2 and len(weights) == frames and weights.shape[1] > 0), "morph_weights",
               None if weights is None else weights.shape, f"({frames}, M), one target or more")

    def _check_values(self) -> None:
        for name in _NUMBERS:
            array = getattr(self, name)
            _check(array is None or bool(np.isfinite(array).all()), name, "NaN or infinity", "finite numbers")
        lengths = np.linalg.norm(self.local_quat_xyzw, axis=-1)
        _check(bool((np.abs(lengths - 1) < _UNIT_TOLERANCE).all()), "local_quat_xyzw", "a quaternion that is not unit", "unit quaternions")
        _check(self.local_scale is None or bool((self.local_scale > 0).all()), "local_scale", "zero or less", "positive scales")
        # Formats allow others, but Blender and many engines cut weights off there.
        within = self.morph_weights is None or bool(((self.morph_weights >= 0) & (self.morph_weights <= 1)).all())
        _check(within, "morph_weights", "weights out of range", "weights from 0 to 1")

    @property
    def frame_count(self) -> int:
        """Number of frames, F."""
        return len(self.local_quat_xyzw)


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in a take: a stable id (``person_01``), a rig made to their measure, and its motion."""

    id: str
    name: str
    source_track: int
    rig: Rig
    motion: Motion
    vertices_m: NDArray[np.float32] | None = None  # (F,V,3), only where skinning can't reproduce the source's own mesh
    raw: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # what the estimator said, frames first
    params: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # body-model parameters

    def __post_init__(self) -> None:
        where, frames, joints = f"people/{self.id}", self.motion.frame_count, len(self.rig.joint_names)
        # The id names a folder, and a group of the store.
        _check(bool(re.fullmatch(r"\w[\w.-]*", self.id)), "people", repr(self.id), "an id of letters, digits, _, - and .")
        moved = self.motion.local_quat_xyzw.shape
        _check(moved[1] == joints, where, moved, f"{joints} joints, as the rig has")
        weights, targets = self.motion.morph_weights, self.rig.morph_count
        found = 0 if weights is None else weights.shape[1]
        _check(found == targets, f"{where}/morph_weights", f"{found} a frame", f"one for each of the rig's {targets} morph_targets_m")
        if self.vertices_m is not None:
            expected = (frames, len(self.rig.vertices_m), 3)
            _check(self.vertices_m.shape == expected, f"{where}/vertices_m", self.vertices_m.shape, f"{expected}")
        for name, array in self.raw.items():
            _check(len(array) == frames, f"{where}/raw/{name}", len(array), f"{frames} frames, as the motion has")


@dataclass(frozen=True, eq=False)
class Take:
    """A clip's worth of people in one world: right-handed, +Y up, +Z toward the camera that took the clip, metres, seconds."""

    times_s: NDArray[np.float64]  # (F,), presentation times from the source's own stamps, strictly increasing
    fps: Fraction  # the nominal rate, exact
    camera: Camera
    people: Sequence[Person]
    source_name: str
    source_sha256: str
    created_utc: str
    rigdrop_version: str
    provenance: Mapping[str, Any] = field(default_factory=dict)  # stages, options, versions, assets, seconds

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_s", np.ascontiguousarray(self.times_s, dtype=np.float64))
        object.__setattr__(self, "people", tuple(self.people))
        _check(self.times_s.ndim == 1 and len(self.times_s) > 0, "times_s", self.times_s.shape, "(F,), one frame or more")
        rising = bool(np.isfinite(self.times_s).all() and (np.diff(self.times_s) > 0).all())
        _check(rising, "times_s", "a step back or a NaN", "strictly increasing seconds")
        _check(self.fps > 0, "fps", self.fps, "a positive rate")
        self._check_frames()

    def _check_frames(self) -> None:
        frames = len(self.times_s)
        for name in ("intrinsics_px", "world_from_camera"):
            array = getattr(self.camera, name)
            _check(array.ndim == 2 or len(array) == frames, f"camera/{name}", len(array), f"{frames} frames, as times_s has")
        ids = [person.id for person in self.people]
        _check(len(set(ids)) == len(ids), "people", ids, "each id once")
        for person in self.people:
            found = person.motion.frame_count
            _check(found == frames, f"people/{person.id}", found, f"{frames} frames, as times_s has")

    @property
    def frame_count(self) -> int:
        """Number of frames, F."""
        return len(self.times_s)
