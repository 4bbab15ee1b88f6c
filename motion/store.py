"""The motion store: a take as one HDF5 file, schema 1, as docs/motion-store.md says in full.

Motion is chunked by time, so that any range of frames is read without the rest; the file is written under a temporary
name and renamed when it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..files import atomic_path
from .disk import write_hdf5
from .origin import Origin
from .rig import Rig, Skeleton
from .take import Camera, Motion, Person, Take

SCHEMA = "rigdrop.take"
SCHEMA_VERSION = 1
_HEADER = {"up_axis", "metres_per_unit", "fps_num", "fps_den", "source_name", "source_sha256", "created_utc", "rigdrop_version"}
_TOP = {"times_s": h5py.Dataset, "camera": h5py.Group, "people": h5py.Group, "provenance": h5py.Dataset}
_NOTHING = "found nothing, expected it as docs/motion-store.md says"

# About a megabyte of joint values a chunk: small enough to read a second of motion, large enough to compress.
_CHUNK_FRAMES = 256
_MESH_CHUNK_FRAMES = 4
# A chunk's checksum is seen before it is inflated: what a disk has damaged is an error, and never numbers or a crash.
_PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
_ALL = slice(None)
_RIG_ARRAYS, _RIG_EXTRAS = ("bind_world", "vertices_m", "faces", "normals", "skin_joints", "skin_weights"), ("uvs", "morph_targets_m")
_ORIGIN_ARRAYS = ("T_world_joint_bind", "vertex_counts", "points", "face_materials")

_Part = TypeVar("_Part")


def write_take(path: Path, take: Take) -> None:
    """Write ``take`` to ``path``; it appears whole or not at all. Raises `WriteError` where the disk refuses."""
    with atomic_path(Path(path)) as temporary:
        write_hdf5(temporary, lambda file: _write_take(file, take))


def read_take(path: Path, frames: slice = _ALL) -> Take:
    """Read a take, or the frames of it that ``frames`` names. Raises `ReadError` with file and field."""
    with open_take(path) as stored:
        return stored.read(frames)


@contextmanager
def open_take(path: Path) -> Iterator[StoredTake]:
    """Open a take for reading piece by piece; nothing but the header is read. Raises `ReadError` with file and field."""
    path = Path(path)
    with _open_file(path) as file:
        _check_header(path, file)
        yield StoredTake(path, file)


@dataclass(frozen=True)
class StoredTake:
    """An open take: what it holds, and any part of it on demand."""

    path: Path
    _file: h5py.File

    @property
    def attributes(self) -> dict[str, Any]:
        """The header: schema, axes, rate, source, version."""
        return {key: value.item() if isinstance(value, np.generic) else value for key, value in self._file.attrs.items()}

    @property
    def frame_count(self) -> int:
        """Number of frames, F, without reading them."""
        return len(self._file["times_s"])

    @property
    def fps(self) -> Fraction:
        """The nominal rate, exact."""
        return Fraction(int(self._file.attrs["fps_num"]), int(self._file.attrs["fps_den"]))

    @property
    def person_ids(self) -> tuple[str, ...]:
        """Ids of the people, in order."""
        return tuple(sorted(self._file["people"], key=lambda person_id: (len(person_id), person_id)))

    @property
    def provenance(self) -> dict[str, Any]:
        """How the take was made."""
        return self._checked("provenance", lambda: dict(json.loads(self._file["provenance"].asstr()[()])))

    def times_s(self, frames: slice = _ALL) -> NDArray[np.float64]:
        """Presentation times of the frames."""
        return self._checked("times_s", lambda: np.asarray(self._file["times_s"][frames]))

    def camera(self, frames: slice = _ALL) -> Camera:
        """The camera, over the frames where it moves."""
        return self._checked("camera", lambda: _read_camera(self._file["camera"], frames))

    def person_summary(self, person_id: str) -> dict[str, Any]:
        """Name, rig and sizes of a person, from headers and masks alone."""
        return self._checked(f"people/{person_id}", lambda: _summarize(person_id, self._person_group(person_id)))

    def person(self, person_id: str, frames: slice = _ALL) -> Person:
        """A person, with the motion of the frames alone."""
        return self._checked(f"people/{person_id}", lambda: _read_person(person_id, self._person_group(person_id), frames))

    def read(self, frames: slice = _ALL) -> Take:
        """The whole take, or the frames of it."""
        header, times_s, camera, provenance = self.attributes, self.times_s(frames), self.camera(frames), self.provenance
        people = [self.person(person_id, frames) for person_id in self.person_ids]
        return self._checked("take", lambda: Take(
            times_s=times_s, fps=self.fps, camera=camera, people=people,
            source_name=str(header["source_name"]), source_sha256=str(header["source_sha256"]), created_utc=str(header["created_utc"]),
            rigdrop_version=str(header["rigdrop_version"]), provenance=provenance,
        ))

    def _person_group(self, person_id: str) -> h5py.Group:
        return _item(self._file["people"], person_id)

    def _checked(self, where: str, read: Callable[[], _Part]) -> _Part:
        # h5py tells of damage by any of these; the values' own checks tell of the rest.
        try:
            return read()
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, ReadError) as error:
            raise ReadError(f"{self.path}: {where}: {_first_line(error)}; convert the source again") from error


def _write_take(file: h5py.File, take: Take) -> None:
    file.attrs.update(_header_attributes(take))
    file.create_dataset("times_s", data=take.times_s)
    _write_camera(file.create_group("camera"), take.camera)
    people = file.create_group("people")
    for person in take.people:
        _write_person(people.create_group(person.id), person)
    file.create_dataset("provenance", data=_json(take.provenance), dtype=h5py.string_dtype())


def _header_attributes(take: Take) -> dict[str, Any]:
    return {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "up_axis": "Y", "metres_per_unit": 1.0,
        "fps_num": take.fps.numerator, "fps_den": take.fps.denominator,
        "source_name": take.source_name, "source_sha256": take.source_sha256,
        "created_utc": take.created_utc, "rigdrop_version": take.rigdrop_version,
    }


def _json(provenance: Mapping[str, Any]) -> str:
    def plain(value: object) -> object:
        return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)

    # A path need not be Unicode; what is left of it as a surrogate becomes an escape, which JSON knows too.
    return json.dumps(provenance, default=plain, ensure_ascii=False).encode("utf-8", errors="backslashreplace").decode()


def _write_array(group: h5py.Group, name: str, array: NDArray[Any], chunk_frames: int | None = None) -> None:
    """Store an array, chunked by time and compressed where it leads with frames."""
    if chunk_frames is None or array.size == 0:
        group.create_dataset(name, data=array)
        return
    chunks = (min(chunk_frames, array.shape[0]), *array.shape[1:])
    group.create_dataset(name, data=array, chunks=chunks, **_PACKED)


def _write_camera(group: h5py.Group, camera: Camera) -> None:
    group.attrs.update({"width": camera.width, "height": camera.height, "model": "pinhole", "focal_source": camera.focal_source})
    group.create_dataset("intrinsics_px", data=camera.intrinsics_px)
    group.create_dataset("world_from_camera", data=camera.world_from_camera)


def _write_person(group: h5py.Group, person: Person) -> None:
    group.attrs.update({"name": person.name, "source_track": person.source_track})
    motion = person.motion
    for name in ("visible", "confidence", "local_quat_xyzw", "local_translation_m", "local_scale", "morph_weights"):
        array = getattr(motion, name)
        if array is not None:
            _write_array(group, name, array, _CHUNK_FRAMES)
    if person.vertices_m is not None:
        _write_array(group, "vertices_m", person.vertices_m, _MESH_CHUNK_FRAMES)
    _write_rig(group.create_group("rig"), person.rig)
    for folder, arrays in (("raw", person.raw), ("params", person.params)):
        target = group.create_group(folder)
        for name, array in arrays.items():
            values = np.asarray(array)
            _write_array(target, name, values, _CHUNK_FRAMES if values.ndim > 1 else None)


def _write_rig(group: h5py.Group, rig: Rig) -> None:
    group.attrs["name"] = rig.name
    group.create_dataset("joint_names", data=list(rig.joint_names), dtype=h5py.string_dtype())
    for name in ("joint_parents", "rest_local"):
        group.create_dataset(name, data=getattr(rig.skeleton, name))
    for name in (*_RIG_ARRAYS, *_RIG_EXTRAS):
        array = getattr(rig, name)
        if array is not None:
            group.create_dataset(name, data=array, **_PACKED)
    semantic = group.create_group("semantic")
    semantic.attrs.update({name: int(index) for name, index in rig.skeleton.semantic.items()})
    if rig.origin is not None:
        _write_origin(group.create_group("origin"), rig.origin)


def _write_origin(group: h5py.Group, origin: Origin) -> None:
    group.attrs.update({"format": origin.format, "file_name": origin.file_name, "sha256": origin.sha256, "skeleton": origin.skeleton})
    others = (f"{person_id}/rig/origin" for person_id in group.file["people"])
    same = [group.file["people"][other] for other in others if other in group.file["people"]]
    shared = next((other["content"] for other in same if "content" in other and other.attrs["sha256"] == origin.sha256), None)
    if shared is not None:  # the same character for somebody else: HDF5 gives one array two names
        group["content"] = shared
    else:
        group.create_dataset("content", data=np.frombuffer(origin.content, np.uint8), **_PACKED)
    for name in ("joints", "meshes", "materials"):
        group.create_dataset(name, data=list(getattr(origin, name)), dtype=h5py.string_dtype())
    for name in _ORIGIN_ARRAYS:
        group.create_dataset(name, data=getattr(origin, name), **_PACKED)


def _open_file(path: Path) -> h5py.File:
    if not path.exists():
        raise ReadError(f"{path}: found no such file, expected a take (take.h5)")
    try:
        # A reader must not fail on shares that don't offer locks, and never holds a writer up: writers rename.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        found = f"found a file that HDF5 can't open ({_first_line(error)})"
        raise ReadError(f"{path}: {found}, expected a whole take (take.h5); convert the source again") from error


def _check_header(path: Path, file: h5py.File) -> None:
    schema = file.attrs.get("schema")
    if not isinstance(schema, str) or schema != SCHEMA:
        raise ReadError(f"{path}: schema: found {schema!r}, expected {SCHEMA!r}; this HDF5 file is not a Rigdrop take")
    version = file.attrs.get("schema_version")
    if not isinstance(version, int | np.integer) or not 1 <= version <= SCHEMA_VERSION:
        raise ReadError(f"{path}: schema_version: found {version!r}, expected {SCHEMA_VERSION} or less; update Rigdrop to read it")
    missing = _HEADER - set(file.attrs)
    missing |= {name for name, kind in _TOP.items() if not isinstance(file.get(name), kind)}
    if missing:
        raise ReadError(f"{path}: {sorted(missing)[0]}: {_NOTHING}; convert the source again")
    for name, expected in (("up_axis", "Y"), ("metres_per_unit", 1.0)):
        if not np.array_equal(file.attrs[name], expected):
            raise ReadError(f"{path}: {name}: found {file.attrs[name]!r}, expected {expected!r}, which schema 1 always has")
    for name in ("fps_num", "fps_den"):
        if not isinstance(file.attrs[name], int | np.integer) or file.attrs[name] < 1:
            raise ReadError(f"{path}: {name}: found {file.attrs[name]!r}, expected a whole number above 0; convert the source again")


def _item(group: h5py.Group, name: str) -> Any:
    if name not in group:
        raise ReadError(f"{name}: {_NOTHING}")
    return group[name]


def _attribute(group: h5py.Group, name: str) -> Any:
    if name not in group.attrs:
        raise ReadError(f"attribute {name}: {_NOTHING}")
    return group.attrs[name]


def _summarize(person_id: str, group: h5py.Group) -> dict[str, Any]:
    rig = _item(group, "rig")
    return {
        "id": person_id,
        "name": str(_attribute(group, "name")),
        "source_track": int(_attribute(group, "source_track")),
        "rig": str(_attribute(rig, "name")),
        "joints": len(_item(rig, "joint_parents")),
        "vertices": len(_item(rig, "vertices_m")),
        "faces": len(_item(rig, "faces")),
        "visible_frames": int(np.count_nonzero(_item(group, "visible")[()])),
    }


def _read_camera(group: h5py.Group, frames: slice) -> Camera:
    def moving(name: str, still_dimensions: int) -> NDArray[np.float64]:
        dataset = _item(group, name)
        return np.asarray(dataset[frames] if dataset.ndim > still_dimensions else dataset[()])

    return Camera(
        width=int(_attribute(group, "width")), height=int(_attribute(group, "height")), intrinsics_px=moving("intrinsics_px", 2),
        world_from_camera=moving("world_from_camera", 2), focal_source=str(group.attrs.get("focal_source", "default")),
    )


def _read_person(person_id: str, group: h5py.Group, frames: slice) -> Person:
    motion = Motion(
        local_quat_xyzw=_item(group, "local_quat_xyzw")[frames], local_translation_m=_item(group, "local_translation_m")[frames],
        visible=_item(group, "visible")[frames], confidence=_item(group, "confidence")[frames],
        **{name: group[name][frames] for name in ("local_scale", "morph_weights") if name in group},
    )
    frame_count = len(group["local_quat_xyzw"])
    return Person(
        id=person_id, name=str(_attribute(group, "name")), source_track=int(_attribute(group, "source_track")),
        rig=_read_rig(_item(group, "rig")), motion=motion,
        vertices_m=group["vertices_m"][frames] if "vertices_m" in group else None,
        raw=_read_arrays(group, "raw", frame_count, frames), params=_read_arrays(group, "params", frame_count, frames),
    )


def _read_arrays(group: h5py.Group, folder: str, frame_count: int, frames: slice) -> Mapping[str, NDArray[Any]]:
    """Read the arrays of a sub-group; those that lead with the take's frames are cut to ``frames``.

    A row of parameters is never one: 45 shape parameters stay whole in a take of 45 frames.
    """
    if folder not in group:
        return {}
    least = 1 if folder == "raw" else 2
    per_frame = {name: dataset.ndim >= least and len(dataset) == frame_count for name, dataset in group[folder].items()}
    return {name: np.asarray(group[folder][name][frames if cut else ()]) for name, cut in per_frame.items()}


def _read_rig(group: h5py.Group) -> Rig:
    semantic = {name: int(index) for name, index in _item(group, "semantic").attrs.items()}
    names = tuple(str(name) for name in _item(group, "joint_names").asstr()[()])
    skeleton = Skeleton(names, _item(group, "joint_parents")[()], _item(group, "rest_local")[()], semantic)
    arrays = {name: _item(group, name)[()] for name in _RIG_ARRAYS} | {name: group[name][()] for name in _RIG_EXTRAS if name in group}
    origin = _read_origin(group["origin"]) if "origin" in group else None
    return Rig(name=str(_attribute(group, "name")), skeleton=skeleton, origin=origin, **arrays)


def _read_origin(group: h5py.Group) -> Origin:
    parts: dict[str, Any] = {name: str(_attribute(group, name)) for name in ("format", "file_name", "sha256", "skeleton")}
    parts |= {name: tuple(str(each) for each in _item(group, name).asstr()[()]) for name in ("joints", "meshes", "materials")}
    parts |= {name: _item(group, name)[()] for name in _ORIGIN_ARRAYS}
    return Origin(content=_item(group, "content")[()].tobytes(), **parts)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

