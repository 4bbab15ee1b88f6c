from __future__ import annotations

import torch

from rigdrop.ingest.pose.sam3d_body.constants import constant, indices


def test_numbers_and_indices_that_look_alike_are_not_the_same():
    cpu = torch.device("cpu")
    assert indices((1, 0), cpu).dtype == torch.int64 and constant((1, 0), cpu).dtype == constant((1.0, 0.0), cpu).dtype == torch.float32
    assert constant((1, 0), cpu) is constant((1, 0), cpu)


def test_what_was_made_while_inferring_can_be_used_at_other_times():
    with torch.inference_mode():
        made = constant((3.0, 0.25), torch.device("cpu"))
    assert not made.is_inference()
