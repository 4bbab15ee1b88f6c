"""DINOv3's vision transformer (section 2), under the key names of the official checkpoint.

Blocks are pre-norm with layer scale and a gated MLP; patches, and they alone, are told their places by turning queries and
keys (RoPE).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import BackboneConfig
from .patch_conv import PatchConv

NORM_EPS = 1e-5


class Turns(NamedTuple):
    """Sines and cosines by which tokens turn, float32, (T, half the head width): each pair of numbers half a head apart by one."""

    sine: Tensor
    cosine: Tensor


class Backbone(nn.Module):
    """Normalised crops (B,3,H,W) to one vector a patch (B,D,H/16,W/16)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)

    def forward(self, crops: Tensor) -> Tensor:
        """Return the feature maps (B,D,rows,columns) of normalised crops (B,3,H,W)."""
        features: Tensor = self.encoder(crops)
        return features


class Encoder(nn.Module):
    """The transformer itself: class token, storage tokens, patches."""

    cls_token: nn.Parameter
    storage_tokens: nn.Parameter

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.storage_tokens = nn.Parameter(torch.zeros(1, config.extra_tokens, config.width))
        self.patch_embed = PatchEmbed(config.width, config.patch)
        self.rope_embed = Rope(config.width // config.heads)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.depth)])
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)

    def forward(self, crops: Tensor) -> Tensor:
        """Return the feature maps (B,D,rows,columns) of normalised crops (B,3,H,W)."""
        # Sums are float32 whatever the products are.
        patches = self.patch_embed(crops).float()
        rows, columns = patches.shape[-2:]
        extra = torch.cat([self.cls_token, self.storage_tokens], dim=1)
        tokens = torch.cat([extra.expand(len(patches), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        turns = self.rope_embed(rows, columns, extra.shape[1])
        for block in self.blocks:
            tokens = block(tokens, turns)
        seen: Tensor = self.norm(tokens)[:, extra.shape[1]:]
        return torch.unflatten(seen.transpose(1, 2), -1, (rows, columns))


class PatchEmbed(nn.Module):
    """A convolution that steps by whole patches."""

    def __init__(self, width: int, patch: int, padding: int = 0) -> None:
        super().__init__()
        self.proj = PatchConv(3, width, patch, padding)

    def forward(self, crops: Tensor) -> Tensor:
        """Return the patches (B,D,rows,columns) of crops (B,3,H,W)."""
        patches: Tensor = self.proj(crops)
        return patches


class Rope(nn.Module):
    """Where patches are, as angles: the periods are the checkpoint's own, never recomputed."""

    periods: Tensor

    def __init__(self, head_width: int) -> None:
        super().__init__()
        count = head_width // 4
        self.register_buffer("periods", 100.0 ** (2 * torch.arange(count) / (head_width / 2)))

    def forward(self, rows: int, columns: int, extra: int = 0) -> Turns:
        """Return the turns of ``extra`` tokens, which have no place, and of rows × columns patches, row by row.

        A patch's y comes first, then its x, centres from −1 to 1.
        """
        device = self.periods.device
        y, x = (2 * (torch.arange(count, device=device) + 0.5) / count - 1 for count in (rows, columns))
        places = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1)
        angles = (2 * torch.pi * places[..., None] / self.periods.float()).flatten(1)
        angles = functional.pad(angles, (0, 0, extra, 0))  # not at all
        return Turns(torch.sin(angles), torch.cos(angles))


class Block(nn.Module):
    """Attention, then a gated MLP, each scaled by its own ``gamma``."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.attn = Attention(config.width, config.heads)
        self.ls1 = LayerScale(config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.mlp = SwiGlu(config.width, config.hidden)
        self.ls2 = LayerScale(config.width)

    def forward(self, tokens: Tensor, turns: Turns) -> Tensor:
        """Return the tokens (B,T,D) after this block."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens), turns))
        bettered: Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return bettered


class Attention(nn.Module):
    """Self-attention whose patches' queries and keys turn with their place; keys have no bias, whatever is stored."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = MaskedBiasLinear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, turns: Turns) -> Tensor:
        """Return what tokens (B,T,D) gather from each other."""
        parts = torch.unflatten(self.qkv(tokens), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        (query, key), value = _turned(parts[:2], turns), parts[2]
        gathered = functional.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.proj(gathered.transpose(1, 2).flatten(2))
        return mixed


class MaskedBiasLinear(nn.Linear):
    """A linear layer whose stored bias counts only where ``bias_mask`` is 1."""

    bias_mask: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        mask = torch.ones(3, outputs // 3)
        mask[1] = 0
        self.register_buffer("bias_mask", mask.flatten())

    def forward(self, input: Tensor) -> Tensor:
        """Return (…,outputs) of (…,inputs)."""
        return functional.linear(input, self.weight, self.bias * self.bias_mask)


class LayerScale(nn.Module):
    """One factor a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens (B,T,D) scaled."""
        return tokens * self.gamma


class SwiGlu(nn.Module):
    """A gated MLP: w3(silu(w1 x) · w2 x)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, hidden)
        self.w2 = nn.Linear(width, hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B,T,D) of (B,T,D)."""
        tokens = tokens.to(self.w1.weight.dtype)  # once for both
        out: Tensor = self.w3(functional.silu(self.w1(tokens)) * self.w2(tokens))
        return out


def _turned(parts: Tensor, turns: Turns) -> Tensor:
    """Turn queries and keys (…,T,width), reckoning in float32 whatever they are in."""
    first, second = parts.chunk(2, dim=-1)
    turned = (first * turns.cosine - second * turns.sine, second * turns.cosine + first * turns.sine)
    return torch.cat([half.to(parts.dtype) for half in turned], dim=-1)
