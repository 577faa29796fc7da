"""Content and style -> a picture. Nothing is learned: the weights are published ones, and stay as they are."""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from handlers.codecs.style import SMALLEST, StyleCodec
from handlers.image_stylization import STEPS
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.requests import Request
from training.task import Task

SENT = 128  # pixels of the longer side of a content in a request


class ImageStylization(Task):
    """The codec gets the styles, which is all that there is to do."""

    METRIC = "style_gain"
    codec: StyleCodec

    def prepare(self) -> None:
        files = [base64.b64encode(file).decode() for file in self.data.train.inputs]
        self.codec = StyleCodec(**self.card.input, styles=dict(zip(self.data.labels, files, strict=True)))

    def encode(self, split: Split) -> Examples:
        return Examples(torch.tensor(split.targets), torch.tensor(split.targets))

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        raise NotImplementedError("nothing is learned: the recipe has no epochs")

    def configure_optimizers(self) -> None:
        """There is nothing to optimise."""

    @property
    def options(self) -> dict[str, str]:
        """Requests ask for little, as canaries and load tests should; quality is that of what users get."""
        return {"steps": str(STEPS), "size": str(self.codec.size)}

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        for file, target in zip(data.test.inputs, data.test.targets, strict=True):
            asked = {"image": _reduced(file), "style": data.labels[target], "steps": 2, "size": SMALLEST}
            yield Request(json.dumps(asked).encode(), "application/json", target)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Means over the pictures. `style_gain`: the share of the style loss that is gone; `content_error`: the share
        of the content's features, squared, that is missed."""
        del truths
        losses = [reply["losses"] for reply in replies]
        return {
            "style_gain": fmean(1 - loss["after"]["style"] / loss["before"]["style"] for loss in losses),
            "content_error": fmean(loss["after"]["content"] for loss in losses),
        }

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Content, style and picture of each request, a row each."""
        figure = Figure((6, 2 * len(replies)), layout="constrained")
        grid: Any = figure.subplots(len(replies), 3, squeeze=False)
        for row, content, target, reply in zip(grid, self.data.test.inputs, truths, replies, strict=True):
            files = (content, self.data.train.inputs[target], base64.b64decode(reply["image"]))
            for axes, file in zip(row, files, strict=True):
                axes.imshow(Image.open(io.BytesIO(file)).convert("RGB"))
                axes.axis("off")
        figure.savefig(plots / "pictures.png")
        return {}, {}


def _reduced(file: bytes) -> str:
    """The picture at the size of a request, as JPEG in base64."""
    image = Image.open(io.BytesIO(file)).convert("RGB")
    image.thumbnail((SENT, SENT))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return base64.b64encode(buffer.getvalue()).decode()
