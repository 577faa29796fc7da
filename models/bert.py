"""BERT: a bidirectional encoder, pretrained on unlabelled texts; bert_classifier starts from its weights."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from models.card import Card, Recipe, Serving
from models.parts.bert import Encoder


class BERT(nn.Module):
    """A small encoder with BERT's two objectives: masked tokens and next sentence."""

    def __init__(
        self, vocabulary_size: int, separator: int, width: int = 256, heads: int = 4, layers: int = 3, near: int = 5
    ) -> None:
        super().__init__()
        # No dropout: different words are masked each time, and training is too short to overfit.
        self.features = Encoder(vocabulary_size, separator, width, heads, layers, 256, near, dropout=0.0)
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.pooler, self.follows = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """(N, T) -> (N, T, V): logits of the token at each position, masked or not."""
        return self.words(self.features(ids))

    def words(self, states: Tensor) -> Tensor:
        """Score each token by its own embedding: (..., D) -> (..., V)."""
        return linear(self.norm(gelu(self.transform(states))), self.features.embeddings.words.weight, self.bias)

    def next_sentence(self, states: Tensor) -> Tensor:
        """Return the logit, (N,), of the second sentence following the first, from the state of <CLS>: (N, T, D)."""
        return self.follows(self.pooler(states[:, 0]).tanh()).squeeze(1)


CARD = Card(
    name="bert",
    task="fill_mask",
    network=BERT,
    data="reviews",
    input={"max_characters": 2_000, "max_words": 126},
    recipe=Recipe(epochs=8, batch_size=32, lr=1e-3, weight_decay=1e-2, precision="bf16"),
    serving=Serving(batch_size=8),
    floor={"top5": 0.35},
    anchor="no published figure for these reviews",
    source="Devlin et al., arXiv:1810.04805; whole words are masked: Cui et al., arXiv:1906.08101",
    training_seconds=701,
)
