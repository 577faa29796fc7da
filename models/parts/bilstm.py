"""A bidirectional LSTM for batches of sequences of different lengths."""

import torch
from torch import Tensor, fx, nn

from models.parts.text import reverse_words

fx.wrap("reverse_words")  # batch normalization is folded by tracing, which fails on torch.arange


class BiLSTM(nn.Module):
    """One LSTM forward and one backward, each over a sequence's own steps: padding at the end has no effect."""

    def __init__(self, in_features: int, hidden_size: int) -> None:
        super().__init__()
        self.ahead = nn.LSTM(in_features, hidden_size, batch_first=True)
        self.back = nn.LSTM(in_features, hidden_size, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (N, T, D), mask: (N, T), True where a step is real -> (N, T, 2 * hidden_size)."""
        ahead = self.ahead(x)[0]
        back = self.back(reverse_words(x, mask))[0]
        return torch.cat([ahead, reverse_words(back, mask)], dim=2)
