"""AMASS and its kin: .npz files of SMPL, SMPL-H and SMPL-X motion, joined in ``poses`` or split by part of the body.

AMASS's own files hold ``poses`` (F,156), ``trans`` (F,3), ``betas`` (16,), ``gender`` and a rate under one of two
spellings, Z up. Bone lengths are in betas and a licensed body model, not in the file.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.frames import Z_UP
from ...motion.smpl_joints import BODY, FACE, JOINT_NAMES, PALMS, fingers
from ..recording import Recording
from .arrays import NpzArrays, is_npz_with, open_npz
from .options import MotionFileOptions
from .rates import even_times, exact_rate
from .smpl_values import as_model, betas_of, check_frames, hands_seen, rows_of, smpl_actor
from .wilor import with_hands

Floats = NDArray[np.float64]

_JOINED = {66: BODY, 72: JOINT_NAMES["smpl"], 156: JOINT_NAMES["smplh"], 165: JOINT_NAMES["smplx"]}
_ROOT, _BODY = ("root_orient", "global_orient"), ("pose_body", "body_pose")
_TRANSLATION = ("trans", "transl")
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
# Parts that a split file may leave out, and the joints that each holds.
_PARTS: dict[str, tuple[str, ...]] = {
    "pose_hand": (*fingers("left"), *fingers("right")), "left_hand_pose": fingers("left"), "right_hand_pose": fingers("right"),
    "pose_jaw": FACE[:1], "jaw_pose": FACE[:1], "pose_eye": FACE[1:], "leye_pose": FACE[1:2], "reye_pose": FACE[2:],
}
_GENDERS = {"m": "male", "f": "female", "n": "neutral"}
_R_WORLD = {"z": np.array(Z_UP.R_target_rigdrop).T, "y": np.eye(3)}


def is_mine(path: Path) -> bool:
    """Say whether ``path`` is an .npz with axis-angles of a body under one of their names."""
    return any(is_npz_with(path, key) for key in ("poses", *_ROOT, *_BODY))


def read(path: Path, options: MotionFileOptions) -> Recording:
    """Return the one person of an AMASS-like .npz. Raises `ReadError` where a field is missing, misshapen or pickled."""
    arrays = open_npz(path, trust=options.trust)
    names, rotvec = _joined(path, arrays) if "poses" in arrays else _split(path, arrays)
    translation_m = _field(path, arrays, _TRANSLATION, 3)
    frames = check_frames(path, {"poses": rotvec, "trans": translation_m})
    limit = options.frame_limit or frames
    rotvec, translation_m = rotvec[:limit], translation_m[:limit]
    model = _model(path, arrays, names)
    actor, warnings = smpl_actor(
        path, path.stem, model, as_model(model, names, rotvec), translation_m, _R_WORLD[_up(path, arrays)],
        betas_of(f"{path}: betas", arrays["betas"]) if "betas" in arrays else None, _gender(path, arrays),
        None if model == "smpl" else hands_seen(names, rotvec),
    )
    fps, told = _rate(path, arrays, options)
    times_s = even_times(len(rotvec), fps)
    if options.hand_poses is not None:
        actor, told_of_hands = with_hands(actor, options.hand_poses, times_s, path, frames, options)
        warnings += told_of_hands
    return Recording(times_s, fps, [actor], warnings=warnings + told, details={"model": model, "joints": len(names)})


def _joined(path: Path, arrays: NpzArrays) -> tuple[tuple[str, ...], Floats]:
    """Return names (N) and axis-angles (F,N,3) of ``poses``."""
    rows = rows_of(f"{path}: poses", arrays["poses"], *_JOINED)
    names = _JOINED[rows.shape[1]]
    return names, rows.reshape(len(rows), len(names), 3)


def _split(path: Path, arrays: NpzArrays) -> tuple[tuple[str, ...], Floats]:
    """Return names (N) and axis-angles (F,N,3) of a file that has one field for each part of the body."""
    root, body = _field(path, arrays, _ROOT, 3), _field(path, arrays, _BODY, 63, 69)
    names = BODY if body.shape[1] == 63 else (*BODY, *PALMS)
    parts = {"root_orient": root, "pose_body": body}
    for key, joints in _PARTS.items():
        if key in arrays and not set(joints) & set(names):
            names, parts[key] = (*names, *joints), rows_of(f"{path}: {key}", arrays[key], 3 * len(joints))
    frames = check_frames(path, parts)
    return names, np.concatenate(list(parts.values()), axis=1).reshape(frames, len(names), 3)


def _field(path: Path, arrays: NpzArrays, spellings: tuple[str, ...], *widths: int) -> Floats:
    for key in spellings:
        if key in arrays:
            return rows_of(f"{path}: {key}", arrays[key], *widths)
    raise ReadError(f"{path}: {spellings[0]}: found no such field among {', '.join(sorted(arrays)):.200}, expected it or {spellings[1]}")


def _model(path: Path, arrays: NpzArrays, names: tuple[str, ...]) -> str:
    """Return the body that the file speaks of: the one it names, else the smallest that has all of its joints."""
    named = _text(path, arrays, "surface_model_type").lower() if "surface_model_type" in arrays else ""
    models = [model for model in ("smplx", "smplh", "smpl") if named.startswith(model)][:1] if named else ["smpl", "smplh", "smplx"]
    if not named and not set(PALMS) & set(names):
        models.remove("smpl")
    for model in models:
        if set(names) - set(PALMS) <= set(JOINT_NAMES[model]):
            return model
    raise ReadError(f"{path}: surface_model_type: found {named!r} with {len(names)} joints, expected smpl, smplh or smplx that has them")


def _up(path: Path, arrays: NpzArrays) -> str:
    """Return the axis that is up: z, as AMASS has it, unless a field says y."""
    axis = _text(path, arrays, "up_axis").lower() if "up_axis" in arrays else "z"
    if axis not in _R_WORLD:
        raise ReadError(f"{path}: up_axis: found {axis!r}, expected Y or Z")
    return axis


def _rate(path: Path, arrays: NpzArrays, options: MotionFileOptions) -> tuple[Fraction, tuple[str, ...]]:
    rates = {key: exact_rate(f"{path}: {key}", arrays[key]) for key in _RATES if key in arrays}
    if len(set(rates.values())) > 1:
        found = " and ".join(f"{key} {float(rate):.10g}" for key, rate in rates.items())
        raise ReadError(f"{path}: {next(iter(rates))}: found {found}, expected one rate")
    if rates:
        return next(iter(rates.values())), ()
    fps = options.rate or Fraction(30)
    return fps, (f"{path}: {_RATES[0]}: found no rate, took {float(fps):.10g} frames a second; --source-fps sets another",)


def _gender(path: Path, arrays: NpzArrays) -> str:
    told = _text(path, arrays, "gender") if "gender" in arrays else "neutral"
    gender = _GENDERS.get(told[:1].lower())
    if gender is None:
        raise ReadError(f"{path}: gender: found {told!r:.40}, expected male, female or neutral")
    return gender


def _text(path: Path, arrays: NpzArrays, key: str) -> str:
    """Return a field's one text: str, bytes, or bytes that somebody has made a str of, quotes and all."""
    array: NDArray[Any] = np.asarray(arrays[key])
    value = array.ravel()[0] if array.size == 1 else None
    if not isinstance(value, (str, bytes)):
        raise ReadError(f"{path}: {key}: found {array.dtype} {array.shape}, expected a text")
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[2:-1] if text.startswith("b'") else text
