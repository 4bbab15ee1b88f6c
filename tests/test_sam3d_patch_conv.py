from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from rigdrop.ingest.pose.sam3d_body.patch_conv import PatchConv


@pytest.mark.parametrize(("size", "padding", "high", "wide"), [(1, 0, 5, 7), (2, 0, 8, 6), (16, 2, 64, 48), (4, 0, 11, 9)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_convolution(size, padding, high, wide, bias):
    conv = PatchConv(3, 8, size, padding, bias)
    maps = torch.randn(2, 3, high, wide)
    found = conv(maps)
    truth = functional.conv2d(maps, conv.weight, conv.bias, stride=size, padding=padding)
    assert found.shape == truth.shape and torch.allclose(found, truth, atol=1e-5)


def test_nobody_is_an_empty_batch():
    assert PatchConv(3, 8, 2)(torch.zeros(0, 3, 4, 6)).shape == (0, 8, 2, 3)
