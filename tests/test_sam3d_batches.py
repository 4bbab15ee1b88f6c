from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rigdrop.errors import RigdropError
from rigdrop.ingest.pose.sam3d_body.batches import Arrivals, FramePeople, batches
from rigdrop.ingest.pose.sam3d_body.crop import crops_of_boxes, cut

CPU = Arrivals(torch.device("cpu"))


def _frame(number: int, count: int, size: tuple[int, int] = (6, 8)) -> FramePeople:
    image = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
    boxes = np.arange(4 * count, dtype=np.float32).reshape(count, 4) + 100 * number
    return FramePeople(number, image, boxes, np.eye(3) * (number + 1))


def test_people_fill_batches_in_order_across_frames():
    made = list(batches(iter([_frame(0, 0), _frame(1, 3), _frame(2, 1, (5, 4)), _frame(3, 0), _frame(4, 1)]), lambda: 2, CPU))
    assert [batch.begun for batch in made] == [((0, 0), (1, 3)), ((2, 1),), ((3, 0), (4, 1))]
    boxes = torch.cat([batch.people.boxes_xyxy for batch in made])
    assert boxes[:, 0].tolist() == [100, 104, 108, 200, 400]
    middle = made[1].people
    assert middle.frame.tolist() == [0, 1]
    assert middle.frames.size_px.tolist() == [[8, 6], [4, 5]] and middle.frames.first.tolist() == [0, 48]
    assert middle.K[:, 0, 0].tolist() == [2, 3] and middle.shared.tolist() == [True, False]


def test_a_size_that_changes_on_the_way_counts_at_once():
    sizes = iter([3, 3, 3] + 9 * [1])
    assert [len(batch) for batch in batches(iter([_frame(1, 6)]), lambda: next(sizes), CPU)] == [3, 1, 1, 1]


def test_many_empty_frames_are_not_waited_for():
    made = batches((_frame(number, 0) for number in range(10**9)), lambda: 8, CPU)
    first = next(made)
    assert first.people is None and len(first) == 0 and len(first.begun) == 256


def test_halves_hold_the_same_people():
    masks = np.arange(3 * 48, dtype=np.uint8).reshape(3, 6, 8) % 2
    whole = next(batches(iter([replace(_frame(1, 3), masks=masks, mask_scores=np.array([1, 0, 1], np.float32))]), lambda: 3, CPU))
    first, second = whole.halves()
    assert (len(first), len(second)) == (1, 2) and first.begun == second.begun == ()
    for name in ("boxes_xyxy", "K", "frame", "mask_scores", "shared"):
        joined = torch.cat([getattr(first.people, name), getattr(second.people, name)])
        assert torch.equal(joined, getattr(whole.people, name)), name
    assert second.people.masks.size_px.tolist() == [[1, 1], [8, 6]]


def test_a_batch_that_was_sent_holds_no_picture_twice():
    made = list(batches(iter([_frame(1, 3), _frame(2, 2)]), lambda: 4, CPU))
    assert [len(batch) for batch in made] == [4, 1] and all(batch.seats == () for batch in made)


def test_crops_of_frames_of_several_sizes_are_those_of_each_alone():
    frames = [_frame(1, 1, (60, 80)), _frame(2, 1, (90, 40))]
    people = next(batches(iter(frames), lambda: 2, CPU)).people
    boxes = torch.tensor([[-10.0, 5, 50, 70], [5, 5, 60, 80]])

    def crops(picked: slice, frame: torch.Tensor, mirrored: bool):
        return crops_of_boxes(boxes[picked], people.frames.size_px[picked], people.K[picked], 32, frame=frame, mirrored=mirrored)

    for mirrored in (False, True):
        together = cut(people.frames, crops(slice(None), people.frame, mirrored))
        for number, frame in enumerate(frames):
            own = torch.from_numpy(frame.image_rgb)[None]
            assert torch.equal(together[[number]], cut(own, crops(slice(number, number + 1), torch.tensor([0]), mirrored)))


def test_pictures_that_may_not_be_written_to_are_taken():
    frame = _frame(1, 1)
    frame.image_rgb.setflags(write=False)
    people = next(batches(iter([frame]), lambda: 1, CPU)).people
    assert np.array_equal(people.frames.flat.numpy(), frame.image_rgb.reshape(-1, 3))


@pytest.mark.parametrize(("name", "value"), [
    ("boxes_xyxy", np.zeros((2, 3), np.float32)), ("K", np.zeros((1, 3, 3))), ("masks", np.zeros((1, 6, 8), np.uint8)),
    ("image_rgb", np.zeros((6, 8, 4), np.uint8)), ("mask_scores", np.zeros(3, np.float32)),
])
def test_arrays_of_other_shapes_are_an_error(name, value):
    with pytest.raises(RigdropError, match=f"frame 1: {name}: found"):
        replace(_frame(1, 2), **{name: value})
