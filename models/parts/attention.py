"""Multi-head attention and its layers (Vaswani et al., arXiv:1706.03762), with normalization first: deep stacks learn
without a long warm-up (Xiong et al., arXiv:2002.04745).

Shapes: N texts of T tokens, D features, H heads; S tokens are attended to. A mask is True where there is a token.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

Cache = tuple[Tensor, Tensor]  # keys and values: (N, H, S, D / H) each


class Attention(nn.Module):
    """Scaled dot-product attention with several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def look_up(self, x: Tensor) -> Cache:
        """Project the tokens that are attended to, (N, S, D), to keys and values."""
        return self._apart(self.key(x)), self._apart(self.value(x))

    def forward(self, x: Tensor, cache: Cache, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Attend from x, (N, T, D), to a cache, with mask (N, S): (N, T, D)."""
        seen = None if mask is None else mask[:, None, None]  # (N, 1, 1, S)
        read = scaled_dot_product_attention(self._apart(self.query(x)), *cache, attn_mask=seen, is_causal=causal)
        return self.out(read.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Return the attention weights, a mean over the heads: (N, T, S)."""
        scores = self._apart(self.query(x)) @ keys.transpose(2, 3) / math.sqrt(keys.shape[3])  # (N, H, T, S)
        return scores.masked_fill(~mask[:, None, None], float("-inf")).softmax(dim=3).mean(dim=1)

    def _apart(self, x: Tensor) -> Tensor:
        """Split the heads: (N, T, D) -> (N, H, T, D / H)."""
        return torch.unflatten(x, 2, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Two linear layers with four times the width between them."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width))


class EncoderLayer(nn.Module):
    """Self-attention of all tokens, and a feed-forward network."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(width, heads), FeedForward(width, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, T, D), (N, T) -> (N, T, D)."""
        y = self.norms[0](x)
        x = x + self.dropout(self.attention(y, self.attention.look_up(y), mask))
        return x + self.dropout(self.feed_forward(self.norms[1](x)))


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the source, and a feed-forward network."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.cross, self.feed_forward = (
            Attention(width, heads),
            Attention(width, heads),
            FeedForward(width, dropout),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, source: Cache, mask: Tensor, past: Cache | None = None) -> tuple[Tensor, Cache]:
        """Process a whole target, x (N, T, D), or only its next token, given the `past` of those before it.

        mask: (N, S), of the source. Returns the same shape, and the past for the next token.
        """
        y = self.norms[0](x)
        seen = self.attention.look_up(y)
        if past is not None:
            seen = tuple(torch.cat(parts, dim=2) for parts in zip(past, seen, strict=True))  # type: ignore[assignment]
        x = x + self.dropout(self.attention(y, seen, causal=past is None))
        x = x + self.dropout(self.cross(self.norms[1](x), source, mask))
        return x + self.dropout(self.feed_forward(self.norms[2](x))), seen


def positions(count: int, width: int) -> Tensor:
    """Return positional encodings, (T, D): sines and cosines of wavelengths from 2 pi to 20,000 pi.

    A shift is the same rotation at every position.
    """
    angles = torch.arange(count)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
