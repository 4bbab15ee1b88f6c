"""GLB files made of a JSON and numbers, by the specification alone: what other programs may write and our writer does not."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

_KINDS = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}


class TinyGlb:
    """A glTF document that is written as it stands."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0"}, "bufferViews": [], "accessors": []}
        self.binary = b""

    def add(self, values: Any, kind: str = "float32", **extra: Any) -> int:
        """Append an accessor; matrices (N,4,4) are stored column after column."""
        array = np.asarray(values, dtype=kind)
        stored = np.swapaxes(array, 1, 2) if array.ndim == 3 else array
        data = np.ascontiguousarray(stored).tobytes()
        self.json["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data + b"\0" * (-len(data) % 4)
        self.json["accessors"].append({"bufferView": len(self.json["bufferViews"]) - 1, "componentType": _KINDS[kind], "count": len(array),
                                       "type": _TYPES[array.shape[1:]], **extra})
        return len(self.json["accessors"]) - 1

    def animate(
        self, node: int, path: str, keys_s: Any, values: Any, interpolation: str = "LINEAR", animation: int = 0, **extra: Any,
    ) -> None:
        """Append a channel to an animation, which is begun where it is not there."""
        animations = self.json.setdefault("animations", [])
        while len(animations) <= animation:
            animations.append({"name": f"clip_{len(animations)}", "samplers": [], "channels": []})
        kind = extra.pop("kind", "float32")
        sampler = {"input": self.add(keys_s), "output": self.add(values, kind, **extra), "interpolation": interpolation}
        animations[animation]["samplers"].append(sampler)
        channel = {"sampler": len(animations[animation]["samplers"]) - 1, "target": {"node": node, "path": path}}
        animations[animation]["channels"].append(channel)

    def write(self, path: Path) -> Path:
        """Write the file: header, JSON, binary."""
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        parts = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(self.binary), 0x004E4942) + self.binary
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(parts)) + parts)
        return path
