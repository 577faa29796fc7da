"""A text with gaps -> what may stand in each of them."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jieba
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchmetrics import MeanMetric, Metric

from handlers.codecs.wordpieces import SPECIAL, WordPieceCodec
from handlers.fill_mask import MASK
from training import embeddings
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.masking import SHARE, masked
from training.requests import Request
from training.task import Task

SENTENCE = re.compile(r"(?<=[。！？!?；;])")  # ends here
TOP = 5
TESTED = 2_000  # texts
SHORTEST, LONGEST = 10, 100  # characters of those


class FillMask(Task):
    """Inputs are two sentences, tokens beside the numbers of their words, (T, 2); targets say whether the second
    follows the first: in every other example it is another text's."""

    METRIC = "mlm_top5"
    codec: WordPieceCodec

    def __init__(self, card: Any, recipe: Any, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        network: Any = self.network
        weight: Tensor = network.features.embeddings.words.weight
        tokens, dimensions = weight.shape
        texts = [example[:, 0] for example in self.train_examples.inputs]
        weight.data.copy_(embeddings.vectors(texts, tokens, dimensions, recipe.seed))

    def prepare(self) -> None:
        self.codec = WordPieceCodec.fit(self.data.train.inputs, **self.card.input)
        self.arguments = {"vocabulary_size": self.codec.size, "separator": self.codec.number("[SEP]")}

    def encode(self, split: Split) -> Examples:
        halves = [halved(text) for text in split.inputs]
        order = np.random.default_rng(self.recipe.seed).permutation(len(halves))
        inputs, follows = [], []
        for place, (first, second) in enumerate(halves):
            true = place % 2 == 0
            inputs.append(self._tokens(first, second if true else halves[order[place]][1]))
            follows.append(float(true))
        return Examples(inputs, torch.tensor(follows))

    def _tokens(self, first: str, second: str) -> Tensor:
        """(T, 2): [CLS], the first sentence, [SEP], the second, [SEP]; and the word that each token is of, from 1."""
        room = self.codec.max_words - 1  # a second [SEP] takes one
        rows = [(self.codec.number("[CLS]"), 0)]
        for text, share in ((first, room // 2), (second, room - room // 2)):
            words, start = word_numbers(text), 1 + max(number for _, number in rows)
            pieces = self.codec.pieces(text)[:share]
            rows += [(self.codec.number(token), start + words[begin]) for token, (begin, _) in pieces]
            rows.append((self.codec.number("[SEP]"), 0))
        return torch.tensor(rows)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Any], dataloader_idx: int) -> tuple[Tensor, Any]:
        del dataloader_idx
        rows, follows = batch
        ids, words = rows.unbind(dim=2)
        shown, wanted = masked(ids, words, self.mask, len(SPECIAL), self.codec.size)
        return shown, (ids, wanted, follows)

    @cached_property
    def mask(self) -> int:
        return self.codec.number(MASK)

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """outputs: logits (M, V) of the tokens to guess; targets (M,)."""
        return cross_entropy(outputs, targets)

    def losses(self, batch: tuple[Tensor, Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of the words and of the next sentence; the logits of the words, (M, V), and the right ones, (M,)."""
        shown, (ids, wanted, follows) = batch
        network: Any = self.network
        states = network.features(shown)
        logits, right = network.words(states[wanted]).float(), ids[wanted]
        after = binary_cross_entropy_with_logits(network.next_sentence(states).float(), follows)
        return self.loss(logits, right), after, logits, right

    def training_step(self, batch: tuple[Tensor, Any], batch_idx: int) -> Tensor:
        del batch_idx
        words, after, *_ = self.losses(batch)
        self.log_dict({"loss/train": words, "loss/next_sentence": after}, prog_bar=True)
        return words + after

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        words, after, logits, right = self.losses(batch)
        self.metric.update((logits.topk(TOP, dim=1).indices == right[:, None]).any(dim=1).float())
        self.log_dict({"loss/validation": words, "loss/next_sentence_validation": after}, batch_size=len(batch[0]))
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        """Of each text whole words are left out, drawn as in training, one at least: a gap for each of their
        characters, or one for a Latin word or a number."""
        random = np.random.default_rng(0)
        texts = [text for text in data.test.inputs if SHORTEST <= len(text) <= LONGEST]
        for text in texts[:TESTED]:
            words = jieba.lcut(text)
            places = [place for place, word in enumerate(words) if asked_for(word)]
            if not places:
                continue
            drawn = random.random(len(places))
            out = {place for place, chance in zip(places, drawn, strict=True) if chance <= max(SHARE, drawn.min())}
            shown = [MASK * len(asked_for(word)) if place in out else word for place, word in enumerate(words)]
            body = json.dumps({"text": "".join(shown), "top": TOP}, ensure_ascii=False).encode()
            yield Request(body, "application/json", [one for place in sorted(out) for one in asked_for(words[place])])

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The share of gaps whose token is the likeliest, and is among the five likeliest."""
        ranked = [
            (right, [one["token"] for one in tokens])
            for truth, reply in zip(truths, replies, strict=True)
            for right, tokens in zip(truth, reply["masks"], strict=True)
        ]
        return {
            "top1": sum(right == tokens[0] for right, tokens in ranked) / len(ranked),
            "top5": sum(right in tokens[:TOP] for right, tokens in ranked) / len(ranked),
        }

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """A few gaps, and what was said."""
        del plots
        shown = [
            {"right": truth, "said": [tokens[0]["token"] for tokens in reply["masks"]]}
            for truth, reply in zip(truths[:10], replies, strict=False)
        ]
        return {}, {"examples": shown}


def halved(text: str) -> tuple[str, str]:
    """Cut after the sentence that ends nearest to the middle, or in the middle where there is only one."""
    ends = [match.start() for match in SENTENCE.finditer(text) if 0 < match.start() < len(text)]
    middle = min(ends, key=lambda end: abs(end - len(text) / 2), default=len(text) // 2)
    return text[:middle], text[middle:]


def asked_for(word: str) -> list[str]:
    """The tokens of a word as they are read; none where there is nothing to ask for."""
    read = unicodedata.normalize("NFKC", word).lower()
    if read.isascii() and read.isalnum():
        return [read]
    return list(read) if len(read) == len(word) and not any(map(str.isspace, read)) else []


def word_numbers(text: str) -> list[int]:
    """The number of jieba's word that each character is of."""
    return [number for number, word in enumerate(jieba.cut(text)) for _ in word]
