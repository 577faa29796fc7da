"""The beginning of a text -> the rest of it."""

import json

import torch
from torch import Tensor

from handlers.codecs.phrases import PhraseCodec
from tests.tasks import texts
from tests.worker import JSON, Ask

TEXTS = ["房间很好 服务不错，很好。", "房间差 服务不好，不买。", "买买"]
SHAPE = (12, 19)  # logits after each of twelve tokens


def facts(card):
    codec = PhraseCodec.fit(TEXTS, **card.input | {"vocabulary_size": SHAPE[1]})
    return codec, {"vocabulary_size": codec.size}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(3, arguments["vocabulary_size"], (count, 12), generator=generator)


def numbers(reply) -> list[float]:
    return [reply["perplexity"], reply["tokens"]]


def asked(**more) -> Ask:
    return Ask({"body": {"text": "房间很好", "length": 5, "seed": 1, **more}}, JSON)


GOOD = {
    "seeded": asked(),
    "only read": asked(length=0),
    "the likeliest": asked(temperature=0),
    "cold": asked(temperature=0.001),
    "hot": asked(temperature=10),
    "of one": asked(top_k=1),
    "of more than there are": asked(top_k=10_000),
    "of no mass at all": asked(top_p=0),
    "of all": asked(top_p=1),
    "the largest seed": asked(seed=2**63 - 1),
    "truncated": asked(text="好" * 3_000, truncate=True),
    "stream is not": asked(stream=False),
    "plain body": Ask({"body": "房间很好".encode()}, {"x-request-query": "length=3&seed=1"}),
    "form parts": Ask({"text": "房间很好", "length": b"3", "seed": b"1"}),
    "emoji": asked(text="😀😀"),
    "unknown": asked(text="Ω"),
    "mixed scripts": asked(text="WiFi 很好 ｇｏｏｄ"),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "length -1": (asked(length=-1), "length"),
    "length 10,000": (asked(length=10_000), "length"),
    "temperature -1": (asked(temperature=-1), "temperature"),
    "temperature NaN": (asked(temperature="NaN"), "temperature"),
    "temperature inf": (asked(temperature="inf"), "temperature"),
    "temperature x": (asked(temperature="x"), "temperature"),
    "top_k 0": (asked(top_k=0), "top_k"),
    "top_k 1.5": (asked(top_k=1.5), "top_k"),
    "top_p 1.1": (asked(top_p=1.1), "top_p"),
    "top_p NaN": (asked(top_p="nan"), "top_p"),
    "seed -1": (asked(seed=-1), "seed"),
    "a seed that is too large": (asked(seed=2**63), "seed"),
    "truncate x": (asked(truncate="x"), "truncate"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "房间很好，服务不错", "length": 2}).encode())
