"""word2vec: what it learns from, and how its neighbours are counted."""

from dataclasses import replace

import pytest
import torch

import models
from marina.training import tasks
from marina.training.data import Dataset, Split
from marina.training.tasks import word_similarity as word_similarity
from marina.training.tasks.word_similarity import NEGATIVES, RELATED, WINDOW, WordSimilarity

CARD = models.find("word2vec")
TEXTS = ["房间 干净 服务 热情", "屏幕 清晰 键盘 舒服"] * 40


@pytest.fixture
def task(monkeypatch):
    monkeypatch.setattr(word_similarity, "FREQUENT", 1.0)  # of eight words each is frequent
    split = Split(TEXTS, TEXTS)
    return WordSimilarity(CARD, replace(CARD.recipe, epochs=1), Dataset(split, split, split))


def test_pairs_are_of_words_that_stand_near_each_other(task):
    words = task.codec.vocabulary
    pairs = {
        (words[one], words[other])
        for one, other in zip(task.train_examples.inputs.tolist(), task.train_examples.targets.tolist(), strict=True)
    }
    assert ("房间", "干净") in pairs
    assert ("干净", "房间") in pairs
    assert not any({"房间", "屏幕"} == set(pair) for pair in pairs)
    assert len(task.train_examples) <= 2 * WINDOW * 4 * len(TEXTS)


def test_training_brings_those_of_one_company_together(task):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(task.network.parameters(), 0.05)
    batch = task.train_examples[list(range(len(task.train_examples)))]
    for _ in range(60):
        outputs, targets = task._outputs(batch)
        assert outputs.shape == (len(batch[0]), 1 + NEGATIVES)
        loss = task.loss(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    room, clean, screen = (task.codec.vocabulary.index(word) for word in ("房间", "干净", "屏幕"))
    likely = task.network.together(torch.tensor([room]), torch.tensor([[clean, screen]]))[0]
    assert likely[0] > likely[1] + 1


def test_a_listed_word_needs_one_of_its_related_words_among_the_neighbours():
    right = {"neighbours": [{"word": "量子"}, {"word": "宾馆"}]}
    wrong = {"neighbours": [{"word": "量子"}]}
    assert tasks.find("word_similarity").score(["酒店", "键盘"], [right, wrong]) == {"sensible": 0.5, "listed": 2}
    assert tasks.find("word_similarity").score(["of no list"], [wrong]) == {}


def test_the_list_has_twenty_words_each_with_others_than_itself():
    assert len(RELATED) == 20
    assert all(word not in related and len(related) >= 8 for word, related in RELATED.items())
