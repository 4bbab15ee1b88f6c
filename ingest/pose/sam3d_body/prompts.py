"""What a user, or an earlier pass, says of a crop: points with labels, and a mask (sections 3 and 4)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .heads import KEYPOINTS
from .norms import ChannelNorm
from .patch_conv import PatchConv

NO_POINT = -2
"""The label of a prompt that says nothing."""
NOT_A_POINT = -1
_MASK_CHANNELS = (1, 4, 16, 64, 256)


class PlaceCode(nn.Module):
    """Random Fourier code of places in the crop, x first."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, places: Tensor) -> Tensor:
        """Return the code (…,D) of places (…,2), 0 to 1 in the crop."""
        angles = 2 * torch.pi * ((2 * places - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)

    def dense(self, rows: int, columns: int) -> Tensor:
        """Return the code (D,rows,columns) of all patches' centres."""
        device = self.positional_encoding_gaussian_matrix.device
        y, x = ((torch.arange(count, device=device) + 0.5) / count for count in (rows, columns))
        places = torch.stack([x[None, :].expand(rows, -1), y[:, None].expand(-1, columns)], dim=-1)
        code: Tensor = self(places)
        return code.permute(2, 0, 1)


class PromptEncoder(nn.Module):
    """Points and masks as vectors as wide as the backbone's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pe_layer = PlaceCode(width)
        self.point_embeddings = nn.ModuleList([nn.Embedding(1, width) for _ in range(KEYPOINTS)])
        self.not_a_point_embed = nn.Embedding(1, width)
        self.invalid_point_embed = nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(*_mask_layers(width))
        self.no_mask_embed = nn.Embedding(1, width)

    def forward(self, prompts: Tensor) -> Tensor:
        """Return the vectors (B,K,D) of prompts (B,K,3): x and y from 0 to 1, and a label.

        A label is a keypoint's number; −1 is a point that is none, −2 nothing at all.
        """
        # The last two rows are what labels −2 and −1 reach, counted from the end.
        tables = [*self.point_embeddings, self.invalid_point_embed, self.not_a_point_embed]
        table = torch.cat([embedding.get_parameter("weight") for embedding in tables])
        label = prompts[..., 2].long()
        meant = table[torch.where(label < 0, label + len(table), label)]
        code: Tensor = self.pe_layer(prompts[..., :2]) * (label >= 0)[..., None]
        return meant + code

    def mask(self, masks: Tensor | None, scores: Tensor, rows: int, columns: int) -> Tensor:
        """Return what masks (B,1,N,N), 0 or 1, add to the feature map (B,D,rows,columns); a score (B,) of 0 means no mask.

        Columns that the backbone does not see are left out here too.
        """
        none = self.no_mask_embed.weight[:, :, None, None].expand(len(scores), -1, rows, columns)
        if masks is None:
            return none
        drawn = self.mask_downscaling(masks.float())
        spare = (drawn.shape[-1] - columns) // 2
        score = scores[:, None, None, None]
        return torch.where(score > 0, score * drawn[..., spare:spare + columns], none)


def _mask_layers(width: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(_MASK_CHANNELS):
        layers += [PatchConv(inputs, outputs, 2), ChannelNorm(outputs), nn.GELU()]
    return [*layers, PatchConv(_MASK_CHANNELS[-1], width, 1)]
