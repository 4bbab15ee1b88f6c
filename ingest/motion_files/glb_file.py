"""A GLB's JSON and numbers, as they are stored (glTF 2.0, sections 3.6 and 4.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from ...errors import ReadError

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": (), "VEC2": (2,), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}
# Extensions without which a file can't be understood, and that change nothing of nodes, skins and key frames.
_HARMLESS = (
    "KHR_materials_", "KHR_texture_", "EXT_texture_", "KHR_mesh_quantization", "KHR_draco_mesh_compression", "VRM", "KHR_lights_punctual",
)


@dataclass(frozen=True, eq=False)
class GlbContent:
    """A GLB's JSON as pygltflib's dataclasses, and its binary chunk."""

    path: Path
    gltf: Any
    binary: NDArray[np.uint8]

    def accessor(self, index: int, where: str) -> NDArray[Any]:
        """Return an accessor's elements (count,…); normalised integers as float64 from -1 or 0 to 1.

        Raises `ReadError` that says ``where`` it is used, for one that is not there or leaves the binary chunk, and for NaN.
        """
        try:
            elements = self._elements(self.gltf.accessors[index])
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ReadError(f"{self.path}: {where}: accessors[{index}]: found {error}, expected elements in the binary chunk") from error
        if elements.dtype.kind == "f" and not np.isfinite(elements).all():
            raise ReadError(f"{self.path}: {where}: accessors[{index}]: found NaN or infinity, expected finite numbers")
        return elements

    def _elements(self, accessor: Any) -> NDArray[Any]:
        kind, width = np.dtype(_KINDS[accessor.componentType]), _WIDTHS[accessor.type]
        if accessor.bufferView is None:
            elements = np.zeros((accessor.count, *width), kind)
        else:
            elements = self._view(accessor.bufferView, accessor.byteOffset or 0, kind, width, accessor.count)
        if accessor.sparse is not None:
            places, values = accessor.sparse.indices, accessor.sparse.values
            rows = self._view(places.bufferView, places.byteOffset or 0, np.dtype(_KINDS[places.componentType]), (), accessor.sparse.count)
            elements = elements.copy()
            elements[rows] = self._view(values.bufferView, values.byteOffset or 0, kind, width, accessor.sparse.count)
        if accessor.type == "MAT4":
            elements = np.swapaxes(elements, 1, 2)  # they lie column after column
        return np.maximum(elements / np.iinfo(kind).max, -1.0) if accessor.normalized and kind.kind in "iu" else elements

    def _view(self, index: int, offset: int, kind: np.dtype[Any], width: tuple[int, ...], count: int) -> NDArray[Any]:
        view = self.gltf.bufferViews[index]
        if view.buffer != 0 or self.gltf.buffers[0].uri:
            raise ValueError("a buffer outside the file")
        size = kind.itemsize * int(np.prod(width))
        stride, start = view.byteStride or size, (view.byteOffset or 0) + offset
        end = start + stride * (count - 1) + size
        if offset < 0 or count < 1 or end > (view.byteOffset or 0) + view.byteLength or end > len(self.binary):
            raise ValueError(f"{count} elements that end at byte {end} of {len(self.binary)}")
        # Byte by byte and then copied, so that views on odd bytes are no trouble.
        rows = np.ndarray((count, size), np.uint8, self.binary, start, (stride, 1))
        elements: NDArray[Any] = np.ascontiguousarray(rows).view(kind).reshape(count, *width)
        return elements


def is_glb(path: Path) -> bool:
    """Say whether a file begins as a GLB does."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"glTF"
    except OSError:
        return False


def open_glb(path: Path) -> GlbContent:
    """Open a GLB. Raises `ReadError` that says which part of it is cut, malformed, or beyond what can be read."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ReadError(f"{path}: can't be read ({error.strerror}), expected a GLB") from error
    magic, version, length = struct.unpack("<4sII", data[:12].tobytes().ljust(12, b"\0"))
    if magic != b"glTF" or version != 2 or not 20 <= length <= len(data):
        raise ReadError(f"{path}: header: found {magic!r} version {version} of {length} bytes in a file of {len(data)}, "
                        "expected b'glTF' version 2, whole")
    chunks = _chunks(path, data[:length])
    if _JSON not in chunks:
        raise ReadError(f"{path}: chunks: found no JSON, expected one")
    try:
        gltf = pygltflib.GLTF2.from_json(chunks[_JSON].tobytes().decode("utf-8"), infer_missing=True)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ReadError(f"{path}: JSON chunk: found {str(error)!r:.80}, expected glTF 2.0") from error
    unknown = [name for name in gltf.extensionsRequired or [] if not name.startswith(_HARMLESS)]
    if unknown:
        raise ReadError(f"{path}: extensionsRequired: found {', '.join(unknown)}, expected none that packs numbers; export it without")
    return GlbContent(path, gltf, chunks.get(_BIN, np.zeros(0, np.uint8)))


def _chunks(path: Path, data: NDArray[np.uint8]) -> dict[int, NDArray[np.uint8]]:
    found: dict[int, NDArray[np.uint8]] = {}
    place = 12
    while place + 8 <= len(data):
        size, kind = struct.unpack("<II", data[place:place + 8].tobytes())
        if place + 8 + size > len(data):
            raise ReadError(f"{path}: chunk at byte {place}: found {size} bytes, expected no more than the file has; it may be cut")
        found.setdefault(kind, data[place + 8:place + 8 + size])
        place += 8 + size
    return found
