"""BERT's encoder (Devlin et al., arXiv:1810.04805), into which published weights of that architecture fit."""

import torch
from torch import Tensor, nn

from models.parts.attention import Attention, positions
from models.parts.text import PAD, mask_of


class Layer(nn.Module):
    """Self-attention and a feed-forward network, with normalization last, as in BERT."""

    def __init__(self, width: int, heads: int, dropout: float, eps: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width, eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, T, D), (N, T) -> (N, T, D)."""
        x = self.attention_norm(x + self.dropout(self.attention(x, self.attention.look_up(x), mask)))
        return self.norm(x + self.dropout(self.narrow(nn.functional.gelu(self.wide(x)))))


class Embeddings(nn.Module):
    """Sum of the embeddings of token, position and sentence (first or second); id `separator`, <SEP>, ends each."""

    def __init__(
        self, vocabulary_size: int, separator: int, width: int, longest: int, dropout: float, eps: float
    ) -> None:
        super().__init__()
        self.separator = separator
        self.words = nn.Embedding(vocabulary_size, width, padding_idx=PAD)
        self.places = nn.Embedding(longest, width)
        self.sentences = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps)
        self.dropout = nn.Dropout(dropout)
        for embedding in (self.words, self.sentences):
            nn.init.normal_(embedding.weight, std=0.02)
        # Learned, but initialized as waves, for which a shift is the same rotation everywhere.
        self.places.weight.data.copy_(0.07 * positions(longest, width))

    def forward(self, ids: Tensor) -> Tensor:
        """(N, T) -> (N, T, D)."""
        ends = (ids == self.separator).long()
        sentence = (ends.cumsum(dim=1) - ends).clamp(max=1)  # <SEP> belongs to the sentence that it ends
        place = torch.arange(ids.shape[1], device=ids.device)
        return self.dropout(self.norm(self.words(ids) + self.places(place) + self.sentences(sentence)))


class Encoder(nn.Module):
    """Embeddings of one sentence or two, and layers of self-attention.

    BERT has to learn that neighbours matter. With few training texts this is built in: a convolution over `near`
    tokens comes first (as in Jiang et al., arXiv:2008.02496, within attention).
    """

    def __init__(
        self,
        vocabulary_size: int,
        separator: int,
        width: int,
        heads: int,
        layers: int,
        longest: int = 512,
        near: int = 0,
        dropout: float = 0.1,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.embeddings = Embeddings(vocabulary_size, separator, width, longest, dropout, eps)
        self.near = nn.Conv1d(width, width, near, padding=near // 2) if near else None
        self.layers = nn.ModuleList(Layer(width, heads, dropout, eps) for _ in range(layers))

    def forward(self, ids: Tensor) -> Tensor:
        """(N, T) -> (N, T, D)."""
        x, mask = self.embeddings(ids), mask_of(ids)
        if self.near is not None:
            seen = (x * mask.unsqueeze(2)).transpose(1, 2)  # (N, D, T): padding is zero
            x = x + nn.functional.gelu(self.near(seen).transpose(1, 2))
        for layer in self.layers:
            x = layer(x, mask)
        return x
