"""A row of numbers -> a number."""

import torch
from torch import Tensor

from handlers.codecs.table import TableCodec
from tests.worker import JSON, Ask

NUMBERS = [float(i) for i in range(13)]


def facts(card):
    columns = [f"C{i}" for i in range(13)]
    x = torch.randn(50, 13) * torch.arange(1, 14) + 5
    return TableCodec.fit(columns, x, "PRICE", x.sum(dim=1)), {"in_features": 13}, []


def inputs(codec, arguments, count) -> Tensor:
    return torch.randn(count, len(codec.columns), generator=torch.Generator().manual_seed(1))


def numbers(reply) -> list[float]:
    return [reply["prediction"]]


GOOD = {
    "list": Ask({"body": {"features": NUMBERS}}, JSON),
    "bare list": Ask({"body": NUMBERS}, JSON),
    "object by column": Ask({"body": {"features": {f"C{i}": i for i in range(13)}}}, JSON),
    "without a content type": Ask({"body": b'{"features": [0,1,2,3,4,5,6,7,8,9,10,11,12]}'}),
}

# name: (request, the field that the 400 names)
BAD = {
    "12 numbers": (Ask({"body": {"features": NUMBERS[:12]}}, JSON), "features"),
    "14 numbers": (Ask({"body": {"features": [*NUMBERS, 1]}}, JSON), "features"),
    "NaN": (Ask({"body": {"features": [float("nan"), *NUMBERS[1:]]}}, JSON), "features.C0"),
    "infinity": (Ask({"body": {"features": [*NUMBERS[:12], float("inf")]}}, JSON), "features.C12"),
    "too large for a float": (Ask({"body": {"features": [10**400, *NUMBERS[1:]]}}, JSON), "features.C0"),
    "absurd": (Ask({"body": {"features": [1e30, *NUMBERS[1:]]}}, JSON), "features.C0"),
    "a string": (Ask({"body": {"features": ["1", *NUMBERS[1:]]}}, JSON), "features.C0"),
    "a boolean": (Ask({"body": {"features": [True, *NUMBERS[1:]]}}, JSON), "features.C0"),
    "null": (Ask({"body": {"features": None}}, JSON), "features"),
    "unknown column": (Ask({"body": {"features": {f"D{i}": i for i in range(13)}}}, JSON), "features"),
    "missing column": (Ask({"body": {"features": {"C1": 1}}}, JSON), "features"),
    "no body": (Ask({}), "features"),
    "wrong JSON": (Ask({"body": b"[1, 2"}, JSON), "body"),
}

EXPORTED = ("example.json", "application/json", b'{"features": [1,2,3,4,5,6,7,8,9,10,11,12,13]}')
