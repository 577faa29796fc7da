"""A row of numbers -> a number."""

import torch
from torch import Tensor

from handlers.codecs.tabular import TableCodec
from tests.support.worker import JSON, SampleRequest

NUMBERS = [float(i) for i in range(13)]


def facts(card):
    columns = [f"C{i}" for i in range(13)]
    x = torch.randn(50, 13) * torch.arange(1, 14) + 5
    return TableCodec.fit(columns, x, "PRICE", x.sum(dim=1)), {"in_features": 13}, []


def inputs(codec, arguments, count) -> Tensor:
    return torch.randn(count, len(codec.columns), generator=torch.Generator().manual_seed(1))


def numbers(response) -> list[float]:
    return [response["prediction"]]


GOOD = {
    "list": SampleRequest({"body": {"features": NUMBERS}}, JSON),
    "bare list": SampleRequest({"body": NUMBERS}, JSON),
    "object by column": SampleRequest({"body": {"features": {f"C{i}": i for i in range(13)}}}, JSON),
    "without a content type": SampleRequest({"body": b'{"features": [0,1,2,3,4,5,6,7,8,9,10,11,12]}'}),
}

# name: (request, the field that the 400 names)
BAD = {
    "12 numbers": (SampleRequest({"body": {"features": NUMBERS[:12]}}, JSON), "features"),
    "14 numbers": (SampleRequest({"body": {"features": [*NUMBERS, 1]}}, JSON), "features"),
    "NaN": (SampleRequest({"body": {"features": [float("nan"), *NUMBERS[1:]]}}, JSON), "features.C0"),
    "infinity": (SampleRequest({"body": {"features": [*NUMBERS[:12], float("inf")]}}, JSON), "features.C12"),
    "too large for a float": (SampleRequest({"body": {"features": [10**400, *NUMBERS[1:]]}}, JSON), "features.C0"),
    "absurd": (SampleRequest({"body": {"features": [1e30, *NUMBERS[1:]]}}, JSON), "features.C0"),
    "a string": (SampleRequest({"body": {"features": ["1", *NUMBERS[1:]]}}, JSON), "features.C0"),
    "a boolean": (SampleRequest({"body": {"features": [True, *NUMBERS[1:]]}}, JSON), "features.C0"),
    "null": (SampleRequest({"body": {"features": None}}, JSON), "features"),
    "unknown column": (SampleRequest({"body": {"features": {f"D{i}": i for i in range(13)}}}, JSON), "features"),
    "missing column": (SampleRequest({"body": {"features": {"C1": 1}}}, JSON), "features"),
    "no body": (SampleRequest({}), "features"),
    "wrong JSON": (SampleRequest({"body": b"[1, 2"}, JSON), "body"),
}

EXPORTED = ("example.json", "application/json", b'{"features": [1,2,3,4,5,6,7,8,9,10,11,12,13]}')
