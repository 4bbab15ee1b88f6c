from __future__ import annotations

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body.camera import project_centred, see
from rigdrop.ingest.pose.sam3d_body.crop import Crops, crops_of_boxes

from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import apart


@pytest.mark.parametrize(("name", "factor", "own"), [
    ("body_intrin", 1, True), ("body_centre", 1, False), ("hand_intrin", 10, True), ("hand_centre", 10, False),
])
def test_a_view_is_the_recorded_one(recorded, name, factor, own):
    units = recorded.units
    frame = torch.zeros(3, dtype=torch.int64)
    crops = Crops(frame, frame.bool(), units["cam_in/bbox_center"], units["cam_in/bbox_size"], torch.ones(3), torch.zeros(3, 2),
                  units["cam_in/img_size"], units["cam_in/cam_int"], 128)
    view = see(units["cam_in/pts"], units["cam_in/pred_cam"], crops, factor, own)
    assert apart(view.translation_m, units[f"cam_{name}/pred_cam_t"]) < 1e-5
    assert apart(view.pixels, units[f"cam_{name}/pred_keypoints_2d"]) < 1e-5
    assert apart(view.depths_m, units[f"cam_{name}/pred_keypoints_2d_depth"]) < 1e-5


def test_the_crop_s_middle_is_where_an_upright_camera_puts_a_body():
    K = torch.tensor([[[600.0, 0, 300], [0, 600, 200], [0, 0, 1]]])
    crops = crops_of_boxes(torch.tensor([[50.0, 60, 150, 260]]), torch.tensor([[640, 480]]), K, 128)
    view = see(torch.zeros(1, 1, 3), torch.tensor([[-0.9, 0.0, 0.0]]), crops)
    assert torch.allclose(view.cropped, torch.zeros(1, 1, 2), atol=1e-6)
    assert torch.allclose(view.pixels[0, 0], torch.tensor([100.0, 160.0]), atol=1e-3)


def test_the_original_s_last_pixels_ignore_the_principal_point():
    K = torch.tensor([[[600.0, 0, 300], [0, 500, 200], [0, 0, 1]]])
    crops = crops_of_boxes(torch.tensor([[50.0, 60, 150, 260]]), torch.tensor([[640, 480]]), K, 128)
    pixels = project_centred(torch.tensor([[[1.0, 1.0, 2.0]]]), crops)
    assert pixels.flatten().tolist() == [620, 540]
