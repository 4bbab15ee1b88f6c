"""GVHMR's ``hmr4d_results.pt``: one person of SMPL-X in a level world and in the camera's axes, with the camera.

Each of ``smpl_params_global`` and ``smpl_params_incam`` holds ``body_pose`` (F,63), ``global_orient`` (F,3), ``transl`` (F,3)
and ``betas`` (F,10); the first is +Y up, the second OpenCV's. Hands are flat and not measured, unless another file has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.mean_turn import angles_to, mean_turn
from ...motion.rotations import quat_apply, quat_inverse, quat_multiply, quat_to_matrix, rotvec_to_quat
from ...motion.smpl_joints import BODY, PELVIS_REST_M
from ...motion.take import Camera
from ..recording import Recording
from .arms import forearms
from .options import MotionFileOptions
from .rates import even_times
from .smpl_values import as_model, betas_of, check_frames, rows_of, smpl_actor
from .tensors import mentions, read_tensors
from .wilor import with_hands

Floats = NDArray[np.float64]

_FPS = Fraction(30)  # to which GVHMR brings every clip
_GROUPS = {"global": "smpl_params_global", "camera": "smpl_params_incam"}
_FIELDS = {"global_orient": 3, "body_pose": 63, "transl": 3}
_R_GLTF_OPENCV = np.diag([1.0, -1.0, -1.0])
# A still camera's turn, derived from two estimates of the body's, wanders by 2 to 8° from its mean.
_STILL_DEG = 8.0
_WINDOW = 15  # frames over which a moving camera's turn and place are averaged
_SAME_LENS = 0.005  # of the focal length: within it, intrinsics that differ from frame to frame are one lens


@dataclass(frozen=True, eq=False)
class _Params:
    """One of the file's two groups; angles are axis-angles."""

    global_orient: Floats  # (F,3)
    body_pose: Floats  # (F,63)
    transl: Floats  # (F,3)
    betas: Floats | None

    @property
    def rotvec(self) -> Floats:
        """(F,22,3) axis-angles of the body's joints."""
        return np.concatenate([self.global_orient, self.body_pose], axis=1).reshape(len(self.transl), -1, 3)

    @property
    def pelvis_m(self) -> Floats:
        """(F,3) where the pelvis of a body of mean shape is."""
        return self.transl + PELVIS_REST_M["smplx"]


def is_mine(path: Path) -> bool:
    """Say whether ``path`` is GVHMR's, by its name or its keys."""
    return path.name == "hmr4d_results.pt" or mentions(path, *_GROUPS.values())


def read(path: Path, options: MotionFileOptions) -> Recording:
    """Return the one person of GVHMR's results, in the level world or in the camera's axes as ``options.world`` says.

    Raises `ReadError` where a field is missing or misshapen, and for a file that holds more than tensors.
    """
    content = read_tensors(path)
    if not isinstance(content, Mapping):
        raise ReadError(f"{path}: found {type(content).__name__}, expected a mapping with {_GROUPS[options.world]}")
    body = _params(path, content, options.world)
    seen = _params(path, content, "camera") if _GROUPS["camera"] in content else None
    frames = len(body.transl)
    if seen is not None and len(seen.transl) != frames:
        raise ReadError(f"{path}: {_GROUPS['camera']}: found {len(seen.transl)} frames, expected {frames}, as {_GROUPS['global']} has")
    fps = options.rate or _FPS
    part = slice(options.frame_limit or None)
    times_s = even_times(len(body.transl[part]), fps)
    R_world_source = np.eye(3) if options.world == "global" else _R_GLTF_OPENCV
    actor, warnings = smpl_actor(
        path, _name(path), "smplx", as_model("smplx", BODY, body.rotvec[part]), body.transl[part], R_world_source, body.betas,
        seen=np.zeros((len(times_s), 2), dtype=bool),
    )
    lens = _intrinsics(path, content, frames)
    if options.hand_poses is not None:
        elbows, wrists = (None, None) if seen is None else _arms_in_camera(seen, lens, part)
        actor, told = with_hands(actor, options.hand_poses, times_s, path, frames, options, elbows, wrists)
        warnings += told
    camera, details = _camera(body, seen, lens, part, options.world)
    if camera is None:
        lacking = "K_fullimg" if lens is None else _GROUPS["camera"]
        warnings += (f"{path}: {lacking}: found no such field, so the camera is not known",)
    return Recording(times_s, fps, [actor], camera, warnings, details={"world": options.world, **details})


def _name(path: Path) -> str:
    """GVHMR calls every result alike, and its folder as the clip."""
    return path.parent.name if path.stem == "hmr4d_results" and path.parent.name else path.stem


def _params(path: Path, content: Mapping[str, Any], world: str) -> _Params:
    group = _GROUPS[world]
    values = content.get(group)
    if not isinstance(values, Mapping):
        raise ReadError(f"{path}: {group}: found {type(values).__name__}, expected a mapping with {', '.join(_FIELDS)}")
    for name, width in _FIELDS.items():
        if name not in values:
            raise ReadError(f"{path}: {group}/{name}: found no such field among {', '.join(map(str, values)):.200}, "
                            f"expected (frames, {width})")
    rows = {name: rows_of(f"{path}: {group}/{name}", values[name], width) for name, width in _FIELDS.items()}
    check_frames(path, {f"{group}/{name}": array for name, array in rows.items()})
    betas = betas_of(f"{path}: {group}/betas", values["betas"]) if "betas" in values else None
    return _Params(rows["global_orient"], rows["body_pose"], rows["transl"], betas)


