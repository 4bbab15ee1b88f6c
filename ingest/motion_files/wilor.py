"""Hands of WiLoR, WiLoR-mini and ``hand_poses.npz``, brought to one form: axis-angles of each hand's own side become turns.

WiLoR knows right hands only and is shown left ones mirrored. WiLoR-mini gives axis-angles that it has mirrored back;
WiLoR itself gives rotation matrices of the right hand, which are mirrored here, once: (x, y, z) becomes (x, -y, -z).
Hands are flat at zero (``flat_hand_mean``), without principal components.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.rotations import matrix_to_quat, rotvec_to_quat
from ...motion.smpl_joints import SIDES
from ..recording import Actor, SmplMotion
from .arrays import open_npz, read_npy
from .hand_merge import FINGERS, HandDetections, assign_hands, merge_hands
from .options import MotionFileOptions
from .smpl_values import rows_of
from .tensors import read_tensors

Floats = NDArray[np.float64]

_MIRROR_XYZW = np.array([1.0, -1.0, -1.0, 1.0])
# A half-precision net's matrices are off by 1e-3; a matrix that is none is off by far more.
_ROTATION_TOLERANCE = 0.02
_FORMS = "hand_poses.npz, or WiLoR's output, a list of hands for each frame, as .pt, .json, .npy or .pkl"


def with_hands(
    actor: Actor, hands_path: Path, times_s: Floats, body_path: Path, body_frames: int, options: MotionFileOptions,
    elbow_quat_xyzw: Floats | None = None, wrists_px: Floats | None = None,
) -> tuple[Actor, tuple[str, ...]]:
    """Return the person with the hands of another file, and warnings.

    ``body_frames`` is how many frames the body's file has, of which ``times_s`` may be the first few. Where the body is
    seen by a camera, ``elbow_quat_xyzw`` (F,2,4) are its elbows' turns in OpenCV's camera axes and ``wrists_px`` (F,2,2) its
    wrists in the picture. Raises `ReadError` where the files' counts of frames differ, and for a body without fingers.
    """
    motion = actor.motion
    if not isinstance(motion, SmplMotion):
        raise ReadError(f"{hands_path}: found hands for a body of another kind, expected one of the SMPL family")
    hands, warnings = read_hands(hands_path, options.trust)
    if hands.frame_count != body_frames:
        raise ReadError(f"{hands_path}: found {hands.frame_count} frames, expected {body_frames}, as {body_path} has")
    frames = len(times_s)
    places = np.full((frames, 2, 2), np.nan) if wrists_px is None else wrists_px
    track = assign_hands(hands, places[:, None], options.hand_merge)[0]
    try:
        return replace(actor, motion=merge_hands(motion, track, times_s, elbow_quat_xyzw, options.hand_merge)), warnings
    except ReadError as error:
        raise ReadError(f"{body_path}: {error}") from error


def read_hands(path: Path, trust: bool = False) -> tuple[HandDetections, tuple[str, ...]]:
    """Return the hands of a file, and warnings. Raises `ReadError` where it is none, or is pickled and not trusted."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _from_npz(path, trust)
    if suffix == ".pt":
        frames = read_tensors(path)
    elif suffix == ".json":
        frames = _json(path)
    elif suffix == ".npy":
        frames = read_npy(path, trust=trust)
    elif suffix in (".pkl", ".pickle"):
        frames = _pickle(path, trust)
    else:
        raise ReadError(f"{path}: found a {suffix or 'nameless'} file, expected {_FORMS}")
    return _from_frames(path, frames)


