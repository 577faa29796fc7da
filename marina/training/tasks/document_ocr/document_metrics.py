"""Metrics of documents: exact fields, and lines that were found and read."""

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from PIL import Image
from scipy.optimize import linear_sum_assignment
from torchmetrics.functional.text import char_error_rate
from torchvision.ops import box_iou

from marina.training.data.synthesis.text_rendering import NOTO
from marina.training.metrics import line_metrics

Truths = Sequence[Mapping[str, Any]]


def leaves(fields: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return all values by their path, such as items.0.amount."""
    if isinstance(fields, dict | list):
        parts = fields.items() if isinstance(fields, dict) else enumerate(fields)
        return {key: leaf for name, part in parts for key, leaf in leaves(part, (*path, str(name))).items()}
    return {".".join(path): fields}


def score(truths: Truths, responses: Truths) -> dict[str, float]:
    """Return the metrics of JSON responses.

    `fields_exact` counts all fields that are true or were returned, null for null too. Each line counts once in `f1`;
    the character error rate is of lines that were found.
    """
    right = [returned == truth for _, truth, returned in compared(truths, responses)]
    boxes = [[[line["box"] for line in page["lines"]] for page in pages] for pages in (truths, responses)]
    pairs = list(read(truths, responses))
    rate = float(char_error_rate(*map(list, zip(*pairs, strict=True)))) if pairs else 1.0
    return {
        "fields_exact": sum(right) / max(1, len(right)),
        "character_error_rate": rate,
        "lines_exact": sum(returned == truth for returned, truth in pairs) / max(1, len(pairs)),
        **line_metrics.detection_scores(*boxes),
    }


def compared(truths: Truths, responses: Truths) -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, truth, returned value) of each field; the path of an item is without its number."""
    missing = object()
    for truth, response in zip(truths, responses, strict=True):
        there, returned = leaves(truth["fields"]), leaves(response["fields"])
        for path in {**there, **returned}:
            name = ".".join(part for part in path.split(".") if not part.isdigit())
            yield name, there.get(path, missing), returned.get(path, missing)


def read(truths: Truths, responses: Truths) -> Iterator[tuple[str, str]]:
    """Yield (text that was read, true text) of the lines that were found."""
    for truth, response in zip(truths, responses, strict=True):
        there, found = truth["lines"], response["lines"]
        if not there or not found:
            continue
        overlap = box_iou(*(torch.tensor([line["box"] for line in page], dtype=torch.float) for page in (found, there)))
        for one, other in zip(*linear_sum_assignment(overlap.numpy(), maximize=True), strict=True):
            if overlap[one, other] >= line_metrics.IOU:
                yield found[one]["text"], there[other]["text"]


def details(truths: Truths, responses: Truths) -> dict[str, Any]:
    """Return, for card.json, the accuracy of each field, the most frequent mistakes, and some fields that are wrong."""
    right: defaultdict[str, list[bool]] = defaultdict(list)
    wrong: list[dict[str, Any]] = []
    for name, truth, returned in compared(truths, responses):
        right[name].append(truth == returned)
        if truth != returned and len(wrong) < line_metrics.MAX_MISTAKES:
            texts = (
                None if isinstance(value, object) and type(value) is object else value for value in (truth, returned)
            )
            wrong.append({"field": name, **dict(zip(("truth", "said"), texts, strict=True))})
    accuracy = {name: round(float(np.mean(marks)), 4) for name, marks in sorted(right.items())}
    pairs = list(read(truths, responses))
    misread = line_metrics.frequent_mistakes([truth for _, truth in pairs], [returned for returned, _ in pairs])
    return {"fields": accuracy, "wrong": wrong, "misread": misread}


def draw(file: bytes, response: Mapping[str, Any], picture: Path) -> None:
    """Write a picture of a page, each line in its box below the text that was read."""
    image = Image.open(io.BytesIO(file)).convert("L")
    figure = Figure((image.width / 100, image.height / 100), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
    font = FontProperties(fname=NOTO, size=7)  # matplotlib's own has no Chinese
    for line in response["lines"]:
        x1, y1, x2, y2 = line["box"]
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="red"))
        axes.text(x1, y1, line["text"], font=font, color="blue", va="bottom", parse_math=False)
    figure.savefig(picture)
