"""A text with gaps -> what may stand in each of them."""

import json

import torch
from torch import Tensor

from handlers.codecs.wordpieces import SPECIAL, WordPieceCodec
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import texts

TRAINING_TEXTS = ["房间很好，服务不错。", "房间很差，服务很差。", "wifi is good."] * 2


def facts(card):
    codec = WordPieceCodec.fit(TRAINING_TEXTS, **card.input)
    return codec, {"vocabulary_size": codec.size, "separator": codec.number("[SEP]")}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(len(SPECIAL), codec.size, (count, 12), generator=generator)


def loss(network, batch) -> Tensor:
    """Return a loss of both outputs of pretraining: masked words and next sentence."""
    states = network.features(batch)
    return network.words(states).square().sum() + network.next_sentence(states).square().sum()


def numbers(response) -> list[float]:
    return [one["probability"] for tokens in response["masks"] for one in tokens]


def sample_request(text: str, **more) -> SampleRequest:
    return SampleRequest({"body": {"text": text, **more}}, JSON)


GOOD = {
    "JSON": sample_request("房间很[MASK]"),
    "two gaps": sample_request("房间[MASK][MASK]，服务不错", top=3),
    "a gap alone": sample_request("[MASK]"),
    "plain body": SampleRequest({"body": "房间很[MASK]".encode()}),
    "form part": SampleRequest({"text": "房间很[MASK]", "top": b"2"}),
    "more than there are": sample_request("房间很[MASK]", top=100_000),
    "emoji": sample_request("😀[MASK]"),
    "mixed scripts": sample_request("ＷｉＦｉ 很[MASK] Ω"),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "no gap": (sample_request("房间很好"), "text"),
    "too long": (sample_request("好" * 200 + "[MASK]"), "text"),
    "a gap in lower case": (sample_request("房间很[mask]"), "text"),
    "top 0": (sample_request("房间很[MASK]", top=0), "top"),
    "top x": (sample_request("房间很[MASK]", top="x"), "top"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "房间很[MASK]"}).encode())
