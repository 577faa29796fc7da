"""Images of pages -> where the lines of text are."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss
from torchmetrics import Metric
from torchmetrics.classification import BinaryF1Score
from torchvision.ops import sigmoid_focal_loss

from handlers.codecs.text_page import TextPageCodec, together
from training import anchors, found_lines
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.requests import Request
from training.task import Task

SIDES = 2.0  # weight of the ends of lines in the loss, as in the paper


class ProposalF1(BinaryF1Score):
    """F1 of single proposals, text or not, before they are joined."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds[..., 0].flatten(), target[..., 0].flatten().long())


class TextDetection(Task):
    """Pages lie in memory as (N, 1, H, W) of uint8, smaller ones padded; targets as the output should be."""

    METRIC = "proposal_f1"
    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: TextPageCodec

    def prepare(self) -> None:
        self.codec = TextPageCodec(**self.card.input)

    def encode(self, split: Split) -> Examples:
        pages = [self.codec.page(file) for file in split.inputs]
        pixels = together([page.pixels for page in pages])
        rows, columns = (max(page.cells[side] for page in pages) for side in (0, 1))
        targets = [
            anchors.targets(torch.tensor(boxes).reshape(-1, 4) / torch.tensor(page.scale * 2), rows, columns)
            for page, boxes in zip(pages, split.targets, strict=True)
        ]
        return Examples(pixels, torch.stack(targets))

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(batch)

    def new_metric(self) -> Metric:
        return ProposalF1(ignore_index=anchors.UNCERTAIN)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Focal loss of the scores, and smooth L1 of heights, offsets and ends where there are any, all a mean over
        the proposals that are text.
        """
        wanted = targets[..., 0]
        sure, text, ends = wanted != anchors.UNCERTAIN, wanted == 1, targets[..., 3].isfinite()
        scores = sigmoid_focal_loss(outputs[..., 0][sure], wanted[sure], alpha=0.5, reduction="sum")
        places = smooth_l1_loss(outputs[..., 1:3][text], targets[..., 1:3][text], reduction="sum", beta=0.1)
        sides = smooth_l1_loss(outputs[..., 3][ends], targets[..., 3][ends], reduction="sum", beta=0.1)
        return (scores + places + SIDES * sides) / text.sum().clamp(min=1)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        for file, boxes in zip(data.test.inputs, data.test.targets, strict=True):
            yield Request(file, "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png", boxes)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Precision, recall and F1 of lines: a line is found by a box with an IoU of 0.5 or more, one for each."""
        return found_lines.score(truths, [[line["box"] for line in reply["lines"]] for reply in replies])

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        found = [[line["box"] for line in reply["lines"]] for reply in replies]
        found_lines.draw(self.data.test.inputs, truths, found, plots / "pages.png")
        return {}, {}
