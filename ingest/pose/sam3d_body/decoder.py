"""The promptable decoder: tokens ask each other, then the feature map (section 5, steps 1 to 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import DecoderConfig
from .feed_forward import FeedForward

NORM_EPS = 1e-6


class Decoder(nn.Module):
    """The layers and the norm before the heads; who runs them updates tokens in between."""

    def __init__(self, config: DecoderConfig, context: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([DecoderLayer(config, context, first=not number) for number in range(config.depth)])
        self.norm_final = nn.LayerNorm(config.width, eps=NORM_EPS)


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention to the map, feed-forward; places are normalised anew in each layer."""

    def __init__(self, config: DecoderConfig, context: int, first: bool) -> None:
        super().__init__()
        width = config.width
        self.first = first
        self.ln_pe_1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.ln_pe_2 = nn.LayerNorm(context, eps=NORM_EPS)
        self.ln1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.self_attn = Attention(width, width, config)
        self.ln2_1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.ln2_2 = nn.LayerNorm(context, eps=NORM_EPS)
        self.cross_attn = Attention(width, context, config)
        self.ln3 = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = FeedForward(width, config.hidden, width, nn.GELU())

    def forward(self, tokens: Tensor, context: Tensor, places: Tensor, code: Tensor, heard: Tensor | None = None) -> Tensor:
        """Return the tokens (B,T,C) after this layer.

        ``context`` (B,P,D) is the map, ``places`` (B,T,C) where tokens are, ``code`` (1,P,D) where patches are; ``heard``
        (B,T) says which tokens the others listen to, all where it is None.
        """
        where, code = self.ln_pe_1(places), self.ln_pe_2(code)
        own = self.ln1(tokens)
        asking = own if self.first else own + where
        tokens = tokens + self.self_attn(asking, asking, own, heard)
        seen = self.ln2_2(context)
        tokens = tokens + self.cross_attn(self.ln2_1(tokens) + where, seen + code, seen)
        bettered: Tensor = tokens + self.ffn(self.ln3(tokens))
        return bettered


class Attention(nn.Module):
    """Attention of C wide queries to D wide keys and values; all four linear layers have a bias."""

    def __init__(self, width: int, context: int, config: DecoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.heads * config.head_width
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(context, inner)
        self.v_proj = nn.Linear(context, inner)
        self.proj = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, heard: Tensor | None = None) -> Tensor:
        """Return what queries (B,T,C) gather from values (B,S,D) by keys (B,S,D); ``heard`` (B,S) leaves keys out."""
        parts = [
            torch.unflatten(layer(values), -1, (self.heads, -1)).transpose(1, 2)
            for layer, values in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        ]
        mask = None if heard is None else heard[:, None, None, :]
        gathered = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
        mixed: Tensor = self.proj(gathered.transpose(1, 2).flatten(2))
        return mixed
