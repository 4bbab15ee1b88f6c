"""Files of SAM 3D Body taken apart: every person in every frame as a row, whatever way the file lays them out.

A file's arrays are of one person in one frame, or lead with frames (F,…), or with frames and people (F,P,…); with a key
such as ``frame_indices`` their rows are of these frames. A pickle holds such a dict, a dict by frame number, or a list by
frame, whose items are dicts or lists of dicts, one a person; a file of a folder is one such item, and its frame is the
last number in its name. Empty files and items are frames in which nobody was found.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ..recording import MHR_EXPRESSIONS, MHR_JOINTS, MHR_PARAMETERS, MHR_SHAPES
from .arrays import is_zip, open_npz, read_npy
from .options import MotionFileOptions
from .rates import exact_rate

Shape = tuple[int | None, ...]

MODEL, JOINTS, VERTICES, SHAPE, PLACE = "mhr_model_params", "pred_joint_coords", "pred_vertices", "shape_params", "pred_cam_t"
EXPRESSION, FOCAL, TRACK, THERE, FRAME = "expr_params", "focal_length", "track_id", "visible", "frame_indices"
ROTATIONS, FACES = "pred_global_rots", "faces"
TRUTHS = (MODEL, JOINTS, VERTICES)  # the first that is there counts
RAW: dict[str, Shape] = {  # kept as they are, where they are of this shape
    "bbox": (4,), "lhand_bbox": (4,), "rhand_bbox": (4,), "pred_keypoints_2d": (70, 2), "pred_keypoints_3d": (70, 3),
}
_ASIDE: dict[str, Shape] = RAW | {ROTATIONS: (MHR_JOINTS, 3, 3)}  # a fault in these costs no motion
_SHAPES: dict[str, Shape] = _ASIDE | {
    MODEL: (MHR_PARAMETERS,), JOINTS: (MHR_JOINTS, 3), VERTICES: (None, 3), SHAPE: (MHR_SHAPES,), PLACE: (3,),
    EXPRESSION: (MHR_EXPRESSIONS,), FOCAL: (), TRACK: (), THERE: (), FRAME: (),
}
_SPELLINGS: dict[str, tuple[str, ...]] = {
    TRACK: ("track_id", "track_ids", "tracking_id", "person_id", "person_ids", "obj_id", "obj_ids", "id", "ids"),
    THERE: ("visible", "valid"),
    FRAME: ("frame_indices", "frame_index", "frame_idx", "frame_ids", "frame_id", "frame_numbers", "frame_number"),
    "rate": ("fps", "frame_rate", "framerate", "video_fps", "meta_fps"),
    "width": ("width", "image_width", "img_width", "img_w", "meta_width"),
    "height": ("height", "image_height", "img_height", "img_h", "meta_height"),
}
_OF_PEOPLE, _OF_FRAMES = (SHAPE, EXPRESSION, TRACK), (FOCAL, THERE, FRAME)  # may be said once for all frames, or for all people


@dataclass
class Rows:
    """Sightings, N of them, each of one person in one frame."""

    where: str
    frame: NDArray[np.int64]  # (N,)
    columns: dict[str, NDArray[Any]]  # (N,…), by upstream's names; NaN where only other frames have something
    frames: NDArray[np.int64]  # every frame that was spoken of, rising, also where nobody was found
    keys: frozenset[str]  # everything that was there, whether it is read or not
    one_person: bool  # the file's form has no place for a second one
    facts: dict[str, tuple[str, Fraction]] = field(default_factory=dict)  # where it is said, and rate, width, height
    left_out: dict[str, str] = field(default_factory=dict)  # what was not taken, and why
    faces: NDArray[np.int32] | None = None  # (T,3), of the meshes of all people


@dataclass
class _Chunk:
    """One dict of the file, with the number of its frame where the dict need not say it; no dict: nobody there."""

    where: str
    frame: int | None
    fields: Mapping[Any, Any] | None


def read_rows(path: Path, options: MotionFileOptions) -> Rows:
    """Return all that is said of people, as it is said. Raises `ReadError` with file and field; unpickles only what is trusted."""
    return _joined(path, [_rows(chunk, options) for chunk in _chunks(path, options)])


def numbered_files(folder: Path) -> list[tuple[int, Path]]:
    """Return the .npz and .npy of a folder with the last number in each one's name, in its order."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".npz", ".npy") and not path.name.startswith(".")]
    return sorted((int(digits[-1]), path) for path in files if (digits := re.findall(r"[0-9]+", path.stem)))


