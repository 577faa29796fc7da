"""What finding and reading lines of text are taught by."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss, smooth_l1_loss
from torchvision.ops import sigmoid_focal_loss

from handlers.codecs.text_line import BLANK, TextLineCodec
from training.anchors import UNCERTAIN

SIDES = 2.0  # weight of the ends of lines, as in the paper


def proposals(outputs: Tensor, targets: Tensor) -> Tensor:
    """Focal loss of the scores, and smooth L1 of heights, offsets and ends where there are any, all a mean over
    the proposals that are text.
    """
    wanted = targets[..., 0]
    sure, text, ends = wanted != UNCERTAIN, wanted == 1, targets[..., 3].isfinite()
    scores = sigmoid_focal_loss(outputs[..., 0][sure], wanted[sure], alpha=0.5, reduction="sum")
    places = smooth_l1_loss(outputs[..., 1:3][text], targets[..., 1:3][text], reduction="sum", beta=0.1)
    sides = smooth_l1_loss(outputs[..., 3][ends], targets[..., 3][ends], reduction="sum", beta=0.1)
    return (scores + places + SIDES * sides) / text.sum().clamp(min=1)


def ctc(outputs: Tensor, texts: Sequence[str], codec: TextLineCodec) -> Tensor:
    """CTC, a mean over characters and lines. Frames of padding say blank for certain: they need no lengths."""
    numbers = [codec.numbers(text) for text in texts]
    log_probabilities = outputs.log_softmax(dim=2).transpose(0, 1)  # (T, N, classes)
    frames = torch.full((len(numbers),), len(log_probabilities))
    lengths = torch.tensor([len(text) for text in numbers])
    # A line with more characters than frames has no path at all: it counts nothing, not infinity.
    return ctc_loss(
        log_probabilities, torch.cat(numbers).to(outputs.device), frames, lengths, BLANK, zero_infinity=True
    )
