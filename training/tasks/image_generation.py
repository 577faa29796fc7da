"""Random numbers -> images that look like those of the data set."""

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
REAL, FAKE = 0.9, 0.0  # one-sided label smoothing (Salimans et al., arXiv:1606.03498)


class ImageGeneration(Adversarial):
    """The discriminator sees all images augmented, real ones and made ones alike, or it would learn few real ones by
    heart (Zhao et al., arXiv:2006.10738).
    """

    METRIC = "deceived"
    codec: ImageCodec

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.discriminator = self.learner.discriminator()

    def prepare(self) -> None:
        self.codec = ImageCodec(**self.card.input)
        self.augment = Augment(self.recipe.augment, self.codec.size)
        self.arguments = {"size": self.codec.size, "channels": self.codec.channels, "latent": LATENT}

    def encode(self, split: Split) -> Examples:
        return Examples(torch.stack([self.codec.pixels(file) for file in split.inputs]), torch.tensor(split.targets))

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(batch)

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Cross entropy of the discriminator's logits (N,) with one target for all."""
        return bce(outputs, torch.full_like(outputs, targets))

    def configure_optimizers(self) -> Any:
        return self.rivals(self.discriminator)

    def training_step(self, batch: tuple[Tensor, Any], _: int) -> None:  # type: ignore[override]
        real = self.augment(batch[0])
        optimizers: Any = self.optimizers()
        generators, discriminators = optimizers
        fake = self.learner(torch.randn(len(real), LATENT, device=self.device))
        shown = self.augment(fake)
        told_apart = self.loss(self.discriminator(real).float(), REAL)
        told_apart += self.loss(self.discriminator(shown.detach()).float(), FAKE)
        self.step(discriminators, told_apart)
        deceived = self.loss(self.discriminator(shown).float(), 1.0)
        self.step(generators, deceived)
        self.end_turn()
        self.log_dict({"loss/discriminator": told_apart, "loss/generator": deceived}, prog_bar=True)

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        """How often the discriminator believes in real pictures that it has never seen: it learns by heart if not."""
        self.metric.update(self.discriminator(batch[0]).gt(0).float())
        self.log(f"{self.METRIC}/validation", self.metric)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        for seed in range(SEEDS):
            yield Request(json.dumps({"seed": seed, "count": EACH}).encode(), "application/json", data)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """`confident`: the share of images that a classifier of the real ones is at least `SURE` of; `classes`: how
        many of them come up; `rarest`: the share of the one that comes up least."""
        found = judge(truths[0])
        images = [base64.b64decode(image) for reply in replies for image in reply["images"]]
        best = found.probabilities(images).max(dim=1)
        counts = best.indices.bincount(minlength=len(found.labels))
        return {
            "confident": float((best.values >= SURE).float().mean()),
            "classes": float(counts.count_nonzero()),
            "rarest": float(counts.min() / counts.sum()),
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
