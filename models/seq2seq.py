"""seq2seq: translation by a recurrent encoder of the source sentence, and a recurrent decoder with attention to it."""

from typing import Literal

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.text import PAD, mask_of, masked_mean, reverse_words


class Additive(nn.Module):
    """Additive attention, v^T tanh(W s + U h): Bahdanau et al., arXiv:1409.0473."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_state, self.of_memory = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, memory: Tensor) -> Tensor:
        """Score the encoder's states `memory` for each decoder state: (N, T, D), (N, S, D) -> (N, T, S)."""
        both = self.of_state(states)[:, :, None] + self.of_memory(memory)[:, None]  # (N, T, S, D)
        return self.score(both.tanh()).squeeze(3)


class DotProduct(nn.Module):
    """Multiplicative attention, s^T W h: Luong et al., arXiv:1508.04025."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_memory = nn.Linear(width, width, bias=False)

    def forward(self, states: Tensor, memory: Tensor) -> Tensor:
        """Score the encoder's states `memory` for each decoder state: (N, T, D), (N, S, D) -> (N, T, S)."""
        return states @ self.of_memory(memory).transpose(1, 2)


ATTENTIONS = {"additive": Additive, "dot": DotProduct}


class Seq2Seq(nn.Module):
    """Encoder-decoder network: a bidirectional GRU encodes the source, a GRU with attention decodes the target.

    The logits come from the decoder's state combined with the attended source (Luong et al.). Sizes in comments: N
    sentences, S source tokens, T target tokens, D = `width`, V = `vocabulary_size`. Two unidirectional GRUs take the
    place of a bidirectional one, because they can be exported (see `reverse_words`).
    """

    def __init__(
        self,
        vocabulary_size: int,
        width: int = 256,
        attention: Literal["additive", "dot"] = "additive",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=PAD)
        self.ahead, self.back = (nn.GRU(width, width // 2, batch_first=True) for _ in range(2))
        self.first = nn.Linear(width, width)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.attention = ATTENTIONS[attention](width)
        self.mix = nn.Linear(2 * width, width)
        self.score = nn.Linear(width, vocabulary_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pairs: Tensor) -> Tensor:
        """Return logits, (N, T, V), of the token that follows each target token (teacher forcing).

        `pairs`, (N, T, 2), holds the ids of source tokens and of target tokens, both padded to length T.
        """
        source, target = pairs.unbind(dim=2)
        mask, memory, state = self.begin(source)
        states, _ = self.decoder(self.dropout(self.embedding(target)), state.unsqueeze(0))
        return self.write(states, memory, mask)[0]

    def begin(self, source: Tensor) -> list[Tensor]:
        """Encode source ids (N, S) and return the first state for `step`.

        It is a list of the mask (N, S), the encoder's states (N, S, D), and the decoder's hidden state (N, D).
        """
        mask = mask_of(source)
        words = self.dropout(self.embedding(source))
        ahead, _ = self.ahead(words)
        back, _ = self.back(reverse_words(words, mask))
        memory = torch.cat([ahead, reverse_words(back, mask)], dim=2)
        return [mask, memory, self.first(masked_mean(memory, mask)).tanh()]

    def step(self, tokens: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        """Decode one token, from the last token ids (N,) and the state that `begin` or the last `step` returned.

        Return the logits of the next token (N, V), the next state, and the attention weights (N, S).
        """
        mask, memory, hidden = state
        states, after = self.decoder(self.embedding(tokens[:, None]), hidden.unsqueeze(0).contiguous())
        logits, weights = self.write(states, memory, mask)
        return logits[:, 0], [mask, memory, after[0]], weights[:, 0]

    def write(self, states: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, T, V) of decoder states (N, T, D), and their attention weights (N, T, S)."""
        scores = self.attention(states, memory).masked_fill(~mask[:, None], float("-inf"))
        weights = scores.softmax(dim=2)
        mixed = self.mix(torch.cat([states, weights @ memory], dim=2)).tanh()
        return self.score(self.dropout(mixed)), weights


CARD = Card(
    name="seq2seq",
    task="translation",
    network=Seq2Seq,
    data="en_zh",
    input={"vocabulary_size": 4_000, "max_characters": 500, "max_tokens": 200},
    recipe=Recipe(epochs=10, batch_size=64, lr=3e-3, weight_decay=1e-2, label_smoothing=0.1, precision="bf16"),
    serving=Serving(batch_size=8),
    floor={"bleu_phrases": 60.0},
    anchor="BLEU 26.75 on WMT 2014 English-French (Bahdanau et al.)",
    source="Sutskever et al., arXiv:1409.3215; Bahdanau et al., arXiv:1409.0473",
    training_seconds=112,
)
