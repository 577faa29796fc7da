"""The zoo: docs/zoo.md lists every trained model with its metrics, docs/pictures/ shows a response of each task."""

import io
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import models
from handlers.request import Request
from handlers.response import Response
from marina.handler_lookup import handler_class

HEAD = """# The zoo

Written by `make test-zoo`, from the cards of models that were trained in full; every one of them is above its floor.

"""

# One of these reaches it. It is no floor of a single model: on other hardware the same seed may learn a little
# less, and `make archive` would refuse what is sound.
REVIEWERS = ("fasttext", "text_attention", "text_cnn", "text_lstm", "text_rcnn")
BEST_ACCURACY = 0.84
WIDEST, COLOURS = 480, 64  # pixels and colours: they are for a page of documentation


def table(cards: list[dict[str, Any]]) -> str:
    """Return a Markdown table with a row for each model."""
    lines = [
        "| model | task | data | measured | floor | published | seconds | ONNX, torch.export, TorchScript |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for card in cards:
        measured = ", ".join(formatted(metric, card["metrics"][metric]) for metric in card["floor"])
        floor = ", ".join(formatted(metric, bound) for metric, bound in card["floor"].items())
        data = f"{card['data']['name']} ({card['data']['kind']})"
        link = f"[{card['name']}](../models/{card['name']}.py)"
        leaves = f"no: {reason}" if (reason := models.find(card["name"]).not_exported) else "yes"
        cells = [link, card["task"], data, measured, floor, card["anchor"], f"{card['seconds']:.0f}", leaves]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def formatted(metric: str, value: float) -> str:
    """Return a metric with its value: shares in percent, anything else as it is."""
    return f"{metric} {value:.2f}" if value > 1 else f"{metric} {100 * value:.1f} %"


def write_page(artifacts: Path, version: str, page: Path) -> list[str]:
    """Write the page; return a line for each model that is below its floor, not trained in full, or trained on other
    data than the embedded stand-in, which its floor is for. Imported models are not part of the zoo.
    """
    problems, cards = [], []
    for name in models.names():
        if models.find(name).recipe is None:
            continue
        file = artifacts / name / version / "card.json"
        card = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        if card is None or card["preset"] != "full":
            problems.append(f"{name} {version} is not trained in full")
            continue
        if not models.find(name).floor_on(card["data"]):
            problems.append(f"{name} {version} is trained on {card['data']['name']} ({card['data']['kind']}): no floor")
            continue
        problems += [f"{name} {version}: {miss}" for miss in models.find(name).below_floor(card["metrics"])]
        cards.append(card)
    page.write_text(HEAD + table(cards), encoding="utf-8")
    return problems + below_best(cards)


def below_best(cards: list[dict[str, Any]]) -> list[str]:
    """Return a line if none of the models that classify reviews reaches BEST_ACCURACY."""
    found = [card["metrics"]["accuracy"] for card in cards if card["name"] in REVIEWERS]
    if not found or max(found) >= BEST_ACCURACY:
        return []
    return [f"the best accuracy on reviews is {max(found):.4f}, below {BEST_ACCURACY}"]


def write_pictures(artifacts: Path, version: str, folder: Path) -> list[Path]:
    """Write a picture for each task whose response or explanation is one, from its first model that is trained."""
    first: dict[str, str] = {}
    for name in models.names():
        if models.find(name).recipe and (artifacts / name / version / "card.json").is_file():
            first.setdefault(models.find(name).task, name)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task, name in sorted(first.items()):
        picture = picture_of(task, artifacts / name / version)
        if picture is not None:
            written.append(folder / f"{task}.png")
            small(picture).save(written[-1], optimize=True)
    return written


def picture_of(task: str, weights: Path) -> bytes | None:
    """Return the handler's PNG for the card's example: the response, or else the explanation; None if it has none."""
    handler = handler_class(task)()
    handler.load(weights, torch.device("cpu"))
    example = handler.card["example"]
    headers = {"content-type": example["content_type"], "accept": "image/png"}
    item = handler.decode(Request({"body": (weights / example["file"]).read_bytes()}, headers, "picture"))
    with torch.inference_mode():
        response = handler.encode(handler.forward(handler.collate([item]))[0], item)
    if not isinstance(response, Response) and handler.explanation_schema is not None:
        response = handler.explain(item, None)
    return response.body if isinstance(response, Response) and response.content_type == "image/png" else None


def small(picture: bytes) -> Image.Image:
    """Return the picture at the size and with the colours of a page of documentation."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((WIDEST, WIDEST))
    return image.quantize(COLOURS)
