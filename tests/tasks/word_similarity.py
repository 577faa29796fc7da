"""A word -> the words that are used like it."""

import json

import torch
from torch import Tensor

from handlers.codecs.words import SPECIAL, TextCodec
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import texts

WORDS = ["好", "不错", "房间", "服务", "差", "失望", "wifi", "买"]
SHAPE = (len(SPECIAL) + len(WORDS),)


def facts(card):
    codec = TextCodec([*SPECIAL, *WORDS], [], **card.input)
    return codec, {"vocabulary_size": len(codec.vocabulary)}, []


def inputs(codec, arguments, count) -> Tensor:
    return torch.arange(count) % len(WORDS) + len(SPECIAL)


def loss(network, batch) -> Tensor:
    return network.together(batch, batch.flip(0)[:, None]).square().sum()


def numbers(response) -> list[float]:
    return [one["similarity"] for one in response["neighbours"]]


def sample_request(text: str, **more) -> SampleRequest:
    return SampleRequest({"body": {"text": text, **more}}, JSON)


GOOD = {
    "JSON": sample_request("房间"),
    "plain body": SampleRequest({"body": "房间".encode()}),
    "form part": SampleRequest({"text": "房间", "top": b"3"}),
    "of another width and case": sample_request("ＷｉＦｉ"),
    "spaces around it": sample_request(" 房间\n"),
    "more than there are": sample_request("好", top=1_000),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "a word that is not known": (sample_request("量子"), "text"),
    "several words": (sample_request("房间很好"), "text"),
    "emoji": (sample_request("😀"), "text"),
    "a special token": (sample_request("<UNK>"), "text"),
    "top 0": (sample_request("好", top=0), "top"),
    "top x": (sample_request("好", top="x"), "top"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "房间"}).encode())
