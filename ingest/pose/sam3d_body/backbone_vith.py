"""The ViT-H variant's backbone (section 2, last paragraph): a plain transformer with learned places, no class token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .backbone import NORM_EPS, PatchEmbed
from .config import BackboneConfig

_PADDING = 2


class VitBackbone(nn.Module):
    """Normalised crops (B,3,H,W) to one vector a patch (B,D,H/16,W/16)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config.width, config.patch, _PADDING)
        # The first place is a class token's; it is added to all patches.
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.patches, config.width))
        self.blocks = nn.ModuleList([VitBlock(config) for _ in range(config.depth)])
        self.last_norm = nn.LayerNorm(config.width, eps=NORM_EPS)

    def forward(self, crops: Tensor) -> Tensor:
        """Return the feature maps (B,D,rows,columns) of normalised crops (B,3,H,W)."""
        # Sums are float32 whatever the products are.
        patches = self.patch_embed(crops).float()
        rows, columns = patches.shape[-2:]
        tokens = patches.flatten(2).transpose(1, 2) + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            tokens = block(tokens)
        seen: Tensor = self.last_norm(tokens)
        return torch.unflatten(seen.transpose(1, 2), -1, (rows, columns))


class VitBlock(nn.Module):
    """Attention, then an MLP."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.attn = VitAttention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.mlp = Mlp(config.width, config.hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens (B,T,D) after this block."""
        tokens = tokens + self.attn(self.norm1(tokens))
        bettered: Tensor = tokens + self.mlp(self.norm2(tokens))
        return bettered


class VitAttention(nn.Module):
    """Plain self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what tokens (B,T,D) gather from each other."""
        query, key, value = torch.unflatten(self.qkv(tokens), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        gathered = functional.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.proj(gathered.transpose(1, 2).flatten(2))
        return mixed


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B,T,D) of (B,T,D)."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return out
