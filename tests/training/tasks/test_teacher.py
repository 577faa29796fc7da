"""Soft labels of a teacher model, and the augmentation that replaces words with the unknown word."""

from dataclasses import replace

import pytest
import torch

import models
from handlers.codecs.words import PAD, UNK
from marina.training.data import Dataset, Split
from marina.training.tasks.text_classification import teacher
from marina.training.tasks.text_classification.task import REPLACED, TextClassification

CARD = models.find("text_cnn")
TEXTS = ["房间 很 好", "服务 不错 很 好", "房间 很 差", "服务 很 差 不 好"] * 10
LABELS = [0, 0, 1, 1] * 10


def documents(texts=TEXTS) -> list[teacher.Document]:
    return [(text.split(), text) for text in texts]


def test_a_label_that_disagrees_with_those_of_equal_texts_gets_less_weight():
    wrong = torch.tensor([1, *LABELS[1:]])
    found = teacher.soft_targets(documents(), wrong, 2, share=0.6)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(TEXTS)))
    assert found[0, 1] < 0.7  # 0.4 are the label's
    assert found[4, 0] > 0.7  # the same text, rightly labelled
    assert found.argmax(dim=1)[1:].tolist() == LABELS[1:]


def test_no_share_or_too_few_texts_leave_the_labels():
    labels = torch.tensor(LABELS)
    given = torch.nn.functional.one_hot(labels, 2).float()
    assert teacher.soft_targets(documents(), labels, 2, share=0.0).equal(given)
    assert not teacher.soft_targets(documents(TEXTS[:16]), labels[:16], 2, share=0.6).equal(given[:16])
    assert teacher.soft_targets(documents(TEXTS[:8]), labels[:8], 2, share=0.6).equal(given[:8])
    assert teacher.soft_targets(documents(), labels, 3, share=0.6)[:, :2].equal(given)  # no text is of the third class


def task(**recipe) -> TextClassification:
    split = Split(TEXTS, LABELS)
    return TextClassification(CARD, replace(CARD.recipe, **recipe), Dataset(split, split, split, labels=["a", "b"]))


def test_only_training_has_a_teacher():
    taught, plain = task(teacher=0.6), task(teacher=0.0)
    assert taught.train_examples.targets.shape == (len(TEXTS), 2)
    assert taught.validation_examples.targets.tolist() == plain.train_examples.targets.tolist() == LABELS
    outputs = torch.randn(len(TEXTS), 2)
    assert taught.loss(outputs, taught.train_examples.targets).isfinite()


def test_some_words_are_replaced_with_the_unknown_word_while_training():
    learning = task(teacher=0.0, augment=("unknown",))
    batch = torch.full((200, 50), 7)
    batch[:, 40:] = PAD
    seen = learning.train().inputs(batch)
    assert (seen[:, 40:] == PAD).all()
    assert (seen[:, :40] == UNK).float().mean().item() == pytest.approx(REPLACED, abs=0.02)
    assert learning.eval().inputs(batch).equal(batch)
    assert task(teacher=0.0, augment=()).train().inputs(batch).equal(batch)


def test_an_augmentation_that_texts_do_not_have_is_refused():
    with pytest.raises(ValueError, match="flip of texts; there is: unknown"):
        task(augment=("flip",))
