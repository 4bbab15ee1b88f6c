"""SAM 3D Body's and SAM-Body4D's people: an .npz, an .npy that holds a pickle, or a folder with one of them a frame.

What is read is the truth of these files: ``mhr_model_params``, ``shape_params`` and ``pred_cam_t``, or where they have no
parameters ``pred_joint_coords``, metres, or else ``pred_vertices``. ``pred_global_rots`` moves nobody: the refinement of
the hands leaves it behind, up to 28 of 127 joints by up to 130° (facebookresearch/sam-3d-body, issue 139). It is handed
on so that somebody can say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.take import Camera
from ..recording import Floats, Recording
from .arrays import is_npz_with, is_pickled, is_zip, open_npz
from .continuity import follow_people
from .frame_times import MAX_FRAMES
from .options import MotionFileOptions
from .rates import even_times
from .sam3d_actor import actor_of_rows
from .sam3d_rows import (
    EXPRESSION,
    FOCAL,
    JOINTS,
    MODEL,
    PLACE,
    ROTATIONS,
    SHAPE,
    THERE,
    TRACK,
    TRUTHS,
    VERTICES,
    Rows,
    numbered_files,
    read_rows,
)

_DEFAULT_RATE = Fraction(30)
_STRIDE_FRAMES = 10  # as many frames with a common distance are every n-th frame, not a clip full of holes
_ARM_M = 0.3  # a turn by a radian moves what hangs on a joint by about this much
_SOME_VERTICES = 50  # one in so many tells how somebody stands
_FOCAL_JUMP = 1.01
_CROWD = 30  # more people than this are not in one picture


def is_mine(path: Path) -> bool:
    """Say whether ``path`` is SAM 3D Body's: an .npz with its keys, a pickle, or a folder with some of them by number.

    Raises `ReadError` for an .npz that can't be opened, since that is nobody else's either.
    """
    if path.is_dir():
        ours = [file for _, file in numbered_files(path) if is_pickled(file) or any(is_npz_with(file, key) for key in TRUTHS)]
        return bool(ours) and not any(_is_a_clip(file) for file in ours)
    if path.suffix.lower() == ".npz" or is_zip(path):
        return not open_npz(path).keys().isdisjoint(TRUTHS)
    return is_pickled(path)


def _is_a_clip(file: Path) -> bool:
    """Tell whether a file holds a clip of its own: more rows than there are people in a picture. A folder of clips is no clip."""
    if not is_zip(file):
        return False
    arrays = open_npz(file)
    return PLACE in arrays and arrays[PLACE].ndim > 1 and len(arrays[PLACE]) > _CROWD


def read(path: Path, options: MotionFileOptions) -> Recording:
    """Return the people of a file or folder in true time, NaN where they are absent.

    Raises `ReadError` that names file and field where something is missing, cut, of another shape, or pickled without
    ``options.trust``; nothing is unpickled without it.
    """
    rows = read_rows(path, options)
    step, first, frames = _numbering(rows, options)
    fps, untold = _rate(rows, options)
    seen, lost = _seen(rows)
    seen &= (rows.frame - first) // step < frames
    if not seen.any():
        raise ReadError(f"{path}: {PLACE}: found nobody in any frame, expected one or more people")
    at, columns = (rows.frame[seen] - first) // step, _of(rows.columns, seen)
    times_s = even_times(frames, fps / step)
    person, known_by, doubts = _people(rows, at, times_s, columns)
    actors = [actor_of_rows(number, at[person == number], _of(columns, person == number), frames, rows.faces)
              for number in np.unique(person).tolist()]
    camera, jumps = _camera(rows, columns)
    details = {"truth": next(key for key in TRUTHS if key in columns), "people_by": known_by, "first_frame": first, "frame_step": step}
    return Recording(times_s, fps / step, actors, camera, (*untold, *_remarks(rows, options), *lost, *doubts, *jumps), details)


def _numbering(rows: Rows, options: MotionFileOptions) -> tuple[int, int, int]:
    """Return the step between frame numbers, the first number, and the count of steps up to the last, with both ends."""
    first, last = int(rows.frames[0]), int(rows.frames[-1])
    if last - first >= MAX_FRAMES:
        raise ReadError(f"{rows.where}: frame numbers: found {first} to {last}, expected fewer than {MAX_FRAMES} frames")
    step = int(np.gcd.reduce(np.diff(rows.frames))) if len(rows.frames) >= _STRIDE_FRAMES else 1
    frames = (last - first) // step + 1
    return step, first, min(frames, options.frame_limit or frames)


def _rate(rows: Rows, options: MotionFileOptions) -> tuple[Fraction, tuple[str, ...]]:
    if options.rate is not None:
        return options.rate, ()
    if "rate" in rows.facts:
        return rows.facts["rate"][1], ()
    return _DEFAULT_RATE, (f"{rows.where}: fps: found none, took {_DEFAULT_RATE} frames a second; --source-fps says another",)


def _remarks(rows: Rows, options: MotionFileOptions) -> list[str]:
    """Return what to say of things that are there and not used, or were asked for and aren't there."""
    said = [f"{reason}; left it out" for reason in rows.left_out.values()]
    if MODEL not in rows.columns and ROTATIONS in rows.keys:
        said.append(f"{rows.where}: {ROTATIONS}: found it without {MODEL}, left it out; it is stale where hands were refined")
    if SHAPE not in rows.columns:
        said.append(f"{rows.where}: {SHAPE}: found none, took the average body")
    if options.keep_vertices and VERTICES not in rows.columns:
        said.append(f"{rows.where}: {VERTICES}: found none to keep")
    return said