# Files to dicts.


def _chunks(path: Path, options: MotionFileOptions) -> Iterator[_Chunk]:
    if not path.is_dir():
        yield from _dicts(str(path), _content(path, options), None, named=False)
        return
    files = numbered_files(path)
    if not files:
        raise ReadError(f"{path}: found no .npz or .npy with a number in its name, expected one file a frame")
    for (number, file), (following, other) in itertools.pairwise(files):
        if number == following:
            raise ReadError(f"{other}: name: found frame {number}, which {file.name} is too, expected one file a frame")
    for number, file in files:
        if not options.frame_limit or number < files[0][0] + options.frame_limit:
            yield from _dicts(str(file), _content(file, options), number, named=True)


def _content(path: Path, options: MotionFileOptions) -> Any:
    zipped = path.suffix.lower() == ".npz" or is_zip(path)
    return open_npz(path, trust=options.trust) if zipped else read_npy(path, trust=options.trust)


def _dicts(where: str, value: Any, frame: int | None, *, named: bool) -> Iterator[_Chunk]:
    """Yield the dicts of a file's value. A frame that was ``named`` counts for more than what its dicts say."""
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.tolist()
    if _is_nothing(value):
        yield _Chunk(where, frame, None)
    elif isinstance(value, Mapping) and frame is None and all(str(key).isdecimal() for key in value):
        for key in sorted(value, key=int):
            yield from _dicts(f"{where}: frame {key}", value[key], int(key), named=True)
    elif isinstance(value, Mapping):
        yield _Chunk(where, frame if named or _key(FRAME, value) is None else None, value)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            what, number = ("frame", place) if frame is None else ("person", frame)
            yield from _dicts(f"{where}: {what} {place}", item, number, named=named)
    else:
        found = f"an array {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ReadError(f"{where}: found {found}, expected a dict with {MODEL}, or lists of such dicts")


def _is_nothing(value: Any) -> bool:
    """Say whether a value is that of a frame without anybody; an empty list becomes an array when it is saved."""
    return value is None or (value.size == 0 if isinstance(value, np.ndarray) else isinstance(value, Mapping | list | tuple) and not value)


def _key(meaning: str, fields: Mapping[Any, Any]) -> str | None:
    """Return the key under which a dict says something; None counts as not said. An .npz has none, and isn't read for it."""
    said = (key for key in _SPELLINGS.get(meaning, (meaning,)) if key in fields)
    return next((key for key in said if not (isinstance(fields, dict) and fields[key] is None)), None)


# Dicts to rows.


def _rows(chunk: _Chunk, options: MotionFileOptions) -> Rows:
    if chunk.fields is None:
        frames = np.array([] if chunk.frame is None else [chunk.frame], np.int64)
        return Rows(chunk.where, frames[:0], {}, frames, frozenset(), False)
    where, fields = chunk.where, chunk.fields
    truth, lead = _layout(where, fields, one_frame=chunk.frame is not None)
    columns = {truth: _column(where, truth, fields[truth], truth, lead)}
    for meaning in (SHAPE, EXPRESSION, PLACE, FOCAL, TRACK, THERE, *([VERTICES] if options.keep_vertices else [])):
        key = _key(meaning, fields)
        if key is not None and meaning != truth:
            columns[meaning] = _column(where, key, fields[key], meaning, lead)
        elif meaning == PLACE or (meaning == SHAPE and truth == MODEL):
            raise _missing(where, meaning, fields, f"expected it beside {truth}")
    raw, left_out = _raw(where, fields, lead, [*RAW, *([ROTATIONS] if truth == MODEL else [])])
    faces = _faces(where, fields) if VERTICES in columns and _key(FACES, fields) else None
    frame, frames = _frames(chunk.where, fields, chunk.frame, lead)
    one_person = len(lead) < 2 and len(frame) == len(frames)
    return Rows(where, frame, columns | raw, frames, frozenset(map(str, fields)), one_person, _facts(where, fields), left_out, faces)


def _missing(where: str, key: str, fields: Mapping[Any, Any], expected: str) -> ReadError:
    return ReadError(f"{where}: {key}: found no such field among {', '.join(map(str, fields)):.200}, {expected}")


