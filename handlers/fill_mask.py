"""A text with gaps -> what may stand in each of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.base import Reply, TaskHandler
from handlers.classification import Item
from handlers.codecs.text import PAD
from handlers.codecs.wordpieces import SPECIAL, WordPieceCodec
from handlers.errors import BadRequest
from handlers.replies import BOOLEAN, NUMBER, STRING, TEXT, array, schema
from handlers.row import Row
from handlers.words import Words

MASK = "[MASK]"


class FillMask(TaskHandler[Item[Words]]):
    """Explains the first gap by integrated gradients of the embeddings."""

    REQUEST: ClassVar[Mapping[str, Any]] = TEXT
    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        masks=array(array(schema(token=STRING, probability=NUMBER))),
        truncated=BOOLEAN,
        unknown=array(STRING),
    )
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=schema(token=STRING, probability=NUMBER),
        convergence_delta=NUMBER,
        words=array(schema(word=STRING, weight=NUMBER)),
    )

    def setup(self) -> None:
        self.codec = codecs.load(WordPieceCodec, self.folder)
        self.never = [self.codec.number(token) for token in SPECIAL]

    def decode(self, row: Row) -> Item[Words]:
        words = Words.of(row, self.codec)
        if MASK not in words.read:
            raise BadRequest("text", f"there is nothing to fill: write {MASK} where a token is wanted")
        return Item.of(row, words)

    def collate(self, items: list[Item[Words]]) -> Tensor:
        return pad_sequence(
            [self.codec.numbers(item.input.read) for item in items], batch_first=True, padding_value=PAD
        )

    def encode(self, output: Tensor, item: Item[Words]) -> Reply:
        """output: (T, V), padding's rows behind those of the tokens."""
        gaps = [place for place, word in enumerate(item.input.read) if word == MASK]
        chances = self.chances(output[gaps])
        best = chances.topk(min(item.top, chances.shape[1] - len(self.never)), dim=1)
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return {
            "masks": [[self._named(*one) for one in zip(*row, strict=True)] for row in rows],
            "truncated": item.input.truncated,
            "unknown": [word for word in dict.fromkeys(item.input.read) if not self.codec.knows(word)],
        }

    def chances(self, logits: Tensor) -> Tensor:
        """(..., V): none of the tokens that only we write."""
        never = torch.tensor(self.never, device=logits.device)
        return logits.float().index_fill(-1, never, float("-inf")).softmax(dim=-1)

    def _named(self, number: int, probability: float) -> dict[str, Any]:
        return {"token": self.codec.token(number), "probability": round(probability, 6)}

    def explain(self, item: Item[Words], target: str | None) -> Reply:
        batch, gap = self.collate([item]).to(self.device), item.input.read.index(MASK)
        with torch.inference_mode():
            chances = self.chances(self.network(batch)[0, gap])
        number = int(chances.argmax()) if target is None else self._number_of(target)
        features: Any = self.network.features
        attributions, delta = LayerIntegratedGradients(
            lambda ids: self.network(ids)[:, gap], features.embeddings
        ).attribute(
            batch,
            baselines=torch.full_like(batch, self.codec.number(MASK)),
            target=number,
            n_steps=self.card["serving"]["explain_steps"],
            internal_batch_size=self.card["serving"]["batch_size"],
            return_convergence_delta=True,
        )
        weights = attributions[0].sum(dim=1).tolist()  # (T, D) -> a number a word
        return {
            "target": self._named(number, float(chances[number])),
            "convergence_delta": float(delta),
            "words": [
                {"word": word, "weight": round(weight, 6)}
                for word, weight in zip(item.input.read, weights, strict=True)
            ],
        }

    def _number_of(self, token: str) -> int:
        words = self.codec.words(token)[1:-1]
        if len(words) != 1 or not self.codec.knows(words[0]) or words[0] in SPECIAL:
            raise BadRequest("target", f"{token[:20]!r} is not one known token")
        return self.codec.number(words[0])
