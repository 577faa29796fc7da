"""A word -> the words that are used like it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jieba
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torchmetrics import MeanMetric, Metric

from handlers.codecs.text import SPECIAL, TextCodec
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.requests import Request
from training.task import Task
from training.word_list import RELATED

MIN_COUNT = 5  # of a word: of rarer ones too little is known
WINDOW = 5  # words to either side, the nearer the more often
NEGATIVES = 5  # words that are not near, for each that is
FREQUENT = 1e-3  # of all words: more frequent ones are left out now and then
NOISE = 0.75  # as the exponent of a word's frequency, when negatives are drawn
TOP = 5


class WordSimilarity(Task):
    """Inputs are words, (N,), targets the words near them, (N,); negatives are drawn anew for each batch."""

    METRIC = "told_apart"
    codec: TextCodec

    def prepare(self) -> None:
        self.codec = TextCodec.fit(self.data.train.inputs, stop_words=[], **self.card.input, min_count=MIN_COUNT)
        self.arguments = {"vocabulary_size": len(self.codec.vocabulary)}

    def encode(self, split: Split) -> Examples:
        """Every pair of neighbours, in texts whose frequent words were thinned out: the same ones each time."""
        generator = torch.Generator().manual_seed(self.recipe.seed)
        texts = [numbers[numbers >= len(SPECIAL)] for numbers in map(self._numbers, split.inputs)]
        kept = self._kept(torch.cat(texts))
        pairs = []
        for text in texts:
            thin = text[torch.rand(len(text), generator=generator) < kept[text]]
            reach = torch.randint(1, WINDOW + 1, (len(thin),), generator=generator)
            for distance in range(1, min(WINDOW, len(thin) - 1) + 1):
                ahead, behind = thin[:-distance], thin[distance:]
                pairs.append(torch.stack([ahead, behind])[:, reach[:-distance] >= distance])
                pairs.append(torch.stack([behind, ahead])[:, reach[distance:] >= distance])
        words, near = torch.cat(pairs, dim=1)
        return Examples(words, near)

    def _numbers(self, text: str) -> Tensor:
        return self.codec.numbers(self.codec.words(text))

    def _kept(self, words: Tensor) -> Tensor:
        """(V,): how likely an occurrence of each word is to be looked at."""
        shares = words.bincount(minlength=len(self.codec.vocabulary)) / len(words)
        return (FREQUENT / shares).sqrt().clamp(max=1)

    @cached_property
    def noise(self) -> Tensor:
        """(V,): how likely each word is drawn as one that is not near."""
        counts = self.train_examples.inputs.bincount(minlength=len(self.codec.vocabulary))  # type: ignore[union-attr]
        return counts.double() ** NOISE

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """outputs (N, 1 + K): logits of one that is near, and of K that are not; a mean over the N."""
        return bce(outputs, targets, reduction="sum") / len(outputs)

    def _outputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        words, near = batch
        drawn = torch.multinomial(self.noise, len(words) * NEGATIVES, replacement=True).view(-1, NEGATIVES)
        network: Any = self.network
        outputs = network.together(words, torch.cat([near[:, None], drawn.to(near)], dim=1)).float()
        return outputs, torch.eye(1, 1 + NEGATIVES, device=outputs.device).expand_as(outputs)

    def training_step(self, batch: tuple[Tensor, Any], _: int) -> Tensor:
        loss = self.loss(*self._outputs(batch))
        self.log("loss/train", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        """How often the word that is near scores above the mean of those that are not."""
        outputs, targets = self._outputs(batch)
        self.metric.update((outputs[:, 0] > outputs[:, 1:].mean(dim=1)).float())
        self.log("loss/validation", self.loss(outputs, targets), batch_size=len(outputs), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        """The listed words that the texts often have; of texts in another language, what they have most often."""
        counts = Counter(word for text in data.train.inputs for word in jieba.cut(text))
        listed = [word for word in RELATED if counts[word] >= MIN_COUNT]
        often = [word for word, count in counts.most_common(50) if word.isalpha() and count >= MIN_COUNT]
        for word in listed or often:
            body = json.dumps({"text": word, "top": TOP}, ensure_ascii=False).encode()
            yield Request(body, "application/json", word)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """`sensible`: the share of the listed words with at least one of their related words among the nearest five."""
        found = [
            any(neighbour["word"] in RELATED[word] for neighbour in reply["neighbours"])
            for word, reply in zip(truths, replies, strict=True)
            if word in RELATED
        ]
        return {"sensible": sum(found) / len(found), "listed": float(len(found))} if found else {}

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        del plots
        named = zip(truths, replies, strict=True)
        return {}, {"neighbours": {word: [one["word"] for one in reply["neighbours"]] for word, reply in named}}
