"""word2vec: words with similar contexts have similar vectors."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.card import Card, Recipe, Serving
from models.parts.text import PAD


class Word2Vec(nn.Module):
    """A vector for each word, and one for it as a context of others, which is used in training only."""

    def __init__(self, vocabulary_size: int, embedding_dim: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        self.company = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        for vectors in (self.embedding, self.company):
            nn.init.uniform_(vectors.weight, -0.5 / embedding_dim, 0.5 / embedding_dim)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the cosine similarity of each word to every word: (N,) -> (N, V)."""
        return normalize(self.embedding(ids)) @ normalize(self.embedding.weight).T

    def together(self, ids: Tensor, others: Tensor) -> Tensor:
        """Return the logits of each of K others being in the word's context: (N,), (N, K) -> (N, K)."""
        return torch.einsum("nd,nkd->nk", self.embedding(ids), self.company(others))


CARD = Card(
    name="word2vec",
    task="word_similarity",
    network=Word2Vec,
    data="reviews",
    input={"max_words": 1_000, "max_characters": 100},
    recipe=Recipe(epochs=5, batch_size=1024, lr=5e-3, optimizer="adam", schedule="cosine"),
    serving=Serving(batch_size=16),
    floor={"sensible": 0.7},
    anchor="no published figure for these reviews",
    source="Mikolov et al., arXiv:1310.4546: skip-gram with negative sampling, frequent words subsampled",
    training_seconds=59,
)
