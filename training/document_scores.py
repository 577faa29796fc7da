"""How many fields of a document are exact, and how well its lines were found and read."""

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

from training import found_lines, readings
from training.data.rendering import NOTO

Truths = Sequence[Mapping[str, Any]]


def leaves(fields: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """All values by their path, such as items.0.amount."""
    if isinstance(fields, dict | list):
        parts = fields.items() if isinstance(fields, dict) else enumerate(fields)
        return {key: leaf for name, part in parts for key, leaf in leaves(part, (*path, str(name))).items()}
    return {".".join(path): fields}


def score(truths: Truths, replies: Truths) -> dict[str, float]:
    """`fields_exact`: of all that are there or were said to be, null for null too. Each line counts once in `f1`; the
    character error rate is of lines that were found.
    """
    right = [said == truth for _, truth, said in compared(truths, replies)]
    boxes = [[[line["box"] for line in page["lines"]] for page in pages] for pages in (truths, replies)]
    pairs = list(read(truths, replies))
    rate = float(char_error_rate(*map(list, zip(*pairs, strict=True)))) if pairs else 1.0
    return {
        "fields_exact": sum(right) / max(1, len(right)),
        "character_error_rate": rate,
        "lines_exact": sum(said == truth for said, truth in pairs) / max(1, len(pairs)),
        **found_lines.score(*boxes),
    }


def compared(truths: Truths, replies: Truths) -> Iterator[tuple[str, Any, Any]]:
    """(path, truth, what was said) of each field; items without their numbers."""
    missing = object()
    for truth, reply in zip(truths, replies, strict=True):
        there, said = leaves(truth["fields"]), leaves(reply["fields"])
        for path in {**there, **said}:
            name = ".".join(part for part in path.split(".") if not part.isdigit())
            yield name, there.get(path, missing), said.get(path, missing)


def read(truths: Truths, replies: Truths) -> Iterator[tuple[str, str]]:
    """(what was read, what is there) of the lines that were found."""
    for truth, reply in zip(truths, replies, strict=True):
        there, found = truth["lines"], reply["lines"]
        if not there or not found:
            continue
        overlap = box_iou(*(torch.tensor([line["box"] for line in page], dtype=torch.float) for page in (found, there)))
        for one, other in zip(*linear_sum_assignment(overlap.numpy(), maximize=True), strict=True):
            if overlap[one, other] >= found_lines.IOU:
                yield found[one]["text"], there[other]["text"]


def details(truths: Truths, replies: Truths) -> dict[str, Any]:
    """For the card: the accuracy of each field, the commonest mistakes, and some fields that are wrong."""
    right: defaultdict[str, list[bool]] = defaultdict(list)
    wrong: list[dict[str, Any]] = []
    for name, truth, said in compared(truths, replies):
        right[name].append(truth == said)
        if truth != said and len(wrong) < readings.MOST:
            texts = (None if isinstance(value, object) and type(value) is object else value for value in (truth, said))
            wrong.append({"field": name, **dict(zip(("truth", "said"), texts, strict=True))})
    accuracy = {name: round(float(np.mean(marks)), 4) for name, marks in sorted(right.items())}
    pairs = list(read(truths, replies))
    misread = readings.misread([truth for _, truth in pairs], [said for said, _ in pairs])
    return {"fields": accuracy, "wrong": wrong, "misread": misread}


def draw(file: bytes, reply: Mapping[str, Any], picture: Path) -> None:
    """A picture of a page, each line in its box under what was read."""
    image = Image.open(io.BytesIO(file)).convert("L")
    figure = Figure((image.width / 100, image.height / 100), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
    font = FontProperties(fname=NOTO, size=7)  # matplotlib's own has no Chinese
    for line in reply["lines"]:
        x1, y1, x2, y2 = line["box"]
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="red"))
        axes.text(x1, y1, line["text"], font=font, color="blue", va="bottom", parse_math=False)
    figure.savefig(picture)
