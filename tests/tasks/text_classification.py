"""Texts -> classes."""

from importlib import import_module

import torch
from torch import Tensor

from handlers.codecs.text import SPECIAL, TextCodec
from handlers.codecs.wordpieces import WordPieceCodec
from tests.tasks import texts
from tests.tasks.answers import probabilities as numbers
from tests.worker import JSON, Ask

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "numbers"]

LEARNT = ["房间很好，服务不错。", "房间很差，服务很差。", "wifi is good."] * 2
WORDS = ["好", "不错", "房间", "服务", "差", "失望", "很", "买"]


def facts(card):
    labels, classes = ["negative", "positive"], {"num_classes": 2}
    if card.recipe.pretrained is None:
        codec = TextCodec([*SPECIAL, *WORDS], ["的"], **card.input)
        return codec, classes | {"vocabulary_size": len(codec.vocabulary)}, labels
    pieces = WordPieceCodec.fit(LEARNT, **card.input)
    arguments = classes | {"vocabulary_size": pieces.size, "separator": pieces.number("[SEP]")}
    return pieces, arguments | import_module(f"training.pretrained.{card.recipe.pretrained}").ARGUMENTS, labels


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(2, arguments["vocabulary_size"], (count, 12), generator=generator)


GOOD = {
    "JSON": Ask({"body": {"text": "房间很好"}}, JSON),
    "plain body": Ask({"body": "房间很好".encode()}),
    "text/plain": Ask({"body": "房间很好"}, {"content-type": "text/plain"}),
    "JSON with a charset": Ask(
        {"body": '{"text": "房间很好"}'.encode()}, {"content-type": "application/json; charset=utf-8"}
    ),
    "form field": Ask({"text": "房间很好"}),
    "a text in brackets": Ask({"body": "[哈哈] 房间很好".encode()}),
    "more words than are read, cut": Ask({"body": {"text": "好 差 " * 1_200, "truncate": True}}, JSON),
    "emoji": Ask({"body": {"text": "😀😀"}}, JSON),
    "stop words alone": Ask({"body": {"text": "的"}}, JSON),
    "mixed scripts": Ask({"body": {"text": "WiFi 很好 ｇｏｏｄ"}}, JSON),
}

BAD = texts.BAD | {
    "more words than are read": (Ask({"body": {"text": "好 差 " * 1_200}}, JSON), "text"),
    "truncate x": (Ask({"body": {"text": "好", "truncate": "x"}}, JSON), "truncate"),
}

EXPORTED = ("example.json", "application/json", '{"text": "房间很好，服务不错"}'.encode())
