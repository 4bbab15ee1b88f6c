from __future__ import annotations

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body.crop import (
    BODY_PADDING,
    HAND_PADDING,
    Crops,
    crops_of_boxes,
    cut,
    cut_masks,
    default_K,
    join_crops,
    mirror_K,
)

from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import apart

CROPS = [(f"{name}{number}", padding) for name, padding in (("body", BODY_PADDING), ("hand", HAND_PADDING)) for number in range(3)]


def _crops(boxes: list[list[float]], wide: int = 480, high: int = 360, padding: float = BODY_PADDING, mirrored: bool = False) -> Crops:
    image = torch.tensor([[wide, high]]).expand(len(boxes), -1)
    return crops_of_boxes(torch.tensor(boxes), image, default_K(image), 64, padding, mirrored=mirrored)


@pytest.mark.parametrize(("name", "padding"), CROPS)
def test_a_crop_is_the_recorded_one(recorded, name, padding):
    units = recorded.units
    image = torch.tensor([[480, 360]])
    crops = crops_of_boxes(units[f"crop_{name}/bbox"][None], image, default_K(image), 256, padding)
    assert torch.equal(crops.centre_px[0], units[f"crop_{name}/bbox_center"])
    assert torch.equal(crops.side_px, units[f"crop_{name}/bbox_scale"][:1])
    affine = units[f"crop_{name}/affine_trans"]
    assert float((crops.offset[0] - affine[:, 2]).abs().max()) < 2e-5  # the original solves it from three float32 points
    found = cut(recorded.body["input/image_rgb"][None], crops)[0].permute(1, 2, 0).int()
    off = (found - units[f"crop_{name}/img"].int()).abs()
    # OpenCV may or may not fuse a multiply and an add: one level, in one pixel of a thousand.
    assert int(off.max()) <= 1 and float((off > 0).float().mean()) < 1e-3
    mask = cut_masks(recorded.body["input/masks01"][:1], crops)[0, 0]
    assert torch.equal(mask, units[f"crop_{name}/mask"])


def test_the_batch_of_a_frame_has_the_recorded_condition(recorded):
    for number in range(3):
        crops = recorded.crops(number)
        assert apart(crops.condition(), recorded.body[f"full_all/condition_info/{number}/out"]) < 1e-6


def test_a_crop_of_the_mirrored_frame_is_that_of_the_mirror_image():
    frames = torch.randint(0, 256, (2, 40, 60, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    boxes = [[5.0, 3.0, 30.0, 35.0], [-10.0, 20.0, 20.0, 60.0]]
    plain, mirrored = _crops(boxes, 60, 40), _crops(boxes, 60, 40, mirrored=True)
    which = torch.tensor([1, 0])
    plain, mirrored = (Crops(**{**vars(crops), "frame": which}) for crops in (plain, mirrored))
    assert torch.equal(cut(frames, mirrored), cut(frames.flip(2), plain))


def test_beyond_the_border_is_black():
    frames = torch.full((1, 40, 60, 3), 255, dtype=torch.uint8)
    outside = cut(frames, _crops([[100.0, 100.0, 130.0, 130.0]], 60, 40))
    assert int(outside.max()) == 0
    half = cut(frames, _crops([[-20.0, 0.0, 20.0, 40.0]], 60, 40))
    assert int(half[..., :30].max()) == 0 and int(half[..., 16:48, 34:].min()) == 255


def test_a_wide_box_is_made_three_to_four_before_it_is_square():
    wide, high = _crops([[0.0, 0.0, 300.0, 100.0]]), _crops([[0.0, 0.0, 100.0, 300.0]])
    assert float(wide.side_px) == pytest.approx(500) and float(high.side_px) == pytest.approx(375)


def test_frame_and_crop_coordinates_come_back():
    crops = _crops([[10.0, 20.0, 110.0, 220.0], [200.0, 0.0, 300.0, 90.0]])
    fractions = torch.tensor([[0.1, 0.9], [0.5, 0.25]])
    assert torch.allclose(crops.to_crop(crops.to_frame(fractions)[:, None])[:, 0] + 0.5, fractions, atol=1e-6)


def test_a_mirrored_camera_sees_the_mirrored_pixel():
    K = torch.tensor([[[500.0, 0, 200], [0, 510, 150], [0, 0, 1]]])
    mirrored = mirror_K(K, torch.tensor([480.0]))
    x = 0.3
    assert float(mirrored[0, 0, 2] - 500 * x) == pytest.approx(480 - 1 - float(K[0, 0, 2] + 500 * x))
    assert torch.equal(mirror_K(mirrored, torch.tensor([480.0])), K)


def test_batches_join_and_part():
    first, second = _crops([[0.0, 0.0, 9.0, 9.0]]), _crops([[5.0, 5.0, 50.0, 50.0]], padding=HAND_PADDING, mirrored=True)
    joined = join_crops([first, second])
    assert len(joined) == 2 and joined.mirrored.tolist() == [False, True]
    assert torch.equal(joined.pick(torch.tensor([1])).offset, second.offset)


def test_nobody_is_an_empty_batch():
    nobody = _crops([[0.0, 0, 1, 1]]).pick(torch.tensor([], dtype=torch.int64))
    assert cut(torch.zeros(1, 8, 8, 3, dtype=torch.uint8), nobody).shape == (0, 3, 64, 64)