def _from_npz(path: Path, trust: bool) -> tuple[HandDetections, tuple[str, ...]]:
    """Read ``left_hand_pose`` and ``right_hand_pose`` (F,45) of one person; rows of zeros are hands that were not found."""
    arrays = open_npz(path, trust=trust)
    sides = []
    for label in SIDES:
        key = f"{label}_hand_pose"
        if key not in arrays:
            raise ReadError(f"{path}: {key}: found no such field among {', '.join(sorted(arrays)):.200}, expected (frames, 45)")
        sides.append(rows_of(f"{path}: {key}", arrays[key], 3 * FINGERS))
    if len(sides[0]) != len(sides[1]):
        raise ReadError(f"{path}: right_hand_pose: found {len(sides[1])} frames, expected {len(sides[0])}, as left_hand_pose has")
    rotvec = np.stack(sides, axis=1).reshape(-1, 2, FINGERS, 3)
    finite = np.isfinite(rotvec).all(axis=(2, 3))
    frame, side = np.nonzero(finite & (rotvec != 0).any(axis=(2, 3)))
    count, nothing = len(frame), np.nan
    hands = HandDetections(len(rotvec), frame, side, rotvec_to_quat(rotvec[frame, side]), np.full((count, 4), nothing),
                           np.full((count, 2), nothing), np.full(count, nothing))
    return hands, _warnings(path, int((~finite).sum()))


def _from_frames(path: Path, frames: Any) -> tuple[HandDetections, tuple[str, ...]]:
    """Read a list of frames, each a list of hands, or one mapping of a batch of them."""
    if isinstance(frames, np.ndarray):
        frames = list(frames)
    if not isinstance(frames, Sequence) or isinstance(frames, (str, bytes)) or not frames:
        raise ReadError(f"{path}: found {type(frames).__name__}, expected a list of frames, each a list of hands")
    rows: list[tuple[int, int, Floats, Floats, Floats, float]] = []
    bad = 0
    for number, hands in enumerate(frames):
        for index, hand in enumerate(_each(f"{path}: frame {number}", hands)):
            row = _hand(f"{path}: frame {number}: hand {index}", hand)
            if row is None:
                bad += 1
            else:
                rows.append((number, *row))
    frame, side, finger, wrist, place, size = zip(*rows) if rows else ((),) * 6
    hands = HandDetections(
        len(frames), np.array(frame, dtype=np.intp), np.array(side, dtype=np.intp), np.reshape(finger, (-1, FINGERS, 4)),
        np.reshape(wrist, (-1, 4)), np.reshape(place, (-1, 2)), np.array(size, dtype=np.float64),
    )
    return hands, _warnings(path, bad)


