"""fastText: the mean of the vectors of all words and pairs of neighbours, and one linear layer."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.text import PAD, mask_of, masked_mean

MULTIPLIER = 116_049_371  # fastText's, to mix the numbers of two words


class Pairs(nn.Embedding):
    """A word's vector plus one of the word and the next: without it "not good" would be what "good, not" is.

    There are too many pairs for a row each: which row a pair has, a hash says (Weinberger et al. 2009).
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int, buckets: int) -> None:
        super().__init__(vocabulary_size, embedding_dim, padding_idx=PAD)
        self.pairs = nn.Embedding(buckets, embedding_dim, padding_idx=PAD)
        nn.init.zeros_(self.pairs.weight)  # a pair that training never saw says nothing

    def forward(self, ids: Tensor) -> Tensor:
        following = nn.functional.pad(ids[:, 1:], (0, 1), value=PAD)  # (N, T)
        rows = 1 + (ids * MULTIPLIER + following) % (self.pairs.num_embeddings - 1)
        rows = rows.masked_fill((ids == PAD) | (following == PAD), PAD)
        return super().forward(ids) + self.pairs(rows)  # (N, T, D)


class FastText(nn.Module):
    """Order counts within pairs only; in return a text costs next to nothing."""

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
    # The reviews were labelled as wholes and cut into sentences, many of which say the opposite: smoothing helps.
    recipe=Recipe(epochs=3, batch_size=64, lr=5e-3, weight_decay=1e-2, label_smoothing=0.1, patience=2),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.82},
    anchor="93-94 % on microblogs",
    source="Joulin et al., arXiv:1607.01759",
)
