"""A text with gaps -> what may stand in each of them."""

import json

import torch
from torch import Tensor

from handlers.codecs.wordpieces import SPECIAL, WordPieceCodec
from tests.tasks import texts
from tests.worker import JSON, Ask

LEARNT = ["房间很好，服务不错。", "房间很差，服务很差。", "wifi is good."] * 2


def facts(card):
    codec = WordPieceCodec.fit(LEARNT, **card.input)
    return codec, {"vocabulary_size": codec.size, "separator": codec.number("[SEP]")}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(len(SPECIAL), codec.size, (count, 12), generator=generator)


def loss(network, batch) -> Tensor:
    """Of both questions."""
    states = network.features(batch)
    return network.words(states).square().sum() + network.next_sentence(states).square().sum()


def numbers(reply) -> list[float]:
    return [one["probability"] for tokens in reply["masks"] for one in tokens]


def asked(text: str, **more) -> Ask:
    return Ask({"body": {"text": text, **more}}, JSON)


GOOD = {
    "JSON": asked("房间很[MASK]"),
    "two gaps": asked("房间[MASK][MASK]，服务不错", top=3),
    "a gap alone": asked("[MASK]"),
    "plain body": Ask({"body": "房间很[MASK]".encode()}),
    "form part": Ask({"text": "房间很[MASK]", "top": b"2"}),
    "more than there are": asked("房间很[MASK]", top=100_000),
    "emoji": asked("😀[MASK]"),
    "mixed scripts": asked("ＷｉＦｉ 很[MASK] Ω"),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "no gap": (asked("房间很好"), "text"),
    "too long": (asked("好" * 200 + "[MASK]"), "text"),
    "a gap in lower case": (asked("房间很[mask]"), "text"),
    "top 0": (asked("房间很[MASK]", top=0), "top"),
    "top x": (asked("房间很[MASK]", top="x"), "top"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "房间很[MASK]"}).encode())
