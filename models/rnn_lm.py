"""A recurrent language model: predicts the next token from all tokens before it."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from models.card import Card, Recipe, Serving
from models.parts.text import PAD

CELLS: dict[str, type[nn.RNN | nn.GRU | nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class SameUnits(nn.Module):
    """Dropout of the same units at every step (variational dropout)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout1d(share)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) -> (N, T, D)."""
        return self.dropout(x.transpose(1, 2)).transpose(1, 2)


class RNNLM(nn.Module):
    """Embeddings, `layers` recurrent layers of one kind of `cell`, and a score for every token.

    With `tied` weights a token is scored by its own embedding (Press and Wolf, arXiv:1608.05859). Dropout leaves out
    the same units at every step of a text (Gal and Ghahramani, arXiv:1512.05287).
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: Literal["rnn", "gru", "lstm"] = "lstm",
        layers: int = 1,
        hidden_size: int = 640,
        embedding_dim: int = 256,
        tied: bool = True,
        dropout: tuple[float, float] = (0.2, 0.4),  # of inputs; of hidden states
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        between = dropout[1] if layers > 1 else 0.0
        self.rnn = CELLS[cell](embedding_dim, hidden_size, layers, batch_first=True, dropout=between)
        self.read_dropout, self.remembered_dropout = map(SameUnits, dropout)
        self.project = nn.Linear(hidden_size, embedding_dim)  # embeddings are smaller than hidden states
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.scores = None if tied else nn.Parameter(torch.randn(vocabulary_size, embedding_dim) * embedding_dim**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """(N, T) -> (N, T, V): the logits of the token after each."""
        return self.read(ids, None)[0]

    def read(self, ids: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Continue from `state`, None at the beginning: logits (N, T, V), and the state after the last token.

        A state is (N, S, L, H) with L layers; S is 2 for an LSTM (hidden and cell state), otherwise 1.
        """
        words = self.read_dropout(self.embedding(ids))  # (N, T, D)
        states, last = self.rnn(words, None if state is None else self._parts(state))  # (N, T, H)
        parts = last if isinstance(last, tuple) else (last,)  # (L, N, H) each
        weight = self.embedding.weight if self.scores is None else self.scores
        asked = self.read_dropout(self.project(self.remembered_dropout(states)))  # (N, T, D)
        logits = linear(asked, weight, self.bias)
        return logits, torch.stack(parts).permute(2, 0, 1, 3)

    def _parts(self, state: Tensor) -> Tensor | tuple[Tensor, ...]:
        parts = tuple(part.contiguous() for part in state.permute(1, 2, 0, 3))
        return parts if isinstance(self.rnn, nn.LSTM) else parts[0]


CARD = Card(
    name="rnn_lm",
    task="text_generation",
    network=RNNLM,
    data="reviews",
    input={"vocabulary_size": 8_000, "max_characters": 2_000},
    recipe=Recipe(epochs=8, batch_size=8, lr=2e-3, schedule="cosine", weight_decay=3e-2, patience=2, precision="bf16"),
    serving=Serving(batch_size=16, continuous_batching=True),
    floor={"below_ngram": 0.25},
    anchor="no published figure for these reviews",
    source="Mikolov et al. 2010; Hochreiter and Schmidhuber 1997; Zaremba et al., arXiv:1409.2329",
    training_seconds=760,
)
