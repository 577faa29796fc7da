"""Text classification: texts -> classes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handlers.codecs.wordpieces import WordPieceCodec
from handlers.codecs.words import PAD, UNK, TextCodec
from marina.training import pretrained
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest
from marina.training.tasks.common import word_vectors
from marina.training.tasks.common.classification import Classification
from marina.training.tasks.text_classification import baselines, teacher
from models.card import Card, Recipe

UNKNOWN = "unknown"  # what `augment` calls it
HIDDEN = 0.2  # of the words, where it is named


class TextClassification(Classification):
    """Texts lie in memory as the numbers of their words, and are batched with others of about the same length."""

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        if recipe.pretrained is not None:
            return
        embedding = self.network.embedding
        assert isinstance(embedding, nn.Embedding)
        words, dimensions = embedding.weight.shape
        texts = self.train_examples.inputs
        embedding.weight.data.copy_(word_vectors.pmi_vectors(texts, words, dimensions, recipe.seed))
        if recipe.teacher:
            documents = [(self.words(text), self.codec.clean(text)) for text in data.train.inputs]
            labels = torch.tensor(data.train.targets)
            print(f"  {card.name}: its teacher reads {len(documents)} texts", flush=True)
            self.train_examples.targets = teacher.soft_targets(documents, labels, len(data.labels), recipe.teacher)

    def prepare(self) -> None:
        if strange := set(self.recipe.augment) - {UNKNOWN}:
            raise ValueError(f"no augmentation {', '.join(sorted(strange))} of texts; there is: {UNKNOWN}")
        # No stop words: HIT's list (which holds 不如, 不成, 别, ...) lowered text_cnn's test accuracy by 0.6 points;
        # without such negations it moved by less than the noise, 0.7 points.
        self.arguments = {"num_classes": len(self.data.labels)}
        if self.recipe.pretrained is None:
            self.codec: Any = TextCodec.fit(self.data.train.inputs, stop_words=[], **self.card.input)
            self.arguments["vocabulary_size"] = len(self.codec.vocabulary)
        else:
            known = pretrained.find(self.recipe.pretrained)
            assert known.tokenizer is not None
            self.codec = WordPieceCodec(known.tokenizer(), **self.card.input)
            self.arguments |= {"vocabulary_size": self.codec.size, "separator": self.codec.number("[SEP]")}
            self.arguments |= known.arguments
        self.words = cache(self.codec.words)  # cutting takes longer than all else here: once a text

    def encode(self, split: Split) -> Examples:
        numbers = [self.codec.numbers(self.words(text)) for text in split.inputs]
        return Examples(numbers, torch.tensor(split.targets))

    def inputs(self, batch: Tensor) -> Tensor:
        """Return the batch, (N, T), in training with some words replaced by the unknown word: no prediction should
        depend on one word.
        """
        if not (self.training and self.recipe.augment):
            return batch
        hidden = torch.rand(batch.shape, device=batch.device) < HIDDEN
        return batch.masked_fill(hidden & (batch != PAD), UNK)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for text, target in zip(data.test.inputs, data.test.targets, strict=True):
            body = json.dumps({"text": text, "truncate": True}, ensure_ascii=False).encode()
            yield EvaluationRequest(body, "application/json", data.labels[target])

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        metrics, facts = super().report(truths, replies, plots)
        found = baselines.accuracies(self.words, self.data)
        if self.recipe.pretrained is not None:
            found["frozen_features"] = baselines.frozen_feature_accuracy(self)
            metrics["above_frozen"] = self.score(truths, replies)["accuracy"] - found["frozen_features"]
        return metrics, {**facts, "baselines": found}
