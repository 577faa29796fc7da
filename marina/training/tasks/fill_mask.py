"""Masked language model: a text with gaps -> tokens for each gap."""

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
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.common import word_vectors

SENTENCE = re.compile(r"(?<=[。！？!?；;])")  # ends here
TOP = 5
MAX_TEST_TEXTS = 2_000  # texts
SHORTEST, LONGEST = 10, 100  # characters of those


class FillMask(Task):
    """Inputs are two sentences, tokens beside the numbers of their words, (T, 2); targets whether the second follows
    the first: in every other example it is from another text.
    """

    METRIC = "mlm_top5"
    codec: WordPieceCodec

    def __init__(self, card: Any, recipe: Any, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        network: Any = self.network
        weight: Tensor = network.features.embeddings.words.weight
        tokens, dimensions = weight.shape
        texts = [example[:, 0] for example in self.train_examples.inputs]
        weight.data.copy_(word_vectors.pmi_vectors(texts, tokens, dimensions, recipe.seed))

    def prepare(self) -> None:
        self.codec = WordPieceCodec.fit(self.data.train.inputs, **self.card.input)
        self.arguments = {"vocabulary_size": self.codec.size, "separator": self.codec.number("[SEP]")}

    def encode(self, split: Split) -> Examples:
        halves = [split_sentences(text) for text in split.inputs]
        order = np.random.default_rng(self.recipe.seed).permutation(len(halves))
        inputs, follows = [], []
        for place, (first, second) in enumerate(halves):
            true = place % 2 == 0
            inputs.append(self._tokens(first, second if true else halves[order[place]][1]))
            follows.append(float(true))
        return Examples(inputs, torch.tensor(follows))

    def _tokens(self, first: str, second: str) -> Tensor:
        """Return [CLS], the first sentence, [SEP], the second, [SEP], and the number of the word that each token
        belongs to, from 1: (T, 2).
        """
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
        shown, masked = mask_words(ids, words, self.mask, len(SPECIAL), self.codec.size)
        return shown, (ids, masked, follows)

    @cached_property
    def mask(self) -> int:
        return self.codec.number(MASK)

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Return the cross entropy of logits (M, V) of the masked tokens with targets (M,)."""
        return cross_entropy(outputs, targets)

    def losses(self, batch: tuple[Tensor, Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the losses of the words and of the next sentence, the logits of the words, (M, V), and the right ones,
        (M,).
        """
        shown, (ids, masked, follows) = batch
        network: Any = self.network
        states = network.features(shown)
        logits, right = network.words(states[masked]).float(), ids[masked]
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
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        """Yield each text without some whole words, drawn as in training, at least one: a gap for each of their
        characters, or one for a Latin word or a number.
        """
        random = np.random.default_rng(0)
        texts = [text for text in data.test.inputs if SHORTEST <= len(text) <= LONGEST]
        for text in texts[:MAX_TEST_TEXTS]:
            words = jieba.lcut(text)
            places = [place for place, word in enumerate(words) if masked_tokens(word)]
            if not places:
                continue
            drawn = random.random(len(places))
            out = {place for place, chance in zip(places, drawn, strict=True) if chance <= max(SHARE, drawn.min())}
            shown = [MASK * len(masked_tokens(word)) if place in out else word for place, word in enumerate(words)]
            body = json.dumps({"text": "".join(shown), "top": TOP}, ensure_ascii=False).encode()
            yield EvaluationRequest(
                body, "application/json", [one for place in sorted(out) for one in masked_tokens(words[place])]
            )

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the share of gaps whose token is the most probable, and is among the five most probable."""
        ranked = [
            (right, [one["token"] for one in tokens])
            for truth, response in zip(truths, responses, strict=True)
            for right, tokens in zip(truth, response["masks"], strict=True)
        ]
        return {
            "top1": sum(right == tokens[0] for right, tokens in ranked) / len(ranked),
            "top5": sum(right in tokens[:TOP] for right, tokens in ranked) / len(ranked),
        }

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return a few gaps and the predictions for them."""
        del plots
        shown = [
            {"right": truth, "said": [tokens[0]["token"] for tokens in response["masks"]]}
            for truth, response in zip(truths[:10], responses, strict=False)
        ]
        return {}, {"examples": shown}


def split_sentences(text: str) -> tuple[str, str]:
    """Split the text after the sentence that ends nearest to the middle, or in the middle where there is only one."""
    ends = [match.start() for match in SENTENCE.finditer(text) if 0 < match.start() < len(text)]
    middle = min(ends, key=lambda end: abs(end - len(text) / 2), default=len(text) // 2)
    return text[:middle], text[middle:]


def masked_tokens(word: str) -> list[str]:
    """Return the tokens of a word in the form that the codec reads; none where the word cannot be a gap."""
    read = unicodedata.normalize("NFKC", word).lower()
    if read.isascii() and read.isalnum():
        return [read]
    return list(read) if len(read) == len(word) and not any(map(str.isspace, read)) else []


def word_numbers(text: str) -> list[int]:
    """Return the number of jieba's word that each character belongs to."""
    return [number for number, word in enumerate(jieba.cut(text)) for _ in word]


SHARE = 0.15  # of the words
MASKED, SWAPPED = 0.8, 0.1  # of those; the rest stays unchanged, so that visible words are learned, too


def mask_words(ids: Tensor, words: Tensor, mask: int, special: int, size: int) -> tuple[Tensor, Tensor]:
    """Return the masked ids (N, T), and the places to predict, (N, T) of bool.

    `words` (N, T) numbers the word that each token belongs to, 0 for none. Whole words are masked (Cui et al.,
    arXiv:1906.08101); swapped tokens become one of those from `special` to `size`.
    """
    drawn = torch.rand(len(ids), int(words.max()) + 1, device=ids.device).gather(1, words)  # the same for all of a word
    masked = (drawn < SHARE) & (words > 0)
    fate = torch.rand(ids.shape, device=ids.device)
    shown = ids.masked_fill(masked & (fate < MASKED), mask)
    others = torch.randint(special, size, ids.shape, device=ids.device)
    return torch.where(masked & (fate >= 1 - SWAPPED), others, shown), masked
