"""The GLB container, read back with nothing but struct and json."""

import json
import struct

import numpy as np
import pytest

from rigdrop.errors import WriteError
from rigdrop.formats.glb import GlbFile


def _parts(path):
    data = path.read_bytes()
    magic, version, total, json_size, json_kind = struct.unpack_from("<4sIIII", data)
    binary_size, binary_kind = struct.unpack_from("<II", data, 20 + json_size)
    assert (magic, version, total, json_kind, binary_kind) == (b"glTF", 2, len(data), 0x4E4F534A, 0x004E4942)
    assert json_size % 4 == 0 and binary_size % 4 == 0 and 28 + json_size + binary_size == len(data)
    return json.loads(data[20:20 + json_size]), data[28 + json_size:]


def test_what_goes_in_comes_out(tmp_path):
    file = GlbFile.new({"take": "a"})
    points = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    indices = np.array([0, 1, 2], np.uint16)  # six bytes: the next view must be padded
    first, second = file.add_array(indices, 34963), file.add_array(points, 34962, bounded=True)
    file.save(tmp_path / "a.glb")
    content, binary = _parts(tmp_path / "a.glb")
    assert content["asset"]["generator"].startswith("Rigdrop ") and content["asset"]["extras"] == {"take": "a"}
    views = [content["bufferViews"][content["accessors"][index]["bufferView"]] for index in (first, second)]
    assert [view["byteOffset"] for view in views] == [0, 8] and [view["target"] for view in views] == [34963, 34962]
    np.testing.assert_array_equal(np.frombuffer(binary, np.float32, 15, 8).reshape(5, 3), points)
    assert content["accessors"][second]["min"] == points.min(axis=0).tolist()


def test_bounds_may_come_while_the_view_is_streamed(tmp_path):
    file = GlbFile.new({})
    # The longest that float32 numbers get in JSON, so that the header is as full as it can be.
    values = np.array([[-1.1754944e-38, -3.4028235e38, -1.2345679e-30]], np.float32)
    accessors = []

    def arrays():
        file.set_bounds(accessors[0], values)
        yield values

    view = file.add_view(values.nbytes, arrays)
    accessors.append(file.add_accessor(view, "f4", 1, (3,), bounded=True))
    file.save(tmp_path / "a.glb")
    content, _ = _parts(tmp_path / "a.glb")
    assert content["accessors"][0]["max"] == values[0].astype(float).tolist()


def test_arrays_are_taken_one_after_the_other(tmp_path):
    alive = []

    def arrays():
        for number in range(4):
            assert len(alive) == number, "the next array was asked for before the last was written"
            yield np.full(3, number, np.float32)
            alive.append(number)

    file = GlbFile.new({})
    file.add_accessor(file.add_view(48, arrays), "f4", 12)
    file.save(tmp_path / "a.glb")
    _, binary = _parts(tmp_path / "a.glb")
    assert np.frombuffer(binary, np.float32).tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_more_than_four_gigabytes_are_refused_before_anything_is_written(tmp_path):
    file = GlbFile.new({})
    file.add_view(2**32, lambda: pytest.fail("nothing may be asked for"))
    with pytest.raises(WriteError, match=r"4\.0 GiB, a GLB holds at most 4 GiB; write fewer frames"):
        file.save(tmp_path / "a.glb")
    assert list(tmp_path.iterdir()) == []


def test_a_view_that_gets_too_little_leaves_no_file(tmp_path):
    file = GlbFile.new({})
    file.add_view(8, lambda: [np.zeros(1, np.float32)])
    with pytest.raises(RuntimeError, match="a buffer view of 8 bytes was given 4"):
        file.save(tmp_path / "a.glb")
    assert list(tmp_path.iterdir()) == []


def test_names_keep_their_letters(tmp_path):
    file = GlbFile.new({"take": "Zoë と"})
    file.add_array(np.zeros(1, np.float32))
    file.save(tmp_path / "a.glb")
    assert _parts(tmp_path / "a.glb")[0]["asset"]["extras"]["take"] == "Zoë と"
