"""Texts -> classes."""

import torch
from torch import Tensor

from handlers.codecs.text import SPECIAL, TextCodec
from tests.tasks.answers import probabilities as numbers
from tests.worker import JSON, Ask

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "numbers"]

WORDS = ["好", "不错", "房间", "服务", "差", "失望", "很", "买"]


def facts(card):
    codec = TextCodec([*SPECIAL, *WORDS], ["的"], **card.input)
    return codec, {"vocabulary_size": len(codec.vocabulary), "num_classes": 2}, ["negative", "positive"]


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
    "emoji": Ask({"body": {"text": "😀😀"}}, JSON),
    "stop words alone": Ask({"body": {"text": "的"}}, JSON),
    "mixed scripts": Ask({"body": {"text": "WiFi 很好 ｇｏｏｄ"}}, JSON),
}

# name: (request, the field that the 400 names)
BAD = {
    "1 MB": (Ask({"body": {"text": "好" * 350_000}}, JSON), "text"),
    "empty": (Ask({"body": {"text": ""}}, JSON), "text"),
    "empty body": (Ask({"body": b""}), "text"),
    "no body": (Ask({}), "text"),
    "spaces": (Ask({"body": {"text": " \n\t　"}}, JSON), "text"),
    "invalid UTF-8": (Ask({"body": b"\xff\xfe\x00abc"}), "text"),
    "wrong JSON": (Ask({"body": b'{"text": "x'}, JSON), "body"),
    "unlabelled wrong JSON": (Ask({"body": b'{"text": "x'}), "body"),
    "a list": (Ask({"body": ["好"]}, JSON), "text"),
    "null": (Ask({"body": {"text": None}}, JSON), "text"),
    "other member": (Ask({"body": {"txt": "好"}}, JSON), "text"),
}

EXPORTED = ("example.json", "application/json", '{"text": "房间很好，服务不错"}'.encode())
