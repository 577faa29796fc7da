"""What CTPN should say of a page whose lines are known."""

from collections.abc import Sequence

import torch
from torch import Tensor

from handlers.codecs.text_page import CELL, TextPageCodec, together
from handlers.proposals import FAR, anchors
from training.batches import Examples

UNCERTAIN = -1  # anchors that are neither text nor clearly not: the loss leaves them out
TEXT, OTHER = 0.7, 0.5  # vertical IoU with a line, from which on an anchor is text, below which it is not


def targets(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """Lines (K, 4) in pixels of the page -> (rows, columns, 10, 4), as the network's output: text (1, 0 or UNCERTAIN),
    offset, height, and the end of the line, not a number where none is near.

    In every column that a line runs through, the anchor that fits it best is text, however badly it does.
    """
    x1, y1, x2, y2 = anchors(rows, columns).permute(1, 3, 0, 2).flatten(2).unbind(1)  # each (columns, rows * 10)
    wanted = torch.zeros(columns, x1.shape[1], 4)
    wanted[..., 3] = torch.nan
    middle, height = (y1 + y2) / 2, y2 - y1
    highest = torch.zeros_like(x1)
    for left, top, right, bottom in boxes.tolist():
        runs = (x1[:, 0] < right) & (x2[:, 0] > left)  # (columns,)
        shared = (y2.clamp(max=bottom) - y1.clamp(min=top)).clamp(min=0)
        overlap = shared / (height + bottom - top - shared) * runs[:, None]
        best = torch.zeros_like(runs[:, None].expand_as(overlap)).scatter(1, overlap.argmax(1, keepdim=True), True)
        text = (overlap >= TEXT) | (best & runs[:, None])
        text &= (overlap > highest) | (wanted[..., 0] != 1)  # where lines overlap, the one that fits better
        highest = torch.maximum(highest, overlap)
        wanted[..., 0] = torch.where((wanted[..., 0] == 0) & (overlap >= OTHER), UNCERTAIN, wanted[..., 0])
        wanted[..., 0][text] = 1
        wanted[..., 1][text] = (((top + bottom) / 2 - middle) / height)[text]
        wanted[..., 2][text] = ((bottom - top) / height).log()[text]
        centre = (x1 + x2) / 2
        nearer = torch.where((centre - left).abs() <= (right - centre).abs(), left, right)
        end = (nearer - centre) / CELL
        wanted[..., 3][text] = torch.where(end.abs() <= FAR, end, torch.nan)[text]
    return wanted.view(columns, rows, -1, 4).transpose(0, 1).contiguous()


def examples(codec: TextPageCodec, files: Sequence[bytes], boxes: Sequence[Sequence[Sequence[float]]]) -> Examples:
    """Pages in memory as (N, 1, H, W) of uint8, smaller ones padded, and what should be said of each."""
    pages = [codec.page(file) for file in files]
    rows, columns = (max(page.cells[side] for page in pages) for side in (0, 1))
    wanted = [
        targets(torch.tensor(lines).reshape(-1, 4) / torch.tensor(page.scale * 2), rows, columns)
        for page, lines in zip(pages, boxes, strict=True)
    ]
    return Examples(together([page.pixels for page in pages]), torch.stack(wanted))
