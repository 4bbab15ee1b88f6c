"""Breaks files on purpose, so that tests see the verifier find it."""

import json
import struct

import numpy as np


def tampered_glb(source, target, change):
    """Write ``source`` to ``target`` after ``change(json, binary)`` has changed the JSON or the bytes (numpy uint8) in place."""
    data = source.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    content, binary = json.loads(data[20:20 + size]), np.frombuffer(data[28 + size:], np.uint8).copy()
    change(content, binary)
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(binary), len(text), 0x4E4F534A)
    target.write_bytes(header + text + struct.pack("<II", len(binary), 0x004E4942) + binary.tobytes())
    return target


def elements(content, binary, accessor):
    """The float32 elements of an accessor, to be changed in place."""
    accessor = content["accessors"][accessor]
    view = content["bufferViews"][accessor["bufferView"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
    return binary[start:start + 4 * width * accessor["count"]].view(np.float32).reshape(-1, width)


def channel(content, path, place=0):
    """The sampler of the channel in ``place`` among those of ``path``."""
    channels = [item for item in content["animations"][0]["channels"] if item["target"]["path"] == path]
    return content["animations"][0]["samplers"][channels[place]["sampler"]]
