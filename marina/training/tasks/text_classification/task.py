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

UNKNOWN = "unknown"  # augmentation, as named in Recipe.augment: replace some words with the unknown word
REPLACED = 0.2  # share of the words that it replaces


class TextClassification(Classification):
    """Text classification. Examples are token ids of the texts, (T,), batched with texts of similar length.

    Without pretrained weights, the embedding starts from PMI word vectors of the training texts, and a teacher model
    may soften the training labels (knowledge distillation).
    """

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
            print(f"  {card.name}: teacher model predicts soft labels of {len(documents)} texts", flush=True)
            self.train_examples.targets = teacher.soft_targets(documents, labels, len(data.labels), recipe.teacher)

    def prepare(self) -> None:
        if unsupported := set(self.recipe.augment) - {UNKNOWN}:
            raise ValueError(f"no augmentation {', '.join(sorted(unsupported))} of texts; there is: {UNKNOWN}")
        # No stop words: the HIT list contains negations (不如, 不成, 别, ...), and lowered text_cnn's test accuracy by
        # 0.6 points. Without the negations, the list changed the accuracy by less than the noise, 0.7 points.
        self.arguments = {"num_classes": len(self.data.labels)}
        if self.recipe.pretrained is None:
            self.codec: Any = TextCodec.fit(self.data.train.inputs, stop_words=[], **self.card.input)
            self.arguments["vocabulary_size"] = len(self.codec.vocabulary)
        else:
            weights = pretrained.find(self.recipe.pretrained)
            assert weights.tokenizer is not None
            self.codec = WordPieceCodec(weights.tokenizer(), **self.card.input)
            self.arguments |= {"vocabulary_size": self.codec.size, "separator": self.codec.number("[SEP]")}
            self.arguments |= weights.arguments
        self.words = cache(self.codec.words)  # word segmentation is the slowest step: do it once per text

    def encode(self, split: Split) -> Examples:
        ids = [self.codec.numbers(self.words(text)) for text in split.inputs]
        return Examples(ids, torch.tensor(split.targets))

    def inputs(self, batch: Tensor) -> Tensor:
        """Return the batch of token ids, (N, T), padding included.

        In training with the augmentation `unknown`, a random share of the words is replaced with the unknown word, so
        that no prediction comes to depend on a single word.
        """
        if not (self.training and self.recipe.augment):
            return batch
        replaced = torch.rand(batch.shape, device=batch.device) < REPLACED
        return batch.masked_fill(replaced & (batch != PAD), UNK)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for text, target in zip(data.test.inputs, data.test.targets, strict=True):
            body = json.dumps({"text": text, "truncate": True}, ensure_ascii=False).encode()
            yield EvaluationRequest(body, "application/json", data.labels[target])

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        metrics, facts = super().report(truths, responses, plots)
        accuracies = baselines.accuracies(self.words, self.data)
        if self.recipe.pretrained is not None:
            accuracies["frozen_features"] = baselines.frozen_feature_accuracy(self)
            metrics["above_frozen"] = self.score(truths, responses)["accuracy"] - accuracies["frozen_features"]
        return metrics, {**facts, "baselines": accuracies}
