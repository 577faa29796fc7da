"""fastText: the mean of the vectors of all words and bigrams, and one linear layer."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.text import PAD, mask_of, masked_mean

MULTIPLIER = 116_049_371  # fastText's constant, which hashes the ids of two words


class Pairs(nn.Embedding):
    """A word's vector plus that of the bigram with the next word: it distinguishes "not good" from "good, not".

    There are too many bigrams for a vector each: a hash selects the vector (Weinberger et al. 2009).
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int, buckets: int) -> None:
        super().__init__(vocabulary_size, embedding_dim, padding_idx=PAD)
        self.pairs = nn.Embedding(buckets, embedding_dim, padding_idx=PAD)
        nn.init.zeros_(self.pairs.weight)  # bigrams that are not in the training set have no effect

    def forward(self, ids: Tensor) -> Tensor:
        following = nn.functional.pad(ids[:, 1:], (0, 1), value=PAD)  # (N, T)
        rows = 1 + (ids * MULTIPLIER + following) % (self.pairs.num_embeddings - 1)
        rows = rows.masked_fill((ids == PAD) | (following == PAD), PAD)
        return super().forward(ids) + self.pairs(rows)  # (N, T, D)


class FastText(nn.Module):
    """Word order counts within bigrams only; in return a prediction is very fast."""

    def __init__(
        self, vocabulary_size: int, num_classes: int = 2, embedding_dim: int = 128, buckets: int = 100_000
    ) -> None:
        super().__init__()
        self.embedding = Pairs(vocabulary_size, embedding_dim, buckets)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(embedding_dim, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        mean = masked_mean(self.dropout(self.embedding(ids)), mask_of(ids))  # (N, T) -> (N, T, D) -> (N, D)
        return self.classifier(mean)  # (N, num_classes)


CARD = Card(
    name="fasttext",
    task="text_classification",
    network=FastText,
    data="reviews",
    input={"max_words": 100, "max_characters": 10_000},
    # Whole reviews were labelled, then split into sentences, many of which express the opposite: smoothing helps.
    recipe=Recipe(epochs=3, batch_size=64, lr=5e-3, weight_decay=1e-2, label_smoothing=0.1, patience=2),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.82},
    anchor="93-94 % on microblogs",
    source="Joulin et al., arXiv:1607.01759",
    training_seconds=24,
)
