"""Text detection: images of pages -> boxes of the lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import BinaryF1Score

from handlers.codecs.text_page import TextPageCodec
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.losses import line_losses
from marina.training.metrics import line_metrics
from marina.training.task import EvaluationRequest, Task


class ProposalF1(BinaryF1Score):
    """F1 of single proposals, text or not, before they are joined into lines."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds[..., 0].flatten(), target[..., 0].flatten().long())


class TextDetection(Task):
    """Pages lie in memory as (N, 1, H, W) of uint8, smaller ones padded; targets have the form of the output."""

    METRIC = "proposal_f1"
    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: TextPageCodec

    def prepare(self) -> None:
        self.codec = TextPageCodec(**self.card.input)

    def encode(self, split: Split) -> Examples:
        return line_losses.page_examples(self.codec, split.inputs, split.targets)

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(batch)

    def new_metric(self) -> Metric:
        return ProposalF1(ignore_index=line_losses.UNCERTAIN)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return line_losses.proposal_loss(outputs, targets)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, boxes in zip(data.test.inputs, data.test.targets, strict=True):
            yield EvaluationRequest(file, "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png", boxes)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return precision, recall and F1 of lines: a line is found by a box with an IoU of at least 0.5, one for
        each.
        """
        return line_metrics.detection_scores(
            truths, [[line["box"] for line in response["lines"]] for response in responses]
        )

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        found = [[line["box"] for line in response["lines"]] for response in responses]
        line_metrics.draw_detections(self.data.test.inputs, truths, found, plots / "pages.png")
        return {}, {}
