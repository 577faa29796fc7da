"""Lines that were found, beside those that are there."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_iou

IOU = 0.5  # from which on a box has found a line
ROWS, COLUMNS = 2, 4

Boxes = Sequence[Sequence[float]]


def score(truths: Sequence[Boxes], found: Sequence[Boxes]) -> dict[str, float]:
    """Precision, recall and F1 over all pages, each box matched with at most one line."""
    hits = sum(matched(*pair) for pair in zip(truths, found, strict=True))
    precision, recall = (hits / max(1, sum(map(len, boxes))) for boxes in (found, truths))
    return {"f1": 2 * precision * recall / max(precision + recall, 1e-9), "precision": precision, "recall": recall}


def matched(truths: Boxes, found: Boxes) -> int:
    """How many pairs of a line and a box there can be."""
    if not truths or not found:
        return 0
    overlap = box_iou(torch.tensor(truths, dtype=torch.float), torch.tensor(found, dtype=torch.float)).numpy() >= IOU
    return int(overlap[linear_sum_assignment(overlap, maximize=True)].sum())


def draw(files: Sequence[bytes], truths: Sequence[Boxes], found: Sequence[Boxes], picture: Path) -> None:
    """A picture of the first pages: lines that are there in green, boxes that were found in red."""
    figure = Figure((4 * COLUMNS, 4 * ROWS), layout="constrained")
    for place, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        axes.set_axis_off()
        if place < len(found):
            axes.imshow(np.asarray(Image.open(io.BytesIO(files[place])).convert("RGB")))
            for boxes, colour in ((truths[place], "lime"), (found[place], "red")):
                for x1, y1, x2, y2 in boxes:
                    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour))
    figure.savefig(picture)
