"""Image generation: random numbers and a class -> images that look like those of the data set."""

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
from marina.training.data.augmentation import Augmentation
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest
from marina.training.tasks.common.adversarial import Adversarial
from marina.training.tasks.image_classification.reference_classifier import reference_classifier_of
from models.card import Card, Recipe

SEEDS, EACH = 16, 32  # requests of the evaluation, images of each
CONFIDENCE = 0.9
LATENT = 100  # numbers that an image is made from
CLASS = 0.5  # weight of the class in the generator's loss: with 1, digits of a class came out more alike
REAL, FAKE = 0.9, 0.0  # one-sided label smoothing (Salimans et al., arXiv:1606.03498)


def pixel_deviation(images: Tensor, classes: Tensor) -> float:
    """Return the standard deviation of a pixel, (N, C, S, S) of uint8, among images of one class: the mean over
    both.
    """
    each = [images[classes == number].float().std(dim=0, correction=0).mean() for number in torch.unique(classes)]
    return float(torch.stack(each).mean())


class ImageGeneration(Adversarial):
    """The discriminator sees all images augmented, real and generated ones alike, or it would memorize the few real
    ones (Zhao et al., arXiv:2006.10738).

    It also predicts the class of an image, and the generator is trained to produce the class that was requested (Odena
    et al., arXiv:1610.09585).
    """

    METRIC = "deceived"
    MEMORY_FORMAT = torch.channels_last  # a quarter off the time of a step
    codec: ImageCodec

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.discriminator = self.learner.discriminator().to(memory_format=self.MEMORY_FORMAT)

    def prepare(self) -> None:
        self.codec = ImageCodec(**self.card.input)
        self.augment = Augmentation(self.recipe.augment, self.codec.size)
        self.arguments = {"size": self.codec.size, "channels": self.codec.channels, "latent": LATENT}
        self.arguments["num_classes"] = len(self.data.labels)

    def encode(self, split: Split) -> Examples:
        return Examples(torch.stack([self.codec.pixels(file) for file in split.inputs]), torch.tensor(split.targets))

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(batch)

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Return the cross entropy of the discriminator's logits of being real, (N,), with one target for all."""
        return bce(outputs, torch.full_like(outputs, targets))

    def configure_optimizers(self) -> Any:
        return self.adversarial_optimizers(self.discriminator)

    def training_step(self, batch: tuple[Tensor, Any], _: int) -> None:  # type: ignore[override]
        real, classes = self.augment(batch[0]), batch[1]
        optimizers: Any = self.optimizers()
        generator_optimizer, discriminator_optimizer = optimizers
        numbers = torch.randn(len(real), LATENT, device=self.device)
        shown = self.augment(self.learner(torch.cat([numbers, one_hot(classes, len(self.data.labels))], dim=1)))
        on_real, on_fake = self.discriminator(real).float(), self.discriminator(shown.detach()).float()
        discriminated = self.loss(on_real[:, 0], REAL) + self.loss(on_fake[:, 0], FAKE)
        self.step(discriminator_optimizer, discriminated + cross_entropy(on_real[:, 1:], classes))
        on_fake = self.discriminator(shown).float()
        deceived, as_requested = self.loss(on_fake[:, 0], 1.0), cross_entropy(on_fake[:, 1:], classes)
        self.step(generator_optimizer, deceived + CLASS * as_requested)
        self.finish_step()
        losses = {"discriminator": discriminated, "generator": deceived, "class": as_requested}
        self.log_dict({f"loss/{name}": loss for name, loss in losses.items()}, prog_bar=True)

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        """Measure how often the discriminator takes real images that it has never seen for real: rarely if it
        memorizes.
        """
        self.metric.update(self.discriminator(batch[0])[:, 0].gt(0).float())
        self.log(f"{self.METRIC}/validation", self.metric)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for seed in range(SEEDS):
            yield EvaluationRequest(json.dumps({"seed": seed, "count": EACH}).encode(), "application/json", data)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the metrics of JSON responses, by a classifier of the real images.

        `confident`: the share of images of which the classifier is at least `CONFIDENCE` sure; `as_told`: the share in
        which it sees the requested class; `classes`: the number of classes that occur; `rarest`: the share of the
        rarest one; `variety`: the differences within a class, compared to real images.
        """
        found = reference_classifier_of(truths[0])
        images = [base64.b64decode(image) for response in responses for image in response["images"]]
        requested = torch.tensor([found.labels.index(label) for response in responses for label in response["labels"]])
        best, real = found.probabilities(images).max(dim=1), truths[0].train
        made, shown = (torch.stack([found.codec.pixels(file) for file in files]) for files in (images, real.inputs))
        counts = best.indices.bincount(minlength=len(found.labels))
        return {
            "confident": float((best.values >= CONFIDENCE).float().mean()),
            "as_told": float((best.indices == requested).float().mean()),
            "classes": float(counts.count_nonzero()),
            "rarest": float(counts.min() / counts.sum()),
            "variety": pixel_deviation(made, requested) / pixel_deviation(shown, torch.tensor(real.targets)),
        }

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        del truths
        figure = Figure((8, 8 * EACH // 64), layout="constrained")
        for place, image in enumerate(responses[0]["images"], start=1):
            axes = figure.add_subplot(-(-EACH // 8), 8, place)
            axes.imshow(Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB"))
            axes.axis("off")
        figure.savefig(plots / "images.png")
        return {}, {}
