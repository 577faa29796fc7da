"""Losses for lines of text: CTPN's targets and loss for detection, and the CTC loss for recognition."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss, smooth_l1_loss
from torchvision.ops import sigmoid_focal_loss

from handlers.codecs.text_line import BLANK, TextLineCodec
from handlers.codecs.text_page import CELL, TextPageCodec, pad_pages
from handlers.documents.text_proposals import MAX_END_OFFSET, anchors
from marina.training.data.batches import Examples

UNCERTAIN = -1  # target of anchors between the two thresholds, which the loss ignores
# Vertical IoU of an anchor with a line of text: from TEXT on it is a positive, below BACKGROUND a negative.
TEXT, BACKGROUND = 0.7, 0.5
END_WEIGHT = 2.0  # weight of the loss of the ends of lines (side refinement), as in the paper


def anchor_targets(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """Return CTPN's targets for one page, (rows, columns, 10, 4), in the layout of the network's output.

    `boxes` are the lines of text, (K, 4): x1, y1, x2, y2 in pixels. The four targets of an anchor are: whether it is
    text (1, 0 or UNCERTAIN); the vertical offset of the line's middle, in heights of the anchor; the logarithm of the
    line's height, in heights of the anchor; and the distance to the nearer end of the line, in cells, NaN if that is
    over MAX_END_OFFSET. In every column that a line crosses, the anchor with the largest IoU is text, however small.
    """
    x1, y1, x2, y2 = anchors(rows, columns).permute(1, 3, 0, 2).flatten(2).unbind(1)  # each (columns, rows * 10)
    targets = torch.zeros(columns, x1.shape[1], 4)
    targets[..., 3] = torch.nan
    middle, height = (y1 + y2) / 2, y2 - y1
    best_iou = torch.zeros_like(x1)  # of each anchor with any line so far
    for left, top, right, bottom in boxes.tolist():
        crossed = (x1[:, 0] < right) & (x2[:, 0] > left)  # (columns,)
        intersection = (y2.clamp(max=bottom) - y1.clamp(min=top)).clamp(min=0)
        iou = intersection / (height + bottom - top - intersection) * crossed[:, None]
        best = torch.zeros_like(crossed[:, None].expand_as(iou)).scatter(1, iou.argmax(1, keepdim=True), True)
        text = (iou >= TEXT) | (best & crossed[:, None])
        text &= (iou > best_iou) | (targets[..., 0] != 1)  # an anchor on several lines belongs to the one with most IoU
        best_iou = torch.maximum(best_iou, iou)
        targets[..., 0] = torch.where((targets[..., 0] == 0) & (iou >= BACKGROUND), UNCERTAIN, targets[..., 0])
        targets[..., 0][text] = 1
        targets[..., 1][text] = (((top + bottom) / 2 - middle) / height)[text]
        targets[..., 2][text] = ((bottom - top) / height).log()[text]
        centre = (x1 + x2) / 2
        nearer_end = torch.where((centre - left).abs() <= (right - centre).abs(), left, right)
        distance = (nearer_end - centre) / CELL
        targets[..., 3][text] = torch.where(distance.abs() <= MAX_END_OFFSET, distance, torch.nan)[text]
    return targets.view(columns, rows, -1, 4).transpose(0, 1).contiguous()


def page_examples(codec: TextPageCodec, files: Sequence[bytes], boxes: Sequence[Sequence[Sequence[float]]]) -> Examples:
    """Decode image files to pages, (N, 1, H, W) of uint8, and return them with CTPN's targets of each.

    `boxes` are the lines of each page, x1, y1, x2, y2 in pixels of the file. Smaller pages are padded.
    """
    pages = [codec.page(file) for file in files]
    rows, columns = (max(page.cells[side] for page in pages) for side in (0, 1))
    targets = [
        anchor_targets(torch.tensor(lines).reshape(-1, 4) / torch.tensor(page.scale * 2), rows, columns)
        for page, lines in zip(pages, boxes, strict=True)
    ]
    return Examples(pad_pages([page.pixels for page in pages]), torch.stack(targets))


def proposal_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return CTPN's loss of outputs and targets, both (N, rows, columns, 10, 4): a scalar.

    It is the focal loss of the scores plus the smooth L1 losses of offsets and heights, and of the ends of lines where
    there are any. Each is a sum, divided by the number of anchors that are text.
    """
    labels = targets[..., 0]
    certain, text, ends = labels != UNCERTAIN, labels == 1, targets[..., 3].isfinite()
    score_loss = sigmoid_focal_loss(outputs[..., 0][certain], labels[certain], alpha=0.5, reduction="sum")
    box_loss = smooth_l1_loss(outputs[..., 1:3][text], targets[..., 1:3][text], reduction="sum", beta=0.1)
    end_loss = smooth_l1_loss(outputs[..., 3][ends], targets[..., 3][ends], reduction="sum", beta=0.1)
    return (score_loss + box_loss + END_WEIGHT * end_loss) / text.sum().clamp(min=1)


def line_ctc_loss(outputs: Tensor, texts: Sequence[str], codec: TextLineCodec) -> Tensor:
    """Return the CTC loss of logits (N, T, classes) for N texts: a scalar, the mean over characters and lines.

    All T frames of each line count. Frames of padding need no mask, because the network outputs blank there.
    """
    class_ids = [codec.numbers(text) for text in texts]
    log_probabilities = outputs.log_softmax(dim=2).transpose(0, 1)  # (T, N, classes)
    frames = torch.full((len(class_ids),), len(log_probabilities))
    lengths = torch.tensor([len(ids) for ids in class_ids])
    # A line with more characters than frames has no CTC path; zero_infinity makes its loss 0 instead of infinite.
    return ctc_loss(
        log_probabilities, torch.cat(class_ids).to(outputs.device), frames, lengths, BLANK, zero_infinity=True
    )