def _each(where: str, hands: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a frame's hands one by one: from a list of mappings, or from WiLoR's mapping of arrays that lead with hands."""
    if isinstance(hands, Mapping) and "right" in hands:
        inner = hands.get("pred_mano_params", {})
        for index in range(len(np.atleast_1d(_numbers(f"{where}: right", hands["right"])))):
            outer = {key: _row(hands[key], index) for key in ("right", "box_center", "box_size") if key in hands}
            yield {**outer, "pred_mano_params": {key: _row(value, index) for key, value in inner.items()}}
        return
    if not isinstance(hands, (list, tuple, np.ndarray)) or not all(isinstance(hand, Mapping) for hand in hands):
        raise ReadError(f"{where}: found {type(hands).__name__}, expected a list of hands, each with wilor_preds or pred_mano_params")
    yield from hands


def _row(values: Any, index: int) -> Any:
    return np.atleast_1d(np.asarray(values))[index]


def _hand(where: str, hand: Mapping[str, Any]) -> tuple[int, Floats, Floats, Floats, float] | None:
    """Return side, fingers (15,4), wrist (4,), the wrist's pixel (2,) and the box's size; nothing for a hand of NaN."""
    side = _side(where, hand)
    params = next((hand[key] for key in ("wilor_preds", "pred_mano_params") if key in hand), hand)
    if "hand_pose" not in params:
        raise ReadError(f"{where}: hand_pose: found no such field among {', '.join(map(str, params)):.200}, expected (15, 3) or (15, 3, 3)")
    pose = _numbers(f"{where}: hand_pose", params["hand_pose"])
    if not np.isfinite(pose).all():
        return None
    fingers = _turns(f"{where}: hand_pose", pose, FINGERS, side)
    orient, wrist = _numbers(f"{where}: global_orient", params.get("global_orient", np.nan)), np.full(4, np.nan)
    if np.isfinite(orient).all():
        wrist = _turns(f"{where}: global_orient", orient, 1, side)[0]
    return side, fingers, wrist, *_place(where, hand, params)


def _side(where: str, hand: Mapping[str, Any]) -> int:
    for key in ("is_right", "right"):
        if key in hand:
            value = _numbers(f"{where}: {key}", hand[key])
            if value.size != 1 or value.item() not in (0.0, 1.0):
                raise ReadError(f"{where}: {key}: found {value.tolist()!r:.40}, expected 0 or 1")
            return int(value.item())
    raise ReadError(f"{where}: is_right: found no such field among {', '.join(map(str, hand)):.200}, expected 0 or 1")


def _turns(where: str, values: Floats, joints: int, side: int) -> Floats:
    """Return turns (J,4) of axis-angles, which are the side's own, or of matrices, which are a right hand's."""
    if values.size == 3 * joints:
        return rotvec_to_quat(values.reshape(joints, 3))
    if values.size != 9 * joints:
        raise ReadError(f"{where}: found {values.shape}, expected ({joints}, 3) axis-angles or ({joints}, 3, 3) matrices")
    matrices = values.reshape(joints, 3, 3)
    off = np.abs(matrices @ np.swapaxes(matrices, 1, 2) - np.eye(3)).max()
    if not off < _ROTATION_TOLERANCE or not (np.linalg.det(matrices) > 0).all():
        raise ReadError(f"{where}: found matrices that are no rotations, expected rotations")
    quat = matrix_to_quat(matrices)
    return quat if side else quat * _MIRROR_XYZW


def _place(where: str, hand: Mapping[str, Any], params: Mapping[str, Any]) -> tuple[Floats, float]:
    """Return the wrist's pixel (2,), or the box's middle in its stead, and the box's longer side; NaN where nothing says."""
    place, size = np.full(2, np.nan), float("nan")
    if "hand_bbox" in hand:
        box = _numbers(f"{where}: hand_bbox", hand["hand_bbox"]).ravel()
        if box.size < 4:
            raise ReadError(f"{where}: hand_bbox: found {box.size} numbers, expected x0 y0 x1 y1")
        place, size = (box[:2] + box[2:4]) / 2, float(np.abs(box[2:4] - box[:2]).max())
    elif "box_center" in hand:
        place = _numbers(f"{where}: box_center", hand["box_center"]).ravel()[:2]
        size = float(_numbers(f"{where}: box_size", hand.get("box_size", np.nan)).max())
    # WiLoR's own keypoints are in the hand's crop; WiLoR-mini's are pixels of the picture, the wrist first.
    if "wilor_preds" in hand and "pred_keypoints_2d" in params:
        place = _numbers(f"{where}: pred_keypoints_2d", params["pred_keypoints_2d"]).reshape(-1, 2)[0]
    return place, size


def _numbers(where: str, value: Any) -> Floats:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ReadError(f"{where}: found {type(value).__name__} ({error}), expected numbers") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ReadError(f"{path}: found no JSON ({error}), expected a list of frames, each a list of hands") from error


def _pickle(path: Path, trust: bool) -> Any:
    if not trust:
        raise ReadError(f"{path}: found a pickle, expected numbers; a pickle can run any program; --trust reads it, "
                        "only where you know who made it")
    try:
        with path.open("rb") as file:
            return pickle.load(file)
    except Exception as error:  # unpickling runs whatever the file says, and so raises whatever that raises
        raise ReadError(f"{path}: found no whole pickle ({error}), expected a list of frames, each a list of hands") from error


def _warnings(path: Path, bad: int) -> tuple[str, ...]:
    return (f"{path}: found NaN or infinity in {bad} hands; they count as not found",) if bad else ()
