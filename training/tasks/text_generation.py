"""The beginning of a text -> the rest of it."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from handlers.codecs.phrases import END, PhraseCodec
from training import embeddings, next_token
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.ngrams import NGrams
from training.requests import Request
from training.task import Task

PIECE = 128  # tokens that are learnt from at once: longer texts are cut
ORDERS = (2, 3, 4)  # of n-grams: the best in validation is what is compared with


class TextGeneration(Task):
    """Inputs are tokens, targets the same, one further on."""

    METRIC = "perplexity"
    codec: PhraseCodec

    def __init__(self, card: Any, recipe: Any, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        weight = self.network.embedding.weight  # type: ignore[union-attr]
        assert isinstance(weight, Tensor)
        tokens, dimensions = weight.shape
        weight.data.copy_(embeddings.vectors(self.train_examples.inputs, tokens, dimensions, recipe.seed))

    def prepare(self) -> None:
        self.codec = PhraseCodec.fit(self.data.train.inputs, **self.card.input)
        self.arguments = {"vocabulary_size": self.codec.size}

    def encode(self, split: Split) -> Examples:
        pieces = [piece for text in split.inputs for piece in self._pieces(text)]
        return Examples([piece[:-1] for piece in pieces], [piece[1:] for piece in pieces])

    def _pieces(self, text: str) -> list[Tensor]:
        """Of a text and its <END>: each goes on with the last token of the one before."""
        tokens = torch.cat([self.codec.numbers(text), torch.tensor([END])])
        return [tokens[start : start + PIECE + 1] for start in range(0, len(tokens) - 1, PIECE)]

    def new_metric(self) -> Metric:
        return next_token.NextToken()

    def loss(self, outputs: Tensor, targets: Sequence[Tensor]) -> Tensor:
        return next_token.loss(outputs, targets)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        """Texts to read, none to write."""
        for text in data.test.inputs:
            body = json.dumps({"text": text, "length": 0, "truncate": True}, ensure_ascii=False).encode()
            yield Request(body, "application/json", text)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The perplexity over all tokens of all texts; a character's can be compared with that of other tokens."""
        del truths
        nats = math.fsum(reply["tokens"] * math.log(reply["perplexity"]) for reply in replies)
        counts = {"": sum(reply["tokens"] for reply in replies), "_character": sum(len(it["text"]) for it in replies)}
        return {f"perplexity{unit}": math.exp(nats / count) for unit, count in counts.items()}

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """`below_ngram`: by which share the perplexity is below that of the best n-gram model."""
        del truths, plots
        train, validation, test = (
            [self.codec.numbers(text[: self.codec.max_characters]).tolist() for text in split.inputs]
            for split in (self.data.train, self.data.validation, self.data.test)
        )
        models = [NGrams(train, order, self.codec.size) for order in ORDERS]
        best = min(models, key=lambda model: model.perplexity(validation))
        baseline = best.perplexity(test)
        reached = self.score((), replies)
        tokens = math.log(reached["perplexity_character"]) / math.log(reached["perplexity"])  # a character
        facts = {
            "ngram_perplexity": baseline,
            "ngram_perplexity_character": baseline**tokens,
            "ngram_order": best.order,
        }
        return {"below_ngram": 1 - reached["perplexity"] / baseline}, {"baselines": facts}
