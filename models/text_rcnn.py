"""TextRCNN: each word with its left and right context, and the maximum over all words."""

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.text import PAD, BiLSTM, mask_of, masked_max


class TextRCNN(nn.Module):
    """A bidirectional LSTM gives the contexts; a layer over context, word and context; max over the words; linear."""

    def __init__(
        self, vocabulary_size: int, num_classes: int = 2, embedding_dim: int = 128, hidden_size: int = 96
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        self.contexts = BiLSTM(embedding_dim, hidden_size)
        self.features = nn.Linear(embedding_dim + 2 * hidden_size, 2 * hidden_size)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        mask = mask_of(ids)
        words = self.dropout(self.embedding(ids))  # (N, T) -> (N, T, D)
        placed = torch.cat([self.contexts(words, mask), words], dim=2)  # (N, T, 2H + D)
        pooled = masked_max(self.features(placed).tanh(), mask)  # (N, 2H)
        return self.classifier(self.dropout(pooled))  # (N, num_classes)


CARD = Card(
    name="text_rcnn",
    task="text_classification",
    network=TextRCNN,
    data="reviews",
    input={"max_words": 100, "max_characters": 10_000},
    # Whole reviews were labelled, then split into sentences, many of which express the opposite: smoothing helps.
    recipe=Recipe(epochs=4, batch_size=64, lr=2e-3, weight_decay=1e-2, label_smoothing=0.1, patience=2),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.82},
    anchor="93-94 % on microblogs",
    source="Lai et al. 2015, Recurrent convolutional neural networks for text classification",
    training_seconds=38,
)
