"""Metrics of a language model: perplexity per token and per character, and the gain over an n-gram model."""

from dataclasses import replace

import pytest

import models
from marina.training.data import Dataset, Split
from marina.training.tasks.text_generation.ngram_model import NGrams
from marina.training.tasks.text_generation.task import ORDERS, TextGeneration

CARD = models.find("rnn_lm")
TEXTS = ["房间干净，服务热情", "房间很小，服务热情", "屏幕清晰，键盘舒服"] * 4
# Six characters in three tokens: two characters a token.
RESPONSES = [{"text": "房间干净", "tokens": 2, "perplexity": 9.0}, {"text": "服务", "tokens": 1, "perplexity": 9.0}]


def test_perplexity_per_character_is_that_of_the_tokens_over_their_characters():
    assert TextGeneration.score((), RESPONSES) == pytest.approx({"perplexity": 9.0, "perplexity_character": 3.0})


def test_the_baseline_is_the_best_ngram_model_of_the_same_tokens(tmp_path):
    split = Split(TEXTS, TEXTS)
    task = TextGeneration(CARD, replace(CARD.recipe, epochs=1), Dataset(split, split, split))
    metrics, facts = task.report(TEXTS, RESPONSES, tmp_path)
    tokens = [task.codec.numbers(text).tolist() for text in TEXTS]
    best = min(NGrams(tokens, order, task.codec.size).perplexity(tokens) for order in ORDERS)
    assert facts["baselines"]["ngram_perplexity"] == pytest.approx(best)
    assert facts["baselines"]["ngram_perplexity_character"] == pytest.approx(best**0.5)
    assert metrics["below_ngram"] == pytest.approx(1 - 9.0 / best)
