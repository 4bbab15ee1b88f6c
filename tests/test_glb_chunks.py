"""A GLB in memory taken apart, whole or not."""

from __future__ import annotations

import struct

import pytest

from rigdrop.errors import WriteError
from rigdrop.formats.glb_chunks import glb_chunks

from .tiny_glb import TinyGlb


def test_json_and_binary_come_apart_as_they_were_put_together(tmp_path):
    file = TinyGlb()
    file.add([[1, 2, 3]])
    document, binary = glb_chunks(file.write(tmp_path / "a.glb").read_bytes())
    assert document == file.json and binary.tobytes() == struct.pack("<3f", 1, 2, 3)


def test_a_file_without_a_binary_chunk_has_none(tmp_path):
    text = b'{"asset":{"version":"2.0"}}'.ljust(28)
    document, binary = glb_chunks(struct.pack("<4sIIII", b"glTF", 2, 48, 28, 0x4E4F534A) + text)
    assert document["asset"] == {"version": "2.0"} and len(binary) == 0


@pytest.mark.parametrize("content", [b"glTF", struct.pack("<4sIIII", b"glTF", 2, 24, 4, 0x4E4F534A) + b"{\"a\"", b"\0" * 40])
def test_what_is_no_glb_is_refused(content):
    with pytest.raises(WriteError, match="found a file that is no whole GLB"):
        glb_chunks(content)
