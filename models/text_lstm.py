"""A bidirectional LSTM over the words of a text."""

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.text import PAD, BiLSTM, mask_of, masked_max, masked_mean


class TextLSTM(nn.Module):
    """Embeddings, one LSTM forward and one backward, mean and max over the words, linear."""

    def __init__(
        self, vocabulary_size: int, num_classes: int = 2, embedding_dim: int = 128, hidden_size: int = 96
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        self.lstm = BiLSTM(embedding_dim, hidden_size)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(4 * hidden_size, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        mask = mask_of(ids)
        words = self.dropout(self.embedding(ids))  # (N, T) -> (N, T, D)
        states = self.lstm(words, mask)  # (N, T, 2H)
        pooled = torch.cat([masked_mean(states, mask), masked_max(states, mask)], dim=1)  # (N, 4H)
        return self.classifier(self.dropout(pooled))  # (N, num_classes)


CARD = Card(
    name="text_lstm",
    task="text_classification",
    network=TextLSTM,
    data="reviews",
    input={"max_words": 100, "max_characters": 10_000},
    # Whole reviews were labelled, then split into sentences, many of which express the opposite: smoothing helps.
    recipe=Recipe(epochs=4, batch_size=64, lr=2e-3, weight_decay=1e-2, label_smoothing=0.1, patience=2),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.82},
    anchor="93-94 % on microblogs",
    source="Hochreiter and Schmidhuber 1997; Schuster and Paliwal 1997",
    starter=True,
    training_seconds=28,
)
