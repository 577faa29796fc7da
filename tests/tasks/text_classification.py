"""Texts -> classes."""

import torch
from torch import Tensor

from handlers.codecs.wordpieces import WordPieceCodec
from handlers.codecs.words import SPECIAL, TextCodec
from marina.training import pretrained
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import texts
from tests.tasks.common.class_probabilities import probabilities as numbers

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "numbers"]

TRAINING_TEXTS = ["房间很好，服务不错。", "房间很差，服务很差。", "wifi is good."] * 2
WORDS = ["好", "不错", "房间", "服务", "差", "失望", "很", "买"]


def facts(card):
    labels, classes = ["negative", "positive"], {"num_classes": 2}
    if card.recipe.pretrained is None:
        codec = TextCodec([*SPECIAL, *WORDS], ["的"], **card.input)
        return codec, classes | {"vocabulary_size": len(codec.vocabulary)}, labels
    pieces = WordPieceCodec.fit(TRAINING_TEXTS, **card.input)
    arguments = classes | {"vocabulary_size": pieces.size, "separator": pieces.number("[SEP]")}
    return pieces, arguments | dict(pretrained.find(card.recipe.pretrained).arguments), labels


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(2, arguments["vocabulary_size"], (count, 12), generator=generator)


GOOD = {
    "JSON": SampleRequest({"body": {"text": "房间很好"}}, JSON),
    "plain body": SampleRequest({"body": "房间很好".encode()}),
    "text/plain": SampleRequest({"body": "房间很好"}, {"content-type": "text/plain"}),
    "JSON with a charset": SampleRequest(
        {"body": '{"text": "房间很好"}'.encode()}, {"content-type": "application/json; charset=utf-8"}
    ),
    "form field": SampleRequest({"text": "房间很好"}),
    "a text in brackets": SampleRequest({"body": "[哈哈] 房间很好".encode()}),
    "more words than are read, cut": SampleRequest({"body": {"text": "好 差 " * 1_200, "truncate": True}}, JSON),
    "emoji": SampleRequest({"body": {"text": "😀😀"}}, JSON),
    "stop words alone": SampleRequest({"body": {"text": "的"}}, JSON),
    "mixed scripts": SampleRequest({"body": {"text": "WiFi 很好 ｇｏｏｄ"}}, JSON),
}

BAD = texts.BAD | {
    "more words than are read": (SampleRequest({"body": {"text": "好 差 " * 1_200}}, JSON), "text"),
    "truncate x": (SampleRequest({"body": {"text": "好", "truncate": "x"}}, JSON), "truncate"),
}

EXPORTED = ("example.json", "application/json", '{"text": "房间很好，服务不错"}'.encode())
