"""Random numbers and a class -> images that look like those of the data set."""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy, one_hot
from torchmetrics import MeanMetric, Metric

from handlers.codecs.image import ImageCodec
from models.card import Card, Recipe
from training.adversarial import Adversarial
from training.augment import Augment
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.judge import judge
from training.requests import Request

SEEDS, EACH = 16, 32  # requests that the generator is measured by, images of each
SURE = 0.9
LATENT = 100  # numbers that an image is made from
CLASS = 0.5  # weight of the class in the generator's loss: with 1, digits of a class came out more alike
REAL, FAKE = 0.9, 0.0  # one-sided label smoothing (Salimans et al., arXiv:1606.03498)


def spread(images: Tensor, classes: Tensor) -> float:
    """The standard deviation of a pixel, (N, C, S, S) of uint8, among images of one class: the mean over both."""
    each = [images[classes == number].float().std(dim=0, correction=0).mean() for number in torch.unique(classes)]
    return float(torch.stack(each).mean())


class ImageGeneration(Adversarial):
    """The discriminator sees all images augmented, real ones and made ones alike, or it would learn few real ones by
    heart (Zhao et al., arXiv:2006.10738). It also says which class an image shows, and the generator learns to make
    what it was told to (Odena et al., arXiv:1610.09585).
    """

    METRIC = "deceived"
    MEMORY_FORMAT = torch.channels_last  # a quarter off the time of a step
    codec: ImageCodec

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.discriminator = self.learner.discriminator().to(memory_format=self.MEMORY_FORMAT)

    def prepare(self) -> None:
        self.codec = ImageCodec(**self.card.input)
        self.augment = Augment(self.recipe.augment, self.codec.size)
        self.arguments = {"size": self.codec.size, "channels": self.codec.channels, "latent": LATENT}
        self.arguments["num_classes"] = len(self.data.labels)

    def encode(self, split: Split) -> Examples:
        return Examples(torch.stack([self.codec.pixels(file) for file in split.inputs]), torch.tensor(split.targets))

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(batch)

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Cross entropy of the discriminator's logits of being real, (N,), with one target for all."""
        return bce(outputs, torch.full_like(outputs, targets))

    def configure_optimizers(self) -> Any:
        return self.rivals(self.discriminator)

    def training_step(self, batch: tuple[Tensor, Any], _: int) -> None:  # type: ignore[override]
        real, classes = self.augment(batch[0]), batch[1]
        optimizers: Any = self.optimizers()
        generators, discriminators = optimizers
        numbers = torch.randn(len(real), LATENT, device=self.device)
        shown = self.augment(self.learner(torch.cat([numbers, one_hot(classes, len(self.data.labels))], dim=1)))
        on_real, on_fake = self.discriminator(real).float(), self.discriminator(shown.detach()).float()
        told_apart = self.loss(on_real[:, 0], REAL) + self.loss(on_fake[:, 0], FAKE)
        self.step(discriminators, told_apart + cross_entropy(on_real[:, 1:], classes))
        on_fake = self.discriminator(shown).float()
        deceived, as_told = self.loss(on_fake[:, 0], 1.0), cross_entropy(on_fake[:, 1:], classes)
        self.step(generators, deceived + CLASS * as_told)
        self.end_turn()
        losses = {"discriminator": told_apart, "generator": deceived, "class": as_told}
        self.log_dict({f"loss/{name}": loss for name, loss in losses.items()}, prog_bar=True)

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        """How often the discriminator believes in real pictures that it has never seen: it learns by heart if not."""
        self.metric.update(self.discriminator(batch[0])[:, 0].gt(0).float())
        self.log(f"{self.METRIC}/validation", self.metric)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        for seed in range(SEEDS):
            yield Request(json.dumps({"seed": seed, "count": EACH}).encode(), "application/json", data)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """`confident`: the share of images that a classifier of the real ones is at least `SURE` of; `as_told`: of
        those that it takes for what they were to show; `classes`: how many come up; `rarest`: the share of the one that
        comes up least; `variety`: how much those of a class differ, compared to real ones."""
        found = judge(truths[0])
        images = [base64.b64decode(image) for reply in replies for image in reply["images"]]
        told = torch.tensor([found.labels.index(label) for reply in replies for label in reply["labels"]])
        best, real = found.probabilities(images).max(dim=1), truths[0].train
        made, shown = (torch.stack([found.codec.pixels(file) for file in files]) for files in (images, real.inputs))
        counts = best.indices.bincount(minlength=len(found.labels))
        return {
            "confident": float((best.values >= SURE).float().mean()),
            "as_told": float((best.indices == told).float().mean()),
            "classes": float(counts.count_nonzero()),
            "rarest": float(counts.min() / counts.sum()),
            "variety": spread(made, told) / spread(shown, torch.tensor(real.targets)),
        }

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        del truths
        figure = Figure((8, 8 * EACH // 64), layout="constrained")
        for place, image in enumerate(replies[0]["images"], start=1):
            axes = figure.add_subplot(-(-EACH // 8), 8, place)
            axes.imshow(Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB"))
            axes.axis("off")
        figure.savefig(plots / "images.png")
        return {}, {}
