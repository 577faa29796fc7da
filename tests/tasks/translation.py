"""A sentence -> the same in another language."""

import json

import torch
from torch import Tensor

from handlers.codecs.subwords import SPECIAL, SubwordCodec
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import texts

TRAINING_TEXTS = [
    "The meeting is on March 5, 2024.",
    "It costs 48 euros.",
    "会议时间是2024年3月5日。",
    "价格是48欧元。",
] * 2


def facts(card):
    codec = SubwordCodec.fit(TRAINING_TEXTS, **card.input)
    return codec, {"vocabulary_size": codec.size}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(len(SPECIAL), codec.size, (count, 12, 2), generator=generator)


def numbers(response) -> list[float]:
    return [one["score"] for one in response["translations"]]


def sample_request(**more) -> SampleRequest:
    return SampleRequest({"body": {"text": "It costs 48 euros.", **more}}, JSON)


GOOD = {
    "JSON": sample_request(),
    "plain body": SampleRequest({"body": b"The meeting is on March 5, 2024."}),
    "form parts": SampleRequest({"text": "It costs 48 euros.", "beam": b"2", "top": b"2"}),
    "greedy": sample_request(beam=1),
    "ten of ten": sample_request(beam=10, top=10),
    "more than there are": sample_request(beam=2, top=50),
    "with its alignment": sample_request(alignment=True),
    "any length": sample_request(length_penalty=0),
    "truncated": sample_request(text="It costs. " * 80, truncate=True),
    "emoji": sample_request(text="😀😀"),
    "mixed scripts": sample_request(text="价格 Ω costs ＥＵＲ"),
    "a word": sample_request(text="a"),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "too many characters": (sample_request(text="costs " * 200), "text"),
    "too many tokens": (sample_request(text="Ω5" * 200), "text"),
    "beam 0": (sample_request(beam=0), "beam"),
    "beam 10,000": (sample_request(beam=10_000), "beam"),
    "beam x": (sample_request(beam="x"), "beam"),
    "top 0": (sample_request(top=0), "top"),
    "penalty -1": (sample_request(length_penalty=-1), "length_penalty"),
    "penalty NaN": (sample_request(length_penalty="NaN"), "length_penalty"),
    "alignment x": (sample_request(alignment="x"), "alignment"),
    "truncate x": (sample_request(truncate="x"), "truncate"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "It costs 48 euros."}).encode())
