"""Metrics and pictures of lines of text: lines that were found, and texts that were read."""

import io
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from PIL import Image
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_iou

from marina.training.data.synthesis.text_rendering import NOTO

IOU = 0.5  # from which on a box has found a line
PAGE_GRID = (2, 4)  # rows and columns of pages in a picture
LINE_GRID = (10, 3)  # rows and columns of lines in a picture
MAX_MISTAKES = 20  # in a card

Boxes = Sequence[Sequence[float]]


def detection_scores(truths: Sequence[Boxes], found: Sequence[Boxes]) -> dict[str, float]:
    """Return precision, recall and F1 over all pages, each box matched with at most one line."""
    hits = sum(match_count(*pair) for pair in zip(truths, found, strict=True))
    precision, recall = (hits / max(1, sum(map(len, boxes))) for boxes in (found, truths))
    return {"f1": 2 * precision * recall / max(precision + recall, 1e-9), "precision": precision, "recall": recall}


def match_count(truths: Boxes, found: Boxes) -> int:
    """Return the largest possible number of pairs of a line and a box that has found it."""
    if not truths or not found:
        return 0
    overlap = box_iou(torch.tensor(truths, dtype=torch.float), torch.tensor(found, dtype=torch.float)).numpy() >= IOU
    return int(overlap[linear_sum_assignment(overlap, maximize=True)].sum())


def draw_detections(files: Sequence[bytes], truths: Sequence[Boxes], found: Sequence[Boxes], picture: Path) -> None:
    """Write a picture of the first pages: true lines in green, boxes that were found in red."""
    rows, columns = PAGE_GRID
    figure = Figure((4 * columns, 4 * rows), layout="constrained")
    for place, axes in enumerate(figure.subplots(rows, columns).flat):
        axes.set_axis_off()
        if place < len(found):
            axes.imshow(np.asarray(Image.open(io.BytesIO(files[place])).convert("RGB")))
            for boxes, colour in ((truths[place], "lime"), (found[place], "red")):
                for x1, y1, x2, y2 in boxes:
                    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour))
    figure.savefig(picture)


def is_chinese(text: str) -> bool:
    """Return whether the text has a Han character."""
    return any(unicodedata.name(one, "").startswith("CJK UNIFIED") for one in text)


def frequent_mistakes(truths: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the most frequent mistakes: what was written, what was read instead (either may be empty), how often."""
    counts: Counter[tuple[str, str]] = Counter()
    for truth, text in zip(truths, texts, strict=True):
        for kind, a, b, c, d in SequenceMatcher(None, truth, text, autojunk=False).get_opcodes():
            if kind != "equal":
                counts[truth[a:b], text[c:d]] += 1
    return [{"written": a, "read": b, "times": times} for (a, b), times in counts.most_common(MAX_MISTAKES)]


def draw_readings(files: Sequence[bytes], truths: Sequence[str], texts: Sequence[str], picture: Path) -> None:
    """Write a picture of the first lines, each below the text that was read; red where that is wrong."""
    figure = Figure((12, 8), layout="constrained")
    font = FontProperties(fname=NOTO, size=9)  # matplotlib's own has no Chinese
    for place, axes in enumerate(figure.subplots(*LINE_GRID).flat):
        axes.set_axis_off()
        if place < len(texts):
            axes.imshow(Image.open(io.BytesIO(files[place])).convert("L"), cmap="gray", vmin=0, vmax=255)
            right = texts[place] == truths[place]
            axes.set_title(texts[place], font=font, color="black" if right else "red", parse_math=False)
    figure.savefig(picture)
