from __future__ import annotations

import torch

from rigdrop.ingest.pose.sam3d_body.norms import ChannelNorm


def test_each_pixel_is_normalised_over_its_channels():
    maps = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(1)) * 5 + 2
    norm = ChannelNorm(8)
    normal = norm(maps)
    assert torch.allclose(normal.mean(1), torch.zeros(2, 3, 4), atol=1e-5)
    assert torch.allclose(normal.var(1, unbiased=False), torch.ones(2, 3, 4), atol=1e-4)
    norm.bias.data[3] = 7
    assert torch.allclose(norm(maps)[:, 3], normal[:, 3] + 7, atol=1e-5)
