"""Reads a GLB by its specification alone (glTF 2.0, sections 3.6 and 4.4), sharing nothing with the writer."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": (), "VEC2": (2,), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}


@dataclass(frozen=True, eq=False)
class GlbDocument:
    """A GLB's JSON and its binary chunk, mapped, not loaded."""

    path: Path
    json: dict[str, Any]
    binary: NDArray[np.uint8]

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return a top-level array of the JSON, empty where it is missing."""
        return list(self.json.get(kind, []))

    def accessor(self, index: int) -> NDArray[Any]:
        """Return an accessor's elements (count,…) as they are stored, without copying.

        Raises `ReadError` for a view that leaves the chunk, a sparse accessor or an unknown type.
        """
        try:
            return self._elements(self.json["accessors"][index])
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ReadError(f"{self.path}: accessors[{index}]: {error}, expected elements inside the binary chunk") from error

    def _elements(self, accessor: dict[str, Any]) -> NDArray[Any]:
        kind, width = np.dtype(_KINDS[accessor["componentType"]]), _WIDTHS[accessor["type"]]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise ValueError("sparse")
        view = self.json["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        size = kind.itemsize * int(np.prod(width))
        stride = view.get("byteStride", size)
        end = accessor.get("byteOffset", 0) + stride * (accessor["count"] - 1) + size
        outside = end > view["byteLength"] or view.get("byteOffset", 0) + view["byteLength"] > len(self.binary)
        if outside or start % kind.itemsize:
            raise ValueError("out of bounds or not aligned")
        inner = [kind.itemsize * int(np.prod(width[axis + 1:])) for axis in range(len(width))]
        elements: NDArray[Any] = np.ndarray((accessor["count"], *width), kind, self.binary, start, (stride, *inner))
        # Matrices lie column after column.
        return np.swapaxes(elements, 1, 2) if accessor["type"] == "MAT4" else elements


def read_glb(path: Path) -> GlbDocument:
    """Open a GLB. Raises `ReadError` that says which part of the container is wrong."""
    path = Path(path)
    try:
        data = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: can't be opened ({error}), expected a GLB") from error
    return parse_glb(path, data)


def parse_glb(path: Path, data: NDArray[np.uint8]) -> GlbDocument:
    """Take a GLB's bytes apart; raises as `read_glb` does."""
    magic, version, length = struct.unpack("<4sII", bytes(data[:12]).ljust(12, b"\0"))
    if magic != b"glTF" or version != 2 or length != len(data):
        found = f"{magic!r} version {version} of {length} bytes in a file of {len(data)}"
        raise ReadError(f"{path}: header: found {found}, expected b'glTF' version 2 of its own length")
    chunks = dict(_chunks(path, data))
    if _JSON not in chunks or _BIN not in chunks:
        raise ReadError(f"{path}: chunks: found {sorted(chunks)}, expected one JSON and one BIN chunk")
    try:
        content = json.loads(bytes(chunks[_JSON]))
    except ValueError as error:
        raise ReadError(f"{path}: JSON chunk: {error}, expected JSON") from error
    return GlbDocument(path, content, chunks[_BIN])


def _chunks(path: Path, data: NDArray[np.uint8]) -> list[tuple[int, NDArray[np.uint8]]]:
    found, place = [], 12
    while place < len(data):
        size, kind = struct.unpack("<II", bytes(data[place:place + 8]).ljust(8, b"\0"))
        if size % 4 or place + 8 + size > len(data):
            raise ReadError(f"{path}: chunk at byte {place}: found {size} bytes, expected a multiple of 4 that ends inside the file")
        found.append((kind, data[place + 8:place + 8 + size]))
        place += 8 + size
    return found
