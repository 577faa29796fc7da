"""A sentence -> the same in another language."""

import json

import torch
from torch import Tensor

from handlers.codecs.subwords import SPECIAL, SubwordCodec
from tests.tasks import texts
from tests.worker import JSON, Ask

LEARNT = ["The meeting is on March 5, 2024.", "It costs 48 euros.", "会议时间是2024年3月5日。", "价格是48欧元。"] * 2


def facts(card):
    codec = SubwordCodec.fit(LEARNT, **card.input)
    return codec, {"vocabulary_size": codec.size}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(len(SPECIAL), codec.size, (count, 12, 2), generator=generator)


def numbers(reply) -> list[float]:
    return [one["score"] for one in reply["translations"]]


def asked(**more) -> Ask:
    return Ask({"body": {"text": "It costs 48 euros.", **more}}, JSON)


GOOD = {
    "JSON": asked(),
    "plain body": Ask({"body": b"The meeting is on March 5, 2024."}),
    "form parts": Ask({"text": "It costs 48 euros.", "beam": b"2", "top": b"2"}),
    "greedy": asked(beam=1),
    "ten of ten": asked(beam=10, top=10),
    "more than there are": asked(beam=2, top=50),
    "with its alignment": asked(alignment=True),
    "any length": asked(length_penalty=0),
    "truncated": asked(text="It costs. " * 80, truncate=True),
    "emoji": asked(text="😀😀"),
    "mixed scripts": asked(text="价格 Ω costs ＥＵＲ"),
    "a word": asked(text="a"),
}

# name: (request, the field that the 400 names)
BAD = texts.BAD | {
    "too many characters": (asked(text="costs " * 200), "text"),
    "too many tokens": (asked(text="Ω5" * 200), "text"),
    "beam 0": (asked(beam=0), "beam"),
    "beam 10,000": (asked(beam=10_000), "beam"),
    "beam x": (asked(beam="x"), "beam"),
    "top 0": (asked(top=0), "top"),
    "penalty -1": (asked(length_penalty=-1), "length_penalty"),
    "penalty NaN": (asked(length_penalty="NaN"), "length_penalty"),
    "alignment x": (asked(alignment="x"), "alignment"),
    "truncate x": (asked(truncate="x"), "truncate"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"text": "It costs 48 euros."}).encode())
