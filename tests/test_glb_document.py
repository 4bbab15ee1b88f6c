"""The GLB reader on a file that is laid out by hand."""

import json
import struct

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.formats.verify.glb_document import read_glb


def _write(path, content, binary):
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    data = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(data)) + data)
    return path


def _with(path, accessor, view, binary):
    return read_glb(_write(path, {"asset": {"version": "2.0"}, "accessors": [accessor], "bufferViews": [view]}, binary))


def test_interleaved_elements_are_read_by_their_stride(tmp_path):
    binary = np.arange(12, dtype=np.float32).tobytes()
    accessor = {"bufferView": 0, "byteOffset": 4, "componentType": 5126, "count": 3, "type": "VEC2"}
    document = _with(tmp_path / "a.glb", accessor, {"byteLength": 48, "byteStride": 16}, binary)
    assert document.accessor(0).tolist() == [[1, 2], [5, 6], [9, 10]]


def test_matrices_are_stored_column_by_column(tmp_path):
    accessor = {"bufferView": 0, "componentType": 5126, "count": 1, "type": "MAT4"}
    document = _with(tmp_path / "a.glb", accessor, {"byteLength": 64}, np.arange(16, dtype=np.float32).tobytes())
    assert document.accessor(0)[0, :, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("change", [
    {"count": 5}, {"byteOffset": 2}, {"type": "MAT7"}, {"componentType": 1}, {"sparse": {}}, {"bufferView": 3},
])
def test_what_leaves_the_chunk_or_makes_no_sense_is_refused(tmp_path, change):
    accessor = {"bufferView": 0, "componentType": 5126, "count": 4, "type": "SCALAR", **change}
    document = _with(tmp_path / "a.glb", accessor, {"byteLength": 16}, bytes(16))
    with pytest.raises(ReadError, match=r"accessors\[0\]: .* expected elements inside the binary chunk"):
        document.accessor(0)


def test_a_cut_file_says_what_is_wrong(tmp_path):
    path = _write(tmp_path / "a.glb", {"asset": {}}, bytes(64))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ReadError, match="header: found b'glTF' version 2 of 108 bytes in a file of 98"):
        read_glb(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ReadError, match="can't be opened"):
        read_glb(tmp_path / "a.glb")
