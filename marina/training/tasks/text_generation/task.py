"""Text generation: the beginning of a text -> its continuation."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from handlers.codecs.phrases import END, PhraseCodec
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.losses import next_token
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.common import word_vectors
from marina.training.tasks.text_generation.ngram_model import NGrams

PIECE = 128  # tokens that are learnt from at once: longer texts are cut
ORDERS = (2, 3, 4)  # of n-grams: the best in validation is what is compared with


class TextGeneration(Task):
    """Inputs are tokens, targets the same tokens shifted by one."""

    METRIC = "perplexity"
    codec: PhraseCodec

    def __init__(self, card: Any, recipe: Any, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        weight = self.network.embedding.weight  # type: ignore[union-attr]
        assert isinstance(weight, Tensor)
        tokens, dimensions = weight.shape
        weight.data.copy_(word_vectors.pmi_vectors(self.train_examples.inputs, tokens, dimensions, recipe.seed))

    def prepare(self) -> None:
        self.codec = PhraseCodec.fit(self.data.train.inputs, **self.card.input)
        self.arguments = {"vocabulary_size": self.codec.size}

    def encode(self, split: Split) -> Examples:
        pieces = [piece for text in split.inputs for piece in self._pieces(text)]
        return Examples([piece[:-1] for piece in pieces], [piece[1:] for piece in pieces])

    def _pieces(self, text: str) -> list[Tensor]:
        """Return the pieces of a text and its <END>: each begins with the last token of the one before."""
        tokens = torch.cat([self.codec.numbers(text), torch.tensor([END])])
        return [tokens[start : start + PIECE + 1] for start in range(0, len(tokens) - 1, PIECE)]

    def new_metric(self) -> Metric:
        return next_token.NextToken()

    def loss(self, outputs: Tensor, targets: Sequence[Tensor]) -> Tensor:
        return next_token.next_token_loss(outputs, targets)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        """Yield texts to read, without text to generate."""
        for text in data.test.inputs:
            body = json.dumps({"text": text, "length": 0, "truncate": True}, ensure_ascii=False).encode()
            yield EvaluationRequest(body, "application/json", text)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the perplexity over all tokens of all texts, and per character, which is comparable between
        vocabularies.
        """
        del truths
        nats = math.fsum(response["tokens"] * math.log(response["perplexity"]) for response in responses)
        counts = {
            "": sum(response["tokens"] for response in responses),
            "_character": sum(len(it["text"]) for it in responses),
        }
        return {f"perplexity{unit}": math.exp(nats / count) for unit, count in counts.items()}

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return `below_ngram`: the share by which the perplexity is below that of the best n-gram model."""
        del truths, plots
        train, validation, test = (
            [self.codec.numbers(text[: self.codec.max_characters]).tolist() for text in split.inputs]
            for split in (self.data.train, self.data.validation, self.data.test)
        )
        models = [NGrams(train, order, self.codec.size) for order in ORDERS]
        best = min(models, key=lambda model: model.perplexity(validation))
        baseline = best.perplexity(test)
        reached = self.score((), responses)
        tokens = math.log(reached["perplexity_character"]) / math.log(reached["perplexity"])  # a character
        facts = {
            "ngram_perplexity": baseline,
            "ngram_perplexity_character": baseline**tokens,
            "ngram_order": best.order,
        }
        return {"below_ngram": 1 - reached["perplexity"] / baseline}, {"baselines": facts}
