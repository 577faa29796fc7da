"""The beginning of a text -> the rest of it."""

import json

import torch
from torch import Tensor

from handlers.codecs.phrases import PhraseCodec
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import texts

TEXTS = ["房间很好 服务不错，很好。", "房间差 服务不好，不买。", "买买"]
SHAPE = (12, 19)  # logits after each of twelve tokens


def facts(card):
    codec = PhraseCodec.fit(TEXTS, **card.input | {"vocabulary_size": SHAPE[1]})
    return codec, {"vocabulary_size": codec.size}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(3, arguments["vocabulary_size"], (count, 12), generator=generator)


def numbers(response) -> list[float]:
    return [response["perplexity"], response["tokens"]]


def sample_request(**more) -> SampleRequest:
    return SampleRequest({"body": {"text": "房间很好", "length": 5, "seed": 1, **more}}, JSON)


GOOD = {
    "seeded": sample_request(),
    "only read": sample_request(length=0),
    "the likeliest": sample_request(temperature=0),
    "cold": sample_request(temperature=0.001),
    "hot": sample_request(temperature=10),
    "of one": sample_request(top_k=1),
    "of more than there are": sample_request(top_k=10_000),
    "of no mass at all": sample_request(top_p=0),
    "of all": sample_request(top_p=1),
    "the largest seed": sample_request(seed=2**63 - 1),
    "truncated": sample_request(text="好" * 3_000, truncate=True),
    "stream is not": sample_request(stream=False),
    "plain body": SampleRequest({"body": "房间很好".encode()}, {"x-request-query": "length=3&seed=1"}),
    "form parts": SampleRequest({"text": "房间很好", "length": b"3", "seed": b"1"}),
    "emoji": sample_request(text="😀😀"),
    "unknown": sample_request(text="Ω"),
    "mixed scripts": sample_request(text="WiFi 很好 ｇｏｏｄ"),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "length -1": (sample_request(length=-1), "length"),
    "length 10,000": (sample_request(length=10_000), "length"),
    "temperature -1": (sample_request(temperature=-1), "temperature"),
    "temperature NaN": (sample_request(temperature="NaN"), "temperature"),
    "temperature inf": (sample_request(temperature="inf"), "temperature"),
    "temperature x": (sample_request(temperature="x"), "temperature"),
    "top_k 0": (sample_request(top_k=0), "top_k"),
    "top_k 1.5": (sample_request(top_k=1.5), "top_k"),
    "top_p 1.1": (sample_request(top_p=1.1), "top_p"),
    "top_p NaN": (sample_request(top_p="nan"), "top_p"),
    "seed -1": (sample_request(seed=-1), "seed"),
    "a seed that is too large": (sample_request(seed=2**63), "seed"),
    "truncate x": (sample_request(truncate="x"), "truncate"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "房间很好，服务不错", "length": 2}).encode())
