"""The page of all models: its table, its floors, and the pictures beside it."""

import io
import json
from dataclasses import replace

import pytest
from PIL import Image

import models
from handlers.response import Response
from marina.packaging import zoo

CARD = {
    "name": "lenet", "task": "image_classification", "preset": "full", "metrics": {"accuracy": 0.9876},
    "floor": {"accuracy": 0.95}, "data": {"name": "mnist", "kind": "embedded"}, "anchor": "99 %", "seconds": 12.6,
}  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("rmse", 3.2, "rmse 3.20"),
        ("accuracy", 0.9876, "accuracy 98.8 %"),
        ("a", 1.0, "a 100.0 %"),
        ("a", 1.01, "a 1.01"),
    ],
)
def test_shares_are_in_percent(metric, value, text):
    assert zoo.formatted(metric, value) == text


def test_a_row_of_the_table():
    two = {**CARD, "floor": {"accuracy": 0.95, "rmse": 3}, "metrics": {"accuracy": 0.9876, "rmse": 2.5}}
    head, rule, first, second = zoo.table([CARD, two]).splitlines()
    assert head == "| model | task | data | measured | floor | published | seconds | ONNX, torch.export, TorchScript |"
    assert rule == "|" + "---|" * 8
    assert first == (
        "| [lenet](../models/lenet.py) | image_classification | mnist (embedded) | accuracy 98.8 % | accuracy 95.0 % "
        "| 99 % | 13 | yes |"
    )
    assert "| accuracy 98.8 %, rmse 2.50 | accuracy 95.0 %, rmse 3.00 |" in second
    assert zoo.table([CARD]).endswith("|\n")


def test_a_model_that_is_not_exported_says_why_in_its_row():
    name = next(name for name in models.names() if models.find(name).not_exported)
    row = zoo.table([{**CARD, "name": name}]).splitlines()[2]
    assert row.endswith(f"| no: {models.find(name).not_exported} |")


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ({}, []),
        ({"lenet": 0.1}, []),
        ({"text_cnn": 0.84}, []),
        ({"text_cnn": 0.5, "text_lstm": 0.85}, []),
        ({"text_cnn": 0.5, "text_lstm": 0.8399}, ["the best accuracy on reviews is 0.8399, below 0.84"]),
    ],
)
def test_one_of_the_models_of_reviews_is_good_enough(found, lines):
    cards = [{"name": name, "metrics": {"accuracy": accuracy}} for name, accuracy in found.items()]
    assert zoo.below_best(cards) == lines


def test_the_page_lists_trained_models_and_every_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "names", lambda: ["bert", "fcn", "lenet", "nin", "text_cnn"])
    floors = {name: {"accuracy": bound} for name, bound in (("lenet", 0.99), ("nin", 0.9), ("text_cnn", 0.5))}
    find = models.find

    def found(name: str) -> models.Card:
        return replace(find("lenet"), name=name, floor=floors.get(name, {}), not_exported="")

    monkeypatch.setattr(models, "find", found)
    cards = {
        "lenet": CARD,
        "nin": {**CARD, "name": "nin", "data": {"name": "mine", "kind": "real"}, "metrics": {}},
        "fcn": {**CARD, "name": "fcn", "preset": "quick"},
        "text_cnn": {**CARD, "name": "text_cnn", "metrics": {"accuracy": 0.6}, "anchor": "\u597d"},
    }
    for name, card in cards.items():
        (tmp_path / name / "2.0").mkdir(parents=True)
        (tmp_path / name / "2.0" / "card.json").write_text(json.dumps(card, ensure_ascii=False), encoding="utf-8")
    page = tmp_path / "zoo.md"
    assert zoo.write_page(tmp_path, "2.0", page) == [
        "bert 2.0 is not trained in full",
        "fcn 2.0 is not trained in full",
        "lenet 2.0: accuracy is 0.9876, its floor is 0.99",
        "nin 2.0 is trained on mine (real): no floor",
        "the best accuracy on reviews is 0.6000, below 0.84",
    ]
    assert page.read_text(encoding="utf-8") == zoo.HEAD + zoo.table([cards["lenet"], cards["text_cnn"]])


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGBA").save(file, "PNG")
    return file.getvalue()


def test_pictures_are_small():
    image = zoo.small(png(960, 240))
    assert (image.size, image.mode) == ((480, 120), "P")
    assert len(image.getcolors(256)) <= 64
    assert zoo.small(png(10, 20)).size == (10, 20)


class Handler:
    """A handler that doubles a number; `responses` are what it encodes and explains."""

    explanation_schema: object = {}
    responses: tuple = ({}, {})

    def load(self, folder, device):
        self.card = json.loads((folder / "card.json").read_text())
        self.device = device.type

    def decode(self, row):
        assert (dict(row.fields), row.headers) == ({"body": b"in"}, {"content-type": "text/x", "accept": "image/png"})
        return "item"

    def collate(self, items):
        assert items == ["item"]
        return "batch"

    def forward(self, batch):
        assert batch == "batch"
        return ["output", "other"]

    def encode(self, output, item):
        assert (output, item, self.device) == ("output", "item", "cpu")
        return self.responses[0]

    def explain(self, item, target):
        assert (item, target) == ("item", None)
        return self.responses[1]


PICTURE, TEXT = Response(b"png", "image/png"), Response(b"text", "text/plain")


@pytest.mark.parametrize(
    ("responses", "explains", "found"),
    [
        ((PICTURE, TEXT), True, b"png"),
        (({}, PICTURE), True, b"png"),
        (({}, PICTURE), False, None),
        (({}, {}), True, None),
        ((TEXT, PICTURE), True, None),
    ],
)
def test_the_picture_of_a_model_is_its_response_or_else_its_explanation(
    tmp_path, monkeypatch, responses, explains, found
):
    handler = type("Made", (Handler,), {"responses": responses, "explanation_schema": {} if explains else None})
    monkeypatch.setattr(zoo, "handler_class", {"a task": handler}.__getitem__)
    (tmp_path / "card.json").write_text('{"example": {"file": "f", "content_type": "text/x"}}')
    (tmp_path / "f").write_bytes(b"in")
    assert zoo.picture_of("a task", tmp_path) == found


def test_one_picture_a_task_by_its_first_trained_model(tmp_path, monkeypatch):
    tasks = {"a": "one", "b": "one", "c": "one", "d": "none", "e": "another"}
    find = models.find("lenet")
    monkeypatch.setattr(models, "names", lambda: list(tasks))
    monkeypatch.setattr(models, "find", lambda name: replace(find, task=tasks[name]))
    for name in "bcde":
        (tmp_path / name / "1.0").mkdir(parents=True)
        (tmp_path / name / "1.0" / "card.json").touch()
    requested = []

    def picture_of(task, weights):
        requested.append((task, weights))
        return None if task == "none" else png(600, 600)

    monkeypatch.setattr(zoo, "picture_of", picture_of)
    folder = tmp_path / "new" / "pictures"
    for _ in range(2):
        assert zoo.write_pictures(tmp_path, "1.0", folder) == [folder / "another.png", folder / "one.png"]
    assert requested[:3] == [
        (task, tmp_path / name / "1.0") for task, name in (("another", "e"), ("none", "d"), ("one", "b"))
    ]
    assert Image.open(folder / "one.png").size == (480, 480)
