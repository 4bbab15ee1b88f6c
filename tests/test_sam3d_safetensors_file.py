from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

from rigdrop.errors import ReadError
from rigdrop.ingest.pose.sam3d_body.safetensors_file import read_safetensors


def _file(path: Path, table: dict, data: bytes = b"") -> Path:
    header = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_tensors_of_every_kind_are_read(tmp_path):
    data = struct.pack("<2f", 1.5, -2) + struct.pack("<q", 7) + bytes([1, 0, 0x80, 0x3F])
    table = {
        "__metadata__": {"format": "pt"},
        "floats": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "count": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]},
        "flags": {"dtype": "BOOL", "shape": [2], "data_offsets": [16, 18]},
        "half": {"dtype": "BF16", "shape": [1], "data_offsets": [18, 20]},
        "none": {"dtype": "F32", "shape": [0, 3], "data_offsets": [20, 20]},
    }
    found = read_safetensors(_file(tmp_path / "a.safetensors", table, data))
    assert found["floats"].tolist() == [[1.5], [-2]] and int(found["count"]) == 7 and found["flags"].tolist() == [True, False]
    assert found["half"].dtype == torch.bfloat16 and float(found["half"]) == 1 and found["none"].shape == (0, 3)
    assert set(found) == set(table) - {"__metadata__"}


@pytest.mark.parametrize("entry", [
    {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
    {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
    {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]},
    {"shape": [2]},
    "nothing",
])
def test_a_table_that_does_not_fit_the_file_is_an_error(tmp_path, entry):
    with pytest.raises(ReadError, match="found no whole file of tensors"):
        read_safetensors(_file(tmp_path / "a.safetensors", {"a": entry}, bytes(8)))


@pytest.mark.parametrize("content", [
    b"", b"\x01", struct.pack("<Q", 1 << 60), struct.pack("<Q", 4) + b"[1]\n", struct.pack("<Q", 2) + b"{",
])
def test_a_file_that_is_none_is_an_error(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ReadError, match="found no whole file of tensors"):
        read_safetensors(path)
