"""The Transformer: an encoder of the source and a decoder of its translation."""

import math

from torch import Tensor, nn
from torch.nn.functional import linear

from models.card import Card, Recipe, Serving
from models.parts.attention import DecoderLayer, EncoderLayer, positions
from models.parts.text import PAD, mask_of

LONGEST = 512  # tokens that have a position


class Transformer(nn.Module):
    """One embedding for both languages, which also scores the target's tokens."""

    def __init__(
        self, vocabulary_size: int, width: int = 192, heads: int = 4, layers: int = 3, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.encoder = nn.ModuleList(EncoderLayer(width, heads, dropout) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(width, heads, dropout) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))  # of the outputs of encoder and decoder
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("positions", positions(LONGEST, width), persistent=False)

    def forward(self, pairs: Tensor) -> Tensor:
        """(N, T, 2): sources and targets, side by side -> (N, T, V): logits of the token after each of the target."""
        source, target = pairs.unbind(dim=2)
        mask = mask_of(source)
        memory = self.encode(source, mask)
        x = self.embed(target, 0)
        for layer in self.decoder:
            x, _ = layer(x, layer.cross.look_up(memory), mask)  # type: ignore[union-attr,operator]
        return self.score(x)

    def begin(self, source: Tensor) -> list[Tensor]:
        """Encode sources (N, S) and return the decoder's first state, each part batch first.

        It is the mask of the source; then for each layer the keys and values of the source, and those of the target,
        which are still empty.
        """
        mask = mask_of(source)
        memory = self.encode(source, mask)
        state = [mask]
        for layer in self.decoder:
            keys, values = layer.cross.look_up(memory)  # type: ignore[union-attr,operator]
            state += [keys, values, keys[:, :, :0], values[:, :, :0]]
        return state

    def step(self, tokens: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        """Decode one token: the last tokens (N,) -> logits of the next (N, V), the next state, and attention (N, S).

        The attention to the source is that of the last layer.
        """
        mask, *caches = state
        x, after = self.embed(tokens[:, None], caches[2].shape[2]), [mask]
        for number, layer in enumerate(self.decoder):
            keys, values, *past = caches[4 * number : 4 * number + 4]
            y = x
            x, seen = layer(x, (keys, values), mask, tuple(past))
            after += [keys, values, *seen]
        looked = layer.cross.weights(layer.norms[1](y), keys, mask)  # type: ignore[union-attr,operator,index]
        return self.score(x)[:, 0], after, looked[:, 0]

    def encode(self, source: Tensor, mask: Tensor) -> Tensor:
        """Encode sources: (N, S) -> (N, S, D)."""
        x = self.embed(source, 0)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.norms[0](x)

    def embed(self, ids: Tensor, start: int) -> Tensor:
        """Embed tokens, the first of them at position `start`: (N, T) -> (N, T, D)."""
        assert isinstance(self.positions, Tensor)
        scaled = self.embedding(ids) * math.sqrt(self.embedding.embedding_dim)
        return self.dropout(scaled + self.positions[start : start + ids.shape[1]])

    def score(self, x: Tensor) -> Tensor:
        """Return the logits of states: (N, T, D) -> (N, T, V)."""
        return linear(self.norms[1](x), self.embedding.weight)


CARD = Card(
    name="transformer",
    task="translation",
    network=Transformer,
    data="en_zh",
    input={"vocabulary_size": 4_000, "max_characters": 500, "max_tokens": 200},
    recipe=Recipe(epochs=20, batch_size=64, lr=2e-3, weight_decay=1e-2, label_smoothing=0.1, precision="bf16"),
    serving=Serving(batch_size=8),
    floor={"bleu_phrases": 60.0},
    anchor="BLEU 28.4 on WMT 2014 English-German (base: 27.3)",
    source="Vaswani et al., arXiv:1706.03762, with normalisation first",
    training_seconds=554,
)
