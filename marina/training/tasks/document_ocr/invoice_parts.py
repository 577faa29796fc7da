"""Training examples of the parts of the invoice network, cut from whole pages: tiles with boxes, and single lines."""

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from handlers.codecs.image import png
from handlers.codecs.invoice_lines import InvoiceCodec
from marina.training.data.batches import Examples
from marina.training.data.dataset import Split
from marina.training.losses.line_losses import page_examples

TILE = (384, 256)  # pixels of a page, across and down: a tenth of what a whole page costs
TILES = 2  # of each page
MAX_REPEATS = 8  # times that a text is read: labels are the same on all pages
JITTER = (4.0, 3.0)  # pixels that a line is cut wider or narrower by, at most, across and down: as boxes are found

Random = np.random.Generator


def lines(codec: InvoiceCodec, split: Split, random: Random) -> Examples:
    """Return the ink and the text of the lines, each cut out as imprecisely as the detector finds it."""
    counts: Counter[str] = Counter()
    inks: list[Tensor] = []
    texts: list[str] = []
    for file, truth in zip(split.inputs, split.targets, strict=True):
        page = codec.page.page(file)
        for line in truth["lines"]:
            counts[line["text"]] += 1
            if counts[line["text"]] <= MAX_REPEATS:
                box = np.asarray(line["box"]) / np.asarray(page.scale * 2) + random.uniform(-1, 1, 4) * (JITTER * 2)
                inks.append(codec.ink(page.pixels, tuple(box.tolist())))
                texts.append(line["text"])
    return Examples(inks, texts)


def tiles(codec: InvoiceCodec, split: Split, random: Random) -> Examples:
    """Return random tiles of each page, and the detector's targets for each."""
    pages = [page for page in zip(split.inputs, split.targets, strict=True) for _ in range(TILES)]
    pictures, boxes = zip(*(tile(file, truth["lines"], random) for file, truth in pages), strict=True)
    return page_examples(codec.page, pictures, boxes)


def tile(file: bytes, found: Sequence[dict[str, Any]], random: Random) -> tuple[bytes, list[list[float]]]:
    """Return a PNG of a random tile, and the boxes in it. Lines that its upper or lower edge cuts through are painted
    over; those that extend beyond its left or right edge end there.
    """
    pixels = np.array(Image.open(io.BytesIO(file)).convert("L"))
    height, width = pixels.shape
    left, top = (int(random.integers(max(1, side - size + 1))) for side, size in ((width, TILE[0]), (height, TILE[1])))
    right, bottom = min(left + TILE[0], width), min(top + TILE[1], height)
    paper, boxes = int(np.median(pixels)), []
    for line in found:
        x1, y1, x2, y2 = line["box"]
        if x1 >= right or x2 <= left or y1 >= bottom or y2 <= top:
            continue
        if y1 < top or y2 > bottom:
            rows, columns = (slice(max(0, int(low) - 1), int(high) + 2) for low, high in ((y1, y2), (x1, x2)))
            pixels[rows, columns] = paper
        else:
            boxes.append([max(x1, left) - left, y1 - top, min(x2, right) - left, y2 - top])
    return png(torch.from_numpy(pixels[top:bottom, left:right]).unsqueeze(0)), boxes
