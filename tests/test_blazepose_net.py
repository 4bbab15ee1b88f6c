from __future__ import annotations

import numpy as np
import pytest

from rigdrop.errors import MissingPartError
from rigdrop.ingest.pose.blazepose.net import Net


@pytest.mark.parametrize(
    ("name", "side", "shapes"),
    [
        ("pose_detection", 224, [(2254, 12), (2254, 1)]), ("pose_landmark_full", 256, [(195,), (1,), (256, 256, 1), (64, 64, 39), (117,)]),
        ("hand_landmark_full", 224, [(63,), (1,), (1,), (63,)]), ("hand_recrop", 256, [(1, 1, 4)]),
    ],
)
def test_nets_have_the_outputs_that_we_read(name, side, shapes, capfd):
    net = Net(name, range(len(shapes)))
    assert net.side == side
    picture = np.zeros((side, side, 3), dtype=np.float32)
    assert [output.shape for output in net.run(picture)] == shapes
    assert capfd.readouterr() == ("", "")  # programs read our streams


def test_the_same_picture_gives_the_same_numbers_on_any_number_of_threads():
    picture = np.random.default_rng(0).random((256, 256, 3), dtype=np.float32)
    one, again, two = (Net("pose_landmark_full", (0,), threads).run(picture)[0] for threads in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_allclose(one, two, atol=1e-3)


@pytest.mark.parametrize("content", [b"TFL3" * 100, b"", b"a picture"])
def test_a_file_that_is_no_net_is_an_error(tmp_path, content):
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(MissingPartError, match="rigdrop assets install"):
        Net("pose_detection", (0, 1), path=path)
