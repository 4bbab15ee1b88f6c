from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from rigdrop.assets.store import asset_path
from rigdrop.ingest.pose.blazepose.net_file import only_outputs


@pytest.fixture(scope="module")
def content():
    return asset_path("pose_landmark_full").read_bytes()


def run(content):
    """What a file computes of one picture, by the outputs' names in the file's order, and how many operators it has."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    operators = len(interpreter._get_ops_details())
    interpreter.allocate_tensors()
    picture = np.random.default_rng(0).random((1, 256, 256, 3), dtype=np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    return {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()}, operators


def test_what_is_left_computes_the_same_to_the_bit(content):
    whole, all_operators = run(content)
    left, operators = run(only_outputs(content, (3, 0, 1)))
    assert list(left) == ["Identity_3", "Identity", "Identity_1"]
    for name, values in left.items():
        np.testing.assert_array_equal(values, whole[name])
    # Ten convolutions and more draw the mask alone, each with two operators that unpack its weights.
    assert operators <= all_operators - 30


def test_nothing_is_lost_where_all_is_wanted(content):
    whole, all_operators = run(content)
    left, operators = run(only_outputs(content, range(5)))
    assert operators == all_operators and list(left) == [f"Identity{end}" for end in ("", "_1", "_2", "_3", "_4")]
    for name, values in left.items():
        np.testing.assert_array_equal(values, whole[name])


def test_it_leaves_the_file_as_it_is_but_for_its_lists(content):
    assert len(only_outputs(content, (0,))) == len(content)


@pytest.mark.parametrize("broken", [b"", b"no net at all", b"TFL3" * 100, b"\x00\x00\x00\x00TFL3" + bytes(100)])
def test_a_file_of_another_kind_is_an_error(broken):
    with pytest.raises(ValueError, match="TensorFlow Lite file"):
        only_outputs(broken, (0,))


def test_a_file_that_is_cut_off_is_an_error(content):
    with pytest.raises(ValueError, match="broken"):
        only_outputs(content[:1000], (0,))


def test_an_output_that_is_not_there_is_an_error(content):
    with pytest.raises(ValueError, match="broken"):
        only_outputs(content, (5,))