def _intrinsics(path: Path, content: Mapping[str, Any], frames: int) -> Floats | None:
    """Return K (3,3), the median over frames where the lens stays the same, else (F,3,3); nothing where the file has none."""
    if "K_fullimg" not in content:
        return None
    array = np.asarray(content["K_fullimg"])
    if array.dtype.kind not in "iuf" or array.shape not in ((3, 3), (frames, 3, 3)):
        raise ReadError(f"{path}: K_fullimg: found {array.dtype} {array.shape}, expected ({frames}, 3, 3)")
    lens = np.broadcast_to(array, (frames, 3, 3)).astype(np.float64)
    lens = lens[_nearest(np.asarray(np.isfinite(lens).all(axis=(1, 2))), f"{path}: K_fullimg")]
    if (lens[:, (0, 1, 0, 1), (0, 1, 2, 2)] <= 0).any():
        raise ReadError(f"{path}: K_fullimg: found a focal length or middle of 0 or less, expected pixels above 0")
    median = np.median(lens, axis=0)
    apart = np.abs(lens - median).max(axis=(1, 2)) / median[0, 0]
    return median if np.quantile(apart, 0.9) <= _SAME_LENS else lens


def _nearest(good: NDArray[np.bool_], where: str) -> NDArray[np.intp]:
    """Return for each frame (F,) the nearest one that is good. Raises `ReadError` that begins with ``where`` if none is."""
    known = np.flatnonzero(good)
    if not len(known):
        raise ReadError(f"{where}: found NaN or infinity in every frame, expected finite numbers")
    frames = np.arange(len(good))
    after = np.minimum(np.searchsorted(known, frames), len(known) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(known[before] - frames) < np.abs(known[after] - frames), known[before], known[after])


def _arms_in_camera(seen: _Params, lens: Floats | None, part: slice) -> tuple[Floats, Floats | None]:
    """Return the elbows' turns (F,2,4) in OpenCV's camera axes, and the wrists' pixels (F,2,2) where the lens is known."""
    elbows, wrists_m = forearms(BODY, rotvec_to_quat(seen.rotvec[part]), seen.pelvis_m[part])
    if lens is None:
        return elbows, None
    ahead = np.where(wrists_m[..., 2:] > 0, wrists_m[..., 2:], np.nan)
    frame_lens = lens[None] if lens.ndim == 2 else lens[part]
    return elbows, ((wrists_m / ahead) @ np.swapaxes(frame_lens, 1, 2))[..., :2]


def _camera(body: _Params, seen: _Params | None, lens: Floats | None, part: slice, world: str) -> tuple[Camera | None, dict[str, Any]]:
    """Return the camera, and what was found of how it stands; GVHMR's middle of the picture tells the picture's size."""
    if lens is None or seen is None:
        return None, {}
    T_world_camera, details = np.eye(4), dict[str, Any]()
    if world == "global":
        T_world_camera, details = _world_from_camera(body, seen)
    middle = lens if lens.ndim == 2 else np.median(lens, axis=0)
    width, height = (max(1, round(2 * float(middle[axis, 2]))) for axis in (0, 1))
    lens, T_world_camera = (array if array.ndim == 2 else array[part] for array in (lens, T_world_camera))
    return Camera(width, height, lens, T_world_camera, "estimator"), details


def _world_from_camera(body: _Params, seen: _Params) -> tuple[Floats, dict[str, Any]]:
    """Return T_world_camera, glTF's axes: (4,4) of a camera that stands still, (F,4,4) of one that moves.

    The body turns and stands in both, so that every frame gives the camera's turn and place; none is good to more than a
    few degrees, hence the mean over the clip, or over half a second around each frame.
    """
    finite = np.isfinite(np.concatenate([body.global_orient, seen.global_orient, body.transl, seen.transl], axis=1)).all(axis=1)
    if not finite.any():
        return np.eye(4), {}
    world, camera = rotvec_to_quat(body.global_orient[finite]), rotvec_to_quat(seen.global_orient[finite])
    turn = quat_multiply(world, quat_inverse(camera))
    around = np.clip(np.arange(len(turn))[:, None] + np.arange(_WINDOW) - _WINDOW // 2, 0, len(turn) - 1)
    mean, path = mean_turn(turn), mean_turn(turn[around])
    spread_deg = float(np.degrees(np.quantile(angles_to(path, mean), 0.9)))
    still = spread_deg <= _STILL_DEG
    quat = mean[None] if still else path
    place = body.pelvis_m[finite] - quat_apply(quat, seen.pelvis_m[finite])
    T_world_camera = np.tile(np.eye(4), (len(quat), 1, 1))
    T_world_camera[:, :3, :3] = quat_to_matrix(quat) @ _R_GLTF_OPENCV
    T_world_camera[:, :3, 3] = np.median(place, axis=0) if still else np.median(place[around], axis=1)
    details = {"camera_moves": not still, "camera_spread_deg": round(spread_deg, 3)}
    if still:
        return T_world_camera[0], details
    position = np.cumsum(finite) - 1
    return T_world_camera[position[_nearest(finite, "camera")]], details
