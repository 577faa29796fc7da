"""Losses of finding and reading lines of text: CTPN's targets and loss, and CTC."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss, smooth_l1_loss
from torchvision.ops import sigmoid_focal_loss

from handlers.codecs.text_line import BLANK, TextLineCodec
from handlers.codecs.text_page import CELL, TextPageCodec, pad_pages
from handlers.documents.text_proposals import MAX_END_OFFSET, anchors
from marina.training.data.batches import Examples

UNCERTAIN = -1  # anchors that are neither text nor clearly not: the loss leaves them out
TEXT, OTHER = 0.7, 0.5  # vertical IoU with a line, from which on an anchor is text, below which it is not


def anchor_targets(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """Return CTPN's targets for the lines (K, 4) of a page, in pixels: (rows, columns, 10, 4), as the network's output:
    text (1, 0 or UNCERTAIN), offset, height, and the end of the line, NaN where none is near.

    In every column that a line runs through, the anchor with the largest overlap is text, however small the overlap is.
    """
    x1, y1, x2, y2 = anchors(rows, columns).permute(1, 3, 0, 2).flatten(2).unbind(1)  # each (columns, rows * 10)
    expected = torch.zeros(columns, x1.shape[1], 4)
    expected[..., 3] = torch.nan
    middle, height = (y1 + y2) / 2, y2 - y1
    highest = torch.zeros_like(x1)
    for left, top, right, bottom in boxes.tolist():
        runs = (x1[:, 0] < right) & (x2[:, 0] > left)  # (columns,)
        shared = (y2.clamp(max=bottom) - y1.clamp(min=top)).clamp(min=0)
        overlap = shared / (height + bottom - top - shared) * runs[:, None]
        best = torch.zeros_like(runs[:, None].expand_as(overlap)).scatter(1, overlap.argmax(1, keepdim=True), True)
        text = (overlap >= TEXT) | (best & runs[:, None])
        text &= (overlap > highest) | (expected[..., 0] != 1)  # where lines overlap, the one that fits better
        highest = torch.maximum(highest, overlap)
        expected[..., 0] = torch.where((expected[..., 0] == 0) & (overlap >= OTHER), UNCERTAIN, expected[..., 0])
        expected[..., 0][text] = 1
        expected[..., 1][text] = (((top + bottom) / 2 - middle) / height)[text]
        expected[..., 2][text] = ((bottom - top) / height).log()[text]
        centre = (x1 + x2) / 2
        nearer = torch.where((centre - left).abs() <= (right - centre).abs(), left, right)
        end = (nearer - centre) / CELL
        expected[..., 3][text] = torch.where(end.abs() <= MAX_END_OFFSET, end, torch.nan)[text]
    return expected.view(columns, rows, -1, 4).transpose(0, 1).contiguous()


def page_examples(codec: TextPageCodec, files: Sequence[bytes], boxes: Sequence[Sequence[Sequence[float]]]) -> Examples:
    """Return pages in memory as (N, 1, H, W) of uint8, smaller ones padded, and the targets of each."""
    pages = [codec.page(file) for file in files]
    rows, columns = (max(page.cells[side] for page in pages) for side in (0, 1))
    expected = [
        anchor_targets(torch.tensor(lines).reshape(-1, 4) / torch.tensor(page.scale * 2), rows, columns)
        for page, lines in zip(pages, boxes, strict=True)
    ]
    return Examples(pad_pages([page.pixels for page in pages]), torch.stack(expected))


SIDES = 2.0  # weight of the ends of lines, as in the paper


def proposal_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the focal loss of the scores plus smooth L1 of heights, offsets and ends where there are any, each a mean
    over the proposals that are text.
    """
    expected = targets[..., 0]
    sure, text, ends = expected != UNCERTAIN, expected == 1, targets[..., 3].isfinite()
    scores = sigmoid_focal_loss(outputs[..., 0][sure], expected[sure], alpha=0.5, reduction="sum")
    places = smooth_l1_loss(outputs[..., 1:3][text], targets[..., 1:3][text], reduction="sum", beta=0.1)
    sides = smooth_l1_loss(outputs[..., 3][ends], targets[..., 3][ends], reduction="sum", beta=0.1)
    return (scores + places + SIDES * sides) / text.sum().clamp(min=1)


def line_ctc_loss(outputs: Tensor, texts: Sequence[str], codec: TextLineCodec) -> Tensor:
    """Return the CTC loss, a mean over characters and lines. No lengths are needed: the network is certain of blank in
    frames of padding.
    """
    numbers = [codec.numbers(text) for text in texts]
    log_probabilities = outputs.log_softmax(dim=2).transpose(0, 1)  # (T, N, classes)
    frames = torch.full((len(numbers),), len(log_probabilities))
    lengths = torch.tensor([len(text) for text in numbers])
    # A line with more characters than frames has no path at all: it counts nothing, not infinity.
    return ctc_loss(
        log_probabilities, torch.cat(numbers).to(outputs.device), frames, lengths, BLANK, zero_infinity=True
    )
