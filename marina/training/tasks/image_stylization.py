"""Image stylization: content and style -> an image. Nothing is trained: the weights are published ones, unchanged."""

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

from handlers.codecs.style import MIN_SIDE, StyleCodec
from handlers.image_stylization import STEPS
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task

SENT = 128  # pixels of the longer side of a content in a request


class ImageStylization(Task):
    """The codec receives the styles; there is nothing else to do."""

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
        """Return no optimizer."""

    @property
    def options(self) -> dict[str, str]:
        """Options for the quality that users get: the requests themselves are small, for canaries and load tests."""
        return {"steps": str(STEPS), "size": str(self.codec.size)}

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, target in zip(data.test.inputs, data.test.targets, strict=True):
            form = {"image": _reduced(file), "style": data.labels[target], "steps": 2, "size": MIN_SIDE}
            yield EvaluationRequest(json.dumps(form).encode(), "application/json", target)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return means over the images. `style_gain`: the share of the style loss that is removed; `content_error`: the
        share of the content's features, squared, that is missed.
        """
        del truths
        losses = [response["losses"] for response in responses]
        return {
            "style_gain": fmean(1 - loss["after"]["style"] / loss["before"]["style"] for loss in losses),
            "content_error": fmean(loss["after"]["content"] for loss in losses),
        }

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Draw content, style and result of each request, a row each."""
        figure = Figure((6, 2 * len(responses)), layout="constrained")
        grid: Any = figure.subplots(len(responses), 3, squeeze=False)
        for row, content, target, response in zip(grid, self.data.test.inputs, truths, responses, strict=True):
            files = (content, self.data.train.inputs[target], base64.b64decode(response["image"]))
            for axes, file in zip(row, files, strict=True):
                axes.imshow(Image.open(io.BytesIO(file)).convert("RGB"))
                axes.axis("off")
        figure.savefig(plots / "pictures.png")
        return {}, {}


def _reduced(file: bytes) -> str:
    """Return the image at the size of a request, as JPEG in base64."""
    image = Image.open(io.BytesIO(file)).convert("RGB")
    image.thumbnail((SENT, SENT))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return base64.b64encode(buffer.getvalue()).decode()
