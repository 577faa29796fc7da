"""Images of pages -> where the lines of text are."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import BinaryF1Score

from handlers.codecs.text_page import TextPageCodec
from training import anchors, found_lines, text_losses
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.requests import Request
from training.task import Task


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
        return anchors.examples(self.codec, split.inputs, split.targets)

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(batch)

    def new_metric(self) -> Metric:
        return ProposalF1(ignore_index=anchors.UNCERTAIN)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return text_losses.proposals(outputs, targets)

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
