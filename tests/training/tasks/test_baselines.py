"""Baseline of a pretrained network: its frozen features."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import models
from marina.training import pretrained
from marina.training.data import Dataset, Split
from marina.training.tasks.text_classification import baselines

CARD = models.find("bert_classifier_en")
TEXTS = [f"{word} {'x ' * (number % 7)}" for number in range(40) for word in ("good", "bad")]  # of many lengths
LABELS = [0, 1] * 40


class Reader(nn.Module):
    """Says of a text what its first word is; with `deaf`, nothing."""

    def __init__(self, deaf: bool) -> None:
        super().__init__()
        self.deaf = deaf

    def pooled(self, ids: Tensor) -> Tensor:
        return ids[:, :1].float() * (not self.deaf)


class Codec:
    words = staticmethod(str.split)

    @staticmethod
    def numbers(words: list[str]) -> Tensor:
        return torch.tensor([len(word) for word in words])  # good 4, bad 3, x 1


@pytest.mark.parametrize(("deaf", "accuracy"), [(False, 1.0), (True, 0.5)])
def test_each_text_keeps_its_own_features(monkeypatch, deaf, accuracy):
    monkeypatch.setattr(pretrained, "load", lambda network, name: None)
    split = Split(TEXTS, LABELS)
    task = SimpleNamespace(
        card=replace(CARD, network=Reader),
        arguments={"deaf": deaf},
        recipe=CARD.recipe,
        codec=Codec,
        data=Dataset(split, split, split),
    )
    assert baselines.frozen_feature_accuracy(task) == accuracy
