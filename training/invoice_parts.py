"""Out of whole pages, what each part of the network learns from: tiles with boxes, and single lines."""

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from handlers.codecs.image import png
from handlers.codecs.invoice import InvoiceCodec
from training.anchors import examples
from training.batches import Examples
from training.data.dataset import Split

TILE = (384, 256)  # pixels of a page, across and down: a tenth of what a whole page costs
TILES = 2  # of each page
OFTEN = 8  # times that a text is read: labels are the same on all pages
JITTER = (4.0, 3.0)  # pixels that a line is cut wider or narrower by, at most, across and down: as boxes are found

Random = np.random.Generator


def lines(codec: InvoiceCodec, split: Split, random: Random) -> Examples:
    """The ink and the text of the lines, each cut out about as the detector would have it cut."""
    seen: Counter[str] = Counter()
    inks: list[Tensor] = []
    texts: list[str] = []
    for file, truth in zip(split.inputs, split.targets, strict=True):
        page = codec.page.page(file)
        for line in truth["lines"]:
            seen[line["text"]] += 1
            if seen[line["text"]] <= OFTEN:
                box = np.asarray(line["box"]) / np.asarray(page.scale * 2) + random.uniform(-1, 1, 4) * (JITTER * 2)
                inks.append(codec.ink(page.pixels, tuple(box.tolist())))
                texts.append(line["text"])
    return Examples(inks, texts)


def tiles(codec: InvoiceCodec, split: Split, random: Random) -> Examples:
    """Pieces of each page, anywhere on it, and what the detector should say of each."""
    pages = [page for page in zip(split.inputs, split.targets, strict=True) for _ in range(TILES)]
    pictures, boxes = zip(*(tile(file, truth["lines"], random) for file, truth in pages), strict=True)
    return examples(codec.page, pictures, boxes)


def tile(file: bytes, found: Sequence[dict[str, Any]], random: Random) -> tuple[bytes, list[list[float]]]:
    """A PNG of the tile, and the boxes in it. Lines that its upper or lower edge cuts through are painted over; those
    that go on beyond its left or right edge end there.
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