def _layout(where: str, fields: Mapping[Any, Any], *, one_frame: bool) -> tuple[str, tuple[int, ...]]:
    """Return the best truth that a dict has, and what leads its arrays: nothing, frames or people, or both."""
    truth = next((key for key in TRUTHS if _key(key, fields)), None)
    if truth is None:
        raise _missing(where, MODEL, fields, f"expected it, or {JOINTS}, or {VERTICES}")
    shape, own = _numbers(where, truth, fields[truth]).shape, _SHAPES[truth]
    lead = shape[: max(len(shape) - len(own), 0)]
    if not _fits(shape, (*lead, *own)) or len(lead) > 2 or (one_frame and len(lead) == 2 and lead[0] != 1):
        leads = "(people,) or nothing" if one_frame else "(frames,), (frames, people) or nothing"
        raise ReadError(f"{where}: {truth}: found {shape}, expected {_said(own)} after {leads}")
    return truth, lead


def _column(where: str, key: str, value: Any, meaning: str, lead: tuple[int, ...]) -> NDArray[Any]:
    """Return a field's rows (N,…), N the product of ``lead``; what is said once for all frames or people is spread out."""
    own = _SHAPES[meaning]
    array = _numbers(where, key, value)
    kept = meaning in _ASIDE and array.dtype.kind == "f"
    array = array.astype(array.dtype if kept else np.float32 if meaning == VERTICES else np.float64, copy=False)
    if not _fits(array.shape, (*lead, *own)) and meaning in _OF_PEOPLE + _OF_FRAMES:
        array = _spread_out(array, lead, len(own), people_first=meaning in _OF_PEOPLE)
    if not _fits(array.shape, (*lead, *own)):
        raise ReadError(f"{where}: {key}: found {array.shape}, expected {_said((*lead, *own))}")
    return array.reshape(math.prod(lead), *array.shape[len(lead) :])


def _spread_out(array: NDArray[Any], lead: tuple[int, ...], own: int, *, people_first: bool) -> NDArray[Any]:
    """Return what is said once for all of ``lead``, or once a person, or once a frame, for each; or the array as it is."""
    told, rest = array.shape[: max(array.ndim - own, 0)], array.shape[max(array.ndim - own, 0) :]
    if math.prod(told) == 1:
        return np.broadcast_to(array.reshape(rest), (*lead, *rest))
    if len(lead) == 2:
        of_people, of_frames = (lead[1:], (1, lead[1])), (lead[:1], (lead[0], 1))
        for expected, spread in (of_people, of_frames) if people_first else (of_frames, of_people):
            if told == expected:
                return np.broadcast_to(array.reshape(*spread, *rest), (*lead, *rest))
    return array


def _numbers(where: str, key: str, value: Any) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(value)
        array = array.astype(np.float64) if array.dtype.hasobject else array
    except Exception as error:  # what a trusted pickle holds may be of any class, and that class raise anything
        raise ReadError(f"{where}: {key}: found no array ({error}), expected numbers") from error
    if array.dtype.kind not in "biuf":
        raise ReadError(f"{where}: {key}: found values of type {array.dtype}, expected numbers")
    return array


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(want in (None, found) for found, want in zip(shape, expected))


def _said(shape: Shape) -> str:
    return f"({', '.join('any' if length is None else str(length) for length in shape)}{',' if len(shape) == 1 else ''})"


