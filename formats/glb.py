"""A binary glTF file, built piece by piece and streamed: the JSON first, then every array straight from where it lies.

Sections named here are those of the glTF 2.0 specification. Nothing is joined in memory, so the file may be far larger
than what this process holds.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from .. import __version__
from ..errors import WriteError
from ..files import atomic_path

Arrays = Callable[[], Iterable[NDArray[Any]]]

COMPONENT_TYPES = {"u1": pygltflib.UNSIGNED_BYTE, "u2": pygltflib.UNSIGNED_SHORT, "u4": pygltflib.UNSIGNED_INT, "f4": pygltflib.FLOAT}
TYPES = {(): pygltflib.SCALAR, (2,): pygltflib.VEC2, (3,): pygltflib.VEC3, (4,): pygltflib.VEC4, (4, 4): pygltflib.MAT4}
MAX_BYTES = 2**32 - 1  # every length in the container is an unsigned 32-bit number

# As long as any float32 can get in JSON, so that a header with it in place is never shorter than the final one.
_UNKNOWN = -1.2345678901234567e-300


@dataclass
class GlbFile:
    """The file's JSON as pygltflib's dataclasses, and the arrays that follow it, in order."""

    gltf: Any  # pygltflib.GLTF2, or somebody's own document with as many of its parts as there are
    _blocks: list[tuple[int, Arrays]] = field(default_factory=list)
    _size: int = 0

    @classmethod
    def new(cls, extras: dict[str, Any]) -> GlbFile:
        """Start a file with one empty scene; ``extras`` goes on the asset and, so that Blender shows it, on the scene."""
        asset = pygltflib.Asset(version="2.0", generator=f"Rigdrop {__version__}", extras=extras)
        return cls(pygltflib.GLTF2(asset=asset, scene=0, scenes=[pygltflib.Scene(nodes=[], extras=dict(extras))]))

    @classmethod
    def of_document(cls, document: dict[str, Any], binary: NDArray[np.uint8]) -> GlbFile:
        """Start from a file that is there already: its JSON is kept as it is, its binary chunk comes first, new parts follow."""
        lists = {kind: list(document.get(kind, [])) for kind in ("accessors", "animations", "bufferViews", "buffers", "cameras", "nodes")}
        file = cls(SimpleNamespace(**{**document, **lists}))
        file._blocks.append((len(binary), lambda: [binary]))
        file._size = len(binary) + _padding(len(binary))
        return file

    def show(self, node: int) -> None:
        """Add a node to the scene that is shown first."""
        scene = self.gltf.scenes[self.gltf.scene if getattr(self.gltf, "scene", None) is not None else 0]
        nodes = scene.setdefault("nodes", []) if isinstance(scene, dict) else scene.nodes
        nodes.append(node)

    def add_view(self, byte_length: int, arrays: Arrays, target: int | None = None, stride: int | None = None) -> int:
        """Append a buffer view of ``byte_length`` bytes that ``arrays()`` will yield when the file is saved; return its index."""
        view = pygltflib.BufferView(buffer=0, byteOffset=self._size, byteLength=byte_length, target=target, byteStride=stride)
        self.gltf.bufferViews.append(view)
        self._blocks.append((byte_length, arrays))
        self._size += byte_length + _padding(byte_length)
        return len(self.gltf.bufferViews) - 1

    def add_accessor(
        self, view: int, kind: str, count: int, shape: tuple[int, ...] = (), byte_offset: int = 0, bounded: bool = False,
    ) -> int:
        """Append an accessor of ``count`` elements into ``view``; ``kind`` is u1, u2, u4 or f4.

        A ``bounded`` one gets its ``min`` and ``max`` with `set_bounds`, at the latest while its view is streamed.
        """
        unknown = [_UNKNOWN] * int(np.prod(shape)) if bounded else None
        accessor = pygltflib.Accessor(
            bufferView=view, byteOffset=byte_offset, componentType=COMPONENT_TYPES[kind], count=count, type=TYPES[shape],
            min=unknown, max=unknown,
        )
        self.gltf.accessors.append(accessor)
        return len(self.gltf.accessors) - 1

    def set_bounds(self, accessor: int, values: NDArray[Any]) -> None:
        """Write the smallest and largest values (count,…) of an accessor into the JSON."""
        flat = values.reshape(len(values), -1)
        self.gltf.accessors[accessor].min = flat.min(axis=0).tolist()
        self.gltf.accessors[accessor].max = flat.max(axis=0).tolist()

    def add_array(self, array: NDArray[Any], target: int | None = None, bounded: bool = False) -> int:
        """Append one array (count,…) as a view with an accessor of its own; return the accessor's index."""
        array = np.ascontiguousarray(array)
        view = self.add_view(array.nbytes, lambda: [array], target)
        accessor = self.add_accessor(view, array.dtype.str[1:], len(array), array.shape[1:], bounded=bounded)
        if bounded:
            self.set_bounds(accessor, array)
        return accessor

    def add_node(self, **fields: Any) -> int:
        """Append a node and return its index."""
        self.gltf.nodes.append(pygltflib.Node(**fields))
        return len(self.gltf.nodes) - 1

    def save(self, path: Path) -> None:
        """Write the file; it appears whole or not at all. Raises `WriteError`, also where glTF's 4 GiB are not enough."""
        if self.gltf.buffers:
            self.gltf.buffers = [{**self.gltf.buffers[0], "byteLength": self._size}, *self.gltf.buffers[1:]]
        else:
            self.gltf.buffers = [pygltflib.Buffer(byteLength=self._size)]
        json_size = len(self._json())
        json_size += _padding(json_size)
        total = 12 + 8 + json_size + 8 + self._size
        if total > MAX_BYTES:
            size = f"{total / 2**30:.1f} GiB"
            raise WriteError(f"{path}: would hold {size}, a GLB holds at most 4 GiB; write fewer frames, or a UsdSkel stage")
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            stream.write(struct.pack("<4sIIII", b"glTF", 2, total, json_size, 0x4E4F534A))
            stream.seek(json_size, 1)
            stream.write(struct.pack("<II", self._size, 0x004E4942))
            for byte_length, arrays in self._blocks:
                _stream(stream, byte_length, arrays())
            # Bounds are known only now; spaces after the JSON are what the format itself uses to pad (section 4.4.3.2).
            stream.seek(20)
            stream.write(self._json().ljust(json_size, b" "))

    def _json(self) -> bytes:
        return json.dumps(_compact(self.gltf), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def _stream(stream: Any, byte_length: int, arrays: Iterable[NDArray[Any]]) -> None:
    written = 0
    for array in arrays:
        written += stream.write(np.ascontiguousarray(array).view(np.uint8).data)
    if written != byte_length:
        raise RuntimeError(f"a buffer view of {byte_length} bytes was given {written}")
    stream.write(b"\0" * _padding(byte_length))


def _padding(byte_length: int) -> int:
    return -byte_length % 4


def _compact(value: Any) -> Any:
    """Turn pygltflib's objects into what JSON holds, leaving out what is empty or None."""
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_compact(item) for item in value]
    return dict(_filled(value)) if hasattr(value, "__dict__") else value


def _filled(value: Any) -> Iterator[tuple[str, Any]]:
    for name, item in vars(value).items():
        if item is not None and not (isinstance(item, (list, dict)) and not item):
            yield name, _compact(item)
