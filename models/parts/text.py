"""Layers and masks that text networks share. Id 0 is padding everywhere."""

import torch
from torch import Tensor, nn

PAD = 0


def mask_of(ids: Tensor) -> Tensor:
    """Return True where there is a word: (N, T) of int64 -> (N, T) of bool."""
    return ids != PAD


def reverse_words(x: Tensor, mask: Tensor) -> Tensor:
    """Reverse the words of each text, with its padding still at the end.

    Two plain LSTMs, one of them over reversed words, compute what a bidirectional one does over packed sequences;
    unlike packing, this exports to ONNX and torch.export. x: (N, T, D), mask: (N, T) -> (N, T, D).
    """
    lengths = mask.sum(dim=1, keepdim=True)  # (N, 1)
    position = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)  # (N, T)
    source = torch.where(position < lengths, lengths - 1 - position, position)
    return x.gather(1, source.unsqueeze(2).expand_as(x))


class BiLSTM(nn.Module):
    """One LSTM forward and one backward over the words."""

    def __init__(self, embedding_dim: int, hidden_size: int) -> None:
        super().__init__()
        self.forward_lstm = nn.LSTM(embedding_dim, hidden_size, batch_first=True)
        self.backward_lstm = nn.LSTM(embedding_dim, hidden_size, batch_first=True)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """(N, T, D), (N, T) -> (N, T, 2H)."""
        ahead, _ = self.forward_lstm(words)  # (N, T, H)
        back, _ = self.backward_lstm(reverse_words(words, mask))  # (N, T, H), from the last word to the first
        return torch.cat([ahead, reverse_words(back, mask)], dim=2)


def masked_max(x: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum over the words, without padding, so that no output depends on the rest of the batch.

    Zero for a text without words. x: (N, T, D), mask: (N, T) -> (N, D).
    """
    highest = x.masked_fill(~mask.unsqueeze(2), torch.finfo(x.dtype).min).amax(dim=1)
    return highest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the words, without padding. x: (N, T, D), mask: (N, T) -> (N, D)."""
    weights = mask.unsqueeze(2).to(x.dtype)
    return (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
