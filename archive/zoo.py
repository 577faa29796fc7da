"""docs/zoo.md: every trained model with what it reached, from the cards."""

import json
from pathlib import Path
from typing import Any

import models

HEAD = """# The zoo

Written by `make test-zoo`, from the cards of models that were trained in full; every one of them is above its floor.

"""

# One of these reaches it. It is nobody's own floor: on other hardware the same seed may learn a little less, and
# `make archive` would refuse what is sound.
REVIEWERS = ("fasttext", "text_attention", "text_cnn", "text_lstm", "text_rcnn")
BEST_ACCURACY = 0.84


def table(cards: list[dict[str, Any]]) -> str:
    """A Markdown table, a row a model."""
    lines = [
        "| model | task | data | measured | floor | published | seconds | ONNX, torch.export, TorchScript |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for card in cards:
        measured = ", ".join(said(metric, card["metrics"][metric]) for metric in card["floor"])
        floor = ", ".join(said(metric, bound) for metric, bound in card["floor"].items())
        data = f"{card['data']['name']} ({card['data']['kind']})"
        link = f"[{card['name']}](../models/{card['name']}.py)"
        leaves = f"no: {reason}" if (reason := models.find(card["name"]).not_exported) else "yes"
        cells = [link, card["task"], data, measured, floor, card["anchor"], f"{card['seconds']:.0f}", leaves]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def said(metric: str, value: float) -> str:
    """Shares in percent, all else as it is."""
    return f"{metric} {value:.2f}" if value > 1 else f"{metric} {100 * value:.1f} %"


def write(artifacts: Path, version: str, page: Path) -> list[str]:
    """Write the page; returns a line for each model that is not trained in full or is below its floor."""
    faults, cards = [], []
    for name in models.names():
        file = artifacts / name / version / "card.json"
        card = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        if card is None or card["preset"] != "full":
            faults.append(f"{name} {version} is not trained in full")
            continue
        faults += [f"{name} {version}: {fault}" for fault in models.find(name).below_floor(card["metrics"])]
        cards.append(card)
    page.write_text(HEAD + table(cards), encoding="utf-8")
    return faults + below_best(cards)


def below_best(cards: list[dict[str, Any]]) -> list[str]:
    """A line if none of those that classify reviews is as good as the best has to be."""
    found = [card["metrics"]["accuracy"] for card in cards if card["name"] in REVIEWERS]
    if not found or max(found) >= BEST_ACCURACY:
        return []
    return [f"the best accuracy on reviews is {max(found):.4f}, below {BEST_ACCURACY}"]
