from __future__ import annotations

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body.rays import fourier, ray_cells, ray_map, shrink

from .sam3d_fixture import recorded_network  # noqa: F401
from .sam3d_network import apart


def _reduced(rays: torch.Tensor) -> torch.Tensor:
    rows, columns = (shrink(count, 16).float() for count in rays.shape[-2:])
    return rows @ rays @ columns.T


def test_rays_are_reduced_as_recorded(recorded):
    assert apart(_reduced(recorded.units["ray_in"]), recorded.units["ray_down"]) < 1e-6
    x_y_1 = torch.cat([recorded.units["ray_down"], torch.ones(1, 1, 8, 8)], dim=1).permute(0, 2, 3, 1).flatten(1, 2)
    assert apart(fourier(x_y_1), recorded.units["ray_fourier"]) < 1e-6


@pytest.mark.parametrize(("name", "number"), [("ray_cond_emb", 0), ("ray_cond_emb_hand", 1)])
def test_the_conditioned_map_is_the_recorded_one(recorded, name, number):
    crops, network, case = recorded.crops(number), recorded.network(), f"full_all/{name}/0"
    assert apart(ray_map(crops), recorded.body[f"{case}/in1"]) < 1e-6
    layer = (network.hands if number else network.body).ray_cond_emb
    with torch.no_grad():
        found = layer(recorded.body[f"{case}/in0"], ray_cells(crops, 16))
    assert apart(found, recorded.body[f"{case}/out"]) < 1e-5


@pytest.mark.parametrize("margin", [0, 16])
def test_cells_are_the_reduced_map_without_the_map(recorded, margin):
    crops = recorded.crops(2)
    whole = ray_map(crops)
    assert apart(ray_cells(crops, 16, margin), _reduced(whole[..., margin:128 - margin])) < 1e-6


def test_weights_of_the_reduction_sum_to_one():
    assert torch.allclose(shrink(64, 16).sum(1), torch.ones(4, dtype=torch.float64))
