"""A row of numbers, categories and dates -> classes."""

import json

import torch
from torch import Tensor

from handlers.tables.table_schema import TableSchema, with_moments
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common.class_probabilities import probabilities as numbers

__all__ = ["BAD", "EXPORTED", "GOOD", "facts", "inputs", "numbers"]

KINDS = {"age": "number", "visits": "number", "city": "category", "plan": "category", "since": "%d.%m.%Y"}
ROW = {"age": 41.5, "visits": 3, "city": "Oslo", "plan": "pro", "since": "1.2.2020"}
LABELS = ["no", "yes"]


def training_rows() -> list[list]:
    """120 rows: ages and dates are missing in some, and two cities are rare."""
    rows = []
    for n in range(120):
        city = "Voss" if n == 7 else "Hamar" if n == 8 else ("Oslo", "Bergen")[n % 2]
        rows.append(
            [None if n % 10 == 0 else 20.5 + n % 50, n % 9, city, ("free", "pro")[n % 3 > 0], f"{1 + n % 28}.3.2021"]
        )
        if n % 11 == 0:
            rows[-1][4] = None
    return rows


def facts(card):
    schema = TableSchema.fit(KINDS, training_rows(), [], ["customer_id"], "churned")
    codec = with_moments(schema, schema.table(map(schema.codes, training_rows())), None)
    return codec, {"in_features": codec.width, "num_classes": 2}, LABELS


def inputs(codec, arguments, count) -> Tensor:
    return torch.rand(count, codec.width, generator=torch.Generator().manual_seed(1))


def sample(**changes) -> SampleRequest:
    """A request of a good row with changes; a value of `...` leaves the column out."""
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not ...}
    return SampleRequest({"body": {"features": row}}, JSON)


GOOD = {
    "by column": sample(),
    "in order": SampleRequest({"body": {"features": list(ROW.values())}}, JSON),
    "bare list": SampleRequest({"body": list(ROW.values())}, JSON),
    "whole number for a fraction": sample(age=41),
    "missing age": sample(age=...),
    "null date": sample(since=None),
    "date in ISO 8601": sample(since="2020-02-01"),
    "unknown city": sample(city="Tromsø"),
    "a column that training ignored": sample(customer_id="C7"),
    "top": SampleRequest({"body": {"features": ROW, "top": 1}}, JSON),
}

# name: (request, the field that the 400 names)
BAD = {
    "missing plan": (sample(plan=...), "features.plan"),
    "missing visits": (sample(visits=...), "features.visits"),
    "null for visits": (sample(visits=None), "features.visits"),
    "null for a closed category": (sample(plan=None), "features.plan"),
    "text for a number": (sample(age="41"), "features.age"),
    "boolean for a number": (sample(visits=True), "features.visits"),
    "list for a number": (sample(age=[41]), "features.age"),
    "NaN": (sample(age=float("nan")), "features.age"),
    "infinity": (sample(visits=float("inf")), "features.visits"),
    "absurd": (sample(age=1e30), "features.age"),
    "too large for a float": (sample(age=10**400), "features.age"),
    "number for a category": (sample(plan=3), "features.plan"),
    "object for a category": (sample(city={}), "features.city"),
    "unknown category of a closed set": (sample(plan="gold"), "features.plan"),
    "other capitals": (sample(plan="Pro"), "features.plan"),
    "empty text for a category": (sample(plan=""), "features.plan"),
    "no such day": (sample(since="30.2.2020"), "features.since"),
    "no date": (sample(since="yesterday"), "features.since"),
    "number for a date": (sample(since=20200201), "features.since"),
    "date 400 years ago": (sample(since="1.2.1620"), "features.since"),
    "unknown column": (sample(colour="red"), "features.colour"),
    "the target": (sample(churned="yes"), "features.churned"),
    "4 values": (SampleRequest({"body": {"features": list(ROW.values())[:4]}}, JSON), "features"),
    "null": (SampleRequest({"body": {"features": None}}, JSON), "features"),
    "a text": (SampleRequest({"body": {"features": "Oslo"}}, JSON), "features"),
    "no body": (SampleRequest({}), "features"),
    "top 0": (SampleRequest({"body": {"features": ROW, "top": 0}}, JSON), "top"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"features": ROW}).encode())