def _seen(rows: Rows) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Return which rows (N,) are of somebody who was there. A place of zero, inside the lens, only pads a table."""
    there = (rows.columns[PLACE] != 0).any(axis=1)
    if THERE in rows.columns:
        there &= rows.columns[THERE] != 0  # NaN isn't: that frame doesn't say
    needed = [key for key in (*TRUTHS, SHAPE, EXPRESSION, PLACE) if key in rows.columns]
    nan = {key: there & ~np.isfinite(rows.columns[key]).reshape(len(there), -1).all(axis=1) for key in needed}
    lost = np.any(list(nan.values()), axis=0)
    if not lost.any():
        return there, ()
    said = f"found NaN for {int(lost.sum())} of {len(there)} people in frames, took them for absent"
    return there & ~lost, (f"{rows.where}: {', '.join(key for key in needed if nan[key].any())}: {said}",)


def _of(columns: Mapping[str, NDArray[Any]], rows: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    return {key: column[rows] for key, column in columns.items()}


def _people(
    rows: Rows, at: NDArray[np.int64], times_s: Floats, columns: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[np.int64], str, tuple[str, ...]]:
    """Return each sighting's person (N,): by the file's track ids where they can be believed, else by continuity; and which."""
    doubt = _doubt(at, columns[TRACK]) if TRACK in columns else ""
    if TRACK in columns and not doubt:
        return _once(rows, at, columns[TRACK]), "track ids", ()
    if rows.one_person:
        return np.zeros(len(at), np.int64), "the only person", ()
    person = follow_people(times_s[at], columns[PLACE], _poses_m(columns))
    return person, "continuity", (f"{rows.where}: {TRACK}: {doubt}, told people apart by where they are",) if doubt else ()


def _doubt(at: NDArray[np.int64], track: Floats) -> str:
    """Return what speaks against the ids (N,) of people in frames ``at`` (N,); nothing if nothing does."""
    unknown = int((~(track >= 0)).sum())  # NaN too
    if unknown:
        return f"found none for {unknown} of {len(track)} people in frames"
    return "found places in a list, which tell nobody apart" if _are_places(at, track) else ""


def _are_places(at: NDArray[np.int64], track: Floats) -> bool:
    """Say whether ids are places in each frame's list: 0, 1, 2… or 1, 2… in order, however many people there are."""
    order = np.argsort(at, kind="stable")
    starts, counts = np.unique(at[order], return_index=True, return_counts=True)[1:]
    place = np.arange(len(at)) - np.repeat(starts, counts)
    return len(set(counts.tolist())) > 1 and any(np.array_equal(track[order], place + base) for base in (0, 1))


def _once(rows: Rows, at: NDArray[np.int64], track: Floats) -> NDArray[np.int64]:
    """Return ids as whole numbers. Raises `ReadError` where one is none, or is twice in a frame."""
    if (track % 1 != 0).any() or (track >= 2**53).any():
        raise ReadError(f"{rows.where}: {TRACK}: found {track[track % 1 != 0][:3].tolist()}, expected whole numbers")
    person = track.astype(np.int64)
    pairs, counts = np.unique(np.stack([at, person], axis=1), axis=0, return_counts=True)
    if (counts > 1).any():
        frame, twice = pairs[counts > 1][0].tolist()
        raise ReadError(f"{rows.where}: {TRACK}: found {twice} twice in frame {frame}, expected each person once a frame")
    return person


def _poses_m(columns: Mapping[str, NDArray[Any]]) -> Floats:
    """Return points (N,K,C) that tell how people stand: joints, some vertices, or each angle as a point on a circle."""
    if MODEL in columns:
        angles = columns[MODEL][:, 3:136]  # the global turn and the pose; lengths follow
        return _ARM_M * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return np.asarray(columns[JOINTS] if JOINTS in columns else columns[VERTICES][:, ::_SOME_VERTICES], np.float64)


def _camera(rows: Rows, columns: Mapping[str, NDArray[Any]]) -> tuple[Camera | None, tuple[str, ...]]:
    """Return the camera of a file that tells focal length and picture size; it stands at the origin, as places are its own."""
    if FOCAL not in columns:
        return None, ()
    focal = columns[FOCAL][np.isfinite(columns[FOCAL]) & (columns[FOCAL] > 0)]
    if not len(focal):
        return None, ()
    jumps = focal.max() > _FOCAL_JUMP * focal.min()
    warning = f"{rows.where}: {FOCAL}: found {focal.min():.0f} to {focal.max():.0f} pixels, took the median, {np.median(focal):.0f}"
    if not {"width", "height"} <= rows.facts.keys():
        return None, (warning,) if jumps else ()
    width, height = int(rows.facts["width"][1]), int(rows.facts["height"][1])
    K = np.array([[np.median(focal), 0, width / 2], [0, np.median(focal), height / 2], [0, 0, 1.0]])
    return Camera(width, height, K, np.eye(4), "estimator"), (warning,) if jumps else ()
