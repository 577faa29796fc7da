"""TextCNN: parallel convolutions over word embeddings detect relevant phrases."""

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.text import PAD, mask_of, masked_max


class TextCNN(nn.Module):
    """Windows of 1 to 4 words, 200 filters each, max over time, dropout, linear."""

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int = 2,
        embedding_dim: int = 256,
        filters: int = 200,
        windows: tuple[int, ...] = (1, 2, 3, 4),
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        # Padding of window - 1 allows even texts of one word: every window that contains a word is scored.
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_dim, filters, kernel_size=window, padding=window - 1) for window in windows
        )
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(filters * len(windows), num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        words = self.dropout(self.embedding(ids)).transpose(1, 2)  # (N, T) -> (N, D, T)
        mask = mask_of(ids)
        pooled = []
        for convolution in self.convolutions:
            scores = convolution(words).relu().transpose(1, 2)  # (N, T + window - 1, filters)
            reach = nn.functional.pad(mask, (0, scores.shape[1] - mask.shape[1]))
            pooled.append(masked_max(scores, reach))  # (N, filters): windows that end in padding are left out
        return self.classifier(self.dropout(torch.cat(pooled, dim=1)))  # (N, num_classes)


CARD = Card(
    name="text_cnn",
    task="text_classification",
    network=TextCNN,
    data="reviews",
    input={"max_words": 200, "max_characters": 10_000},
    # Whole reviews were labelled, then split into sentences, many of which express the opposite: a teacher model helps.
    recipe=Recipe(
        epochs=8,
        batch_size=64,
        lr=1e-3,
        weight_decay=1e-2,
        augment=("unknown",),
        teacher=0.6,
        patience=2,
        precision="bf16",
    ),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.83},
    anchor="93-94 % on microblogs",
    source="Kim, arXiv:1408.5882",
    training_seconds=131,
)