def _raw(
    where: str, fields: Mapping[Any, Any], lead: tuple[int, ...], keys: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return what is kept beside the truth; a fault in it costs no motion, so it is left out and said."""
    kept: dict[str, NDArray[Any]] = {}
    left_out: dict[str, str] = {}
    for key in (key for key in keys if _key(key, fields)):
        try:
            kept[key] = _column(where, key, fields[key], key, lead)
        except ReadError as error:
            left_out[key] = str(error)
    return kept, left_out


def _faces(where: str, fields: Mapping[Any, Any]) -> NDArray[np.int32]:
    """Return the triangles (T,3) of a dict's meshes. Raises `ReadError` where they are none."""
    faces = _numbers(where, FACES, fields[FACES])
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu" or not len(faces):
        raise ReadError(f"{where}: {FACES}: found {faces.dtype} {faces.shape}, expected whole numbers (any, 3)")
    count = _numbers(where, VERTICES, fields[VERTICES]).shape[-2]
    if faces.min() < 0 or faces.max() >= count:
        raise ReadError(f"{where}: {FACES}: found {faces.min()} to {faces.max()}, expected 0 to {count - 1}, as there are vertices")
    return faces.astype(np.int32)


def _frames(
    where: str, fields: Mapping[Any, Any], frame: int | None, lead: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the frame (N,) of each row, and all frames that are spoken of."""
    key = _key(FRAME, fields) if frame is None else None
    if key is not None:
        numbers = _column(where, key, fields[key], FRAME, lead)
        if not (np.abs(numbers) < 2**53).all() or (numbers % 1 != 0).any():
            raise ReadError(f"{where}: {key}: found {numbers.tolist()!r:.60}, expected whole numbers")
        return numbers.astype(np.int64), np.unique(numbers).astype(np.int64)
    count = lead[0] if lead and frame is None else 1
    frames = np.arange(count) + (frame or 0)
    return np.repeat(frames, math.prod(lead) // max(count, 1)), frames


def _facts(where: str, fields: Mapping[Any, Any]) -> dict[str, tuple[str, Fraction]]:
    said = {meaning: (f"{where}: {key}", fields[key]) for meaning in ("rate", "width", "height") if (key := _key(meaning, fields))}
    return {meaning: (place, exact_rate(place, value) if meaning == "rate" else _length(place, value))
            for meaning, (place, value) in said.items()}


def _length(where: str, value: Any) -> Fraction:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iuf" or not 1 <= array.ravel()[0] < 2**31:
        raise ReadError(f"{where}: found {array.tolist()!r:.60}, expected one length in pixels")
    return Fraction(int(array.ravel()[0]))


# Rows of all dicts.


def _joined(path: Path, parts: Sequence[Rows]) -> Rows:
    """Return all rows as one. Raises `ReadError` where frames differ in what they hold of the truth, or in shape."""
    seen = [part for part in parts if len(part.frame)]
    if not seen:
        raise ReadError(f"{path}: {MODEL}: found nobody in any frame, expected one or more people")
    shapes = _shapes(seen)
    columns = {key: np.concatenate([_or_nan(part, key, shape, kind) for part in seen]) for key, (shape, kind) in shapes.items()}
    return Rows(
        str(path), np.concatenate([part.frame for part in seen]), columns, np.unique(np.concatenate([part.frames for part in parts])),
        frozenset().union(*(part.keys for part in seen)), len(parts) == 1 and seen[0].one_person, _common(seen),
        {key: reason for part in reversed(seen) for key, reason in part.left_out.items()}, _common_faces(seen),
    )


def _shapes(parts: Sequence[Rows]) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return what every column's values look like, and their type; they, and the truths that are there, must be alike."""
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {}
    for part in parts:
        for key, column in part.columns.items():
            expected, _ = shapes.setdefault(key, (column.shape[1:], column.dtype))
            if column.shape[1:] != expected:
                raise ReadError(f"{part.where}: {key}: found {column.shape[1:]} a person, expected {expected} as in {parts[0].where}")
    for key in (*TRUTHS, SHAPE, EXPRESSION):
        lacks = next((part for part in parts if key not in part.columns), None)
        if key in shapes and lacks:
            raise ReadError(f"{lacks.where}: {key}: found no such field, expected it as in other frames")
    return shapes


def _or_nan(part: Rows, key: str, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    return part.columns[key] if key in part.columns else np.full((len(part.frame), *shape), np.nan, kind)


def _common_faces(parts: Sequence[Rows]) -> NDArray[np.int32] | None:
    """Return the triangles that the parts have in common; one that has them tells of all, since their meshes are alike."""
    told = [(part.where, part.faces) for part in parts if part.faces is not None]
    for where, faces in told[1:]:
        if not np.array_equal(faces, told[0][1]):
            raise ReadError(f"{where}: {FACES}: found others than in {told[0][0]}, expected the same")
    return told[0][1] if told else None


def _common(parts: Sequence[Rows]) -> dict[str, tuple[str, Fraction]]:
    """Return the rate and the picture's size; every frame that tells them must tell the same."""
    facts: dict[str, tuple[str, Fraction]] = {}
    for part in parts:
        for meaning, fact in part.facts.items():
            where, value = facts.setdefault(meaning, fact)
            if value != fact[1]:
                raise ReadError(f"{fact[0]}: found {float(fact[1]):g}, expected {float(value):g} as in {where}")
    return facts
