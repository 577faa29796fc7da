"""A word -> the words that are used like it."""

import json

import torch
from torch import Tensor

from handlers.codecs.text import SPECIAL, TextCodec
from tests.tasks import texts
from tests.worker import JSON, Ask

WORDS = ["好", "不错", "房间", "服务", "差", "失望", "wifi", "买"]
SHAPE = (len(SPECIAL) + len(WORDS),)


def facts(card):
    codec = TextCodec([*SPECIAL, *WORDS], [], **card.input)
    return codec, {"vocabulary_size": len(codec.vocabulary)}, []


def inputs(codec, arguments, count) -> Tensor:
    return torch.arange(count) % len(WORDS) + len(SPECIAL)


def loss(network, batch) -> Tensor:
    return network.together(batch, batch.flip(0)[:, None]).square().sum()


def numbers(reply) -> list[float]:
    return [one["similarity"] for one in reply["neighbours"]]


def asked(text: str, **more) -> Ask:
    return Ask({"body": {"text": text, **more}}, JSON)


GOOD = {
    "JSON": asked("房间"),
    "plain body": Ask({"body": "房间".encode()}),
    "form part": Ask({"text": "房间", "top": b"3"}),
    "of another width and case": asked("ＷｉＦｉ"),
    "spaces around it": asked(" 房间\n"),
    "more than there are": asked("好", top=1_000),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "a word that is not known": (asked("量子"), "text"),
    "several words": (asked("房间很好"), "text"),
    "emoji": (asked("😀"), "text"),
    "what only we write": (asked("<UNK>"), "text"),
    "top 0": (asked("好", top=0), "top"),
    "top x": (asked("好", top="x"), "top"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "房间"}).encode())
