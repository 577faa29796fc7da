"""Image translation: images of one domain -> the same in the other domain, trained without pairs."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torchmetrics import MeanMetric, Metric
from torchvision.utils import make_grid

from handlers.codecs.image import png
from handlers.codecs.letterbox import LetterboxCodec
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest
from marina.training.tasks.common.adversarial import Adversarial
from marina.training.tasks.image_translation.class_preservation import TranslationTruth, class_preservation_rates
from marina.training.tasks.image_translation.cycle_losses import (
    ImagePool,
    discriminator_loss,
    generator_losses,
    with_noise,
)
from models.card import Card, Recipe

CYCLE, IDENTITY = 10.0, 5.0  # weights of their losses, as in the paper
PACE = 0.5  # of the discriminators' learning rate: they have the easier side (Heusel et al., arXiv:1706.08500)
NOISE = 0.05  # of pixels in -1..1: hides what a generator would encode in faint ones (Chu et al., arXiv:1712.02950)
POOL = 50  # images
SHOWN = 8  # of each domain, in pictures


class ImageTranslation(Adversarial):
    """CycleGAN's training (Zhu et al., arXiv:1703.10593). The logs' loss/* are its four losses, unweighted."""

    METRIC = "cycle_l1"
    codec: LetterboxCodec

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.discriminators = nn.ModuleList(self.learner.discriminator() for _ in data.labels)
        shape = (3, self.codec.size, self.codec.size)
        self.pools = nn.ModuleList(ImagePool(POOL, *shape) for _ in data.labels)

    def prepare(self) -> None:
        self.codec = LetterboxCodec(**self.card.input)

    def encode(self, split: Split) -> Examples:
        """Return images of A and of B; the smaller domain is repeated. No loss compares the two images of a pair."""
        a, b = (
            torch.stack([self.codec.letterbox(split.inputs[i]).pixels for i in places])
            for places in ([i for i, origin in enumerate(split.targets) if origin.domain == d] for d in (0, 1))
        )
        count = torch.arange(max(len(a), len(b)))
        return Examples(a[count % len(a)], b[count % len(b)])

    def on_after_batch_transfer(self, batch: tuple[Tensor, Any], dataloader_idx: int) -> tuple[Tensor, Any]:
        del dataloader_idx
        a, b = batch
        return self.codec.normalize(a), self.codec.normalize(b)

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Return the mean absolute difference of pixels in 0..1."""
        return l1_loss(outputs, targets) / 2

    def configure_optimizers(self) -> Any:
        return self.adversarial_optimizers(self.discriminators, PACE)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:  # type: ignore[override]
        optimizers: Any = self.optimizers()
        generator_optimizer, discriminator_optimizer = optimizers
        self.discriminators.requires_grad_(False)  # not trained in this step
        discriminators = list(self.discriminators)
        losses, fakes = generator_losses(
            with_noise(self.learner.to_a, NOISE), with_noise(self.learner.to_b, NOISE), discriminators, *batch
        )
        self.step(generator_optimizer, losses["generator"] + CYCLE * losses["cycle"] + IDENTITY * losses["identity"])
        self.discriminators.requires_grad_(True)
        parts = [
            discriminator_loss(discriminator, real, pool.exchange(fake))  # type: ignore[operator]
            for discriminator, real, pool, fake in zip(discriminators, batch, self.pools, fakes, strict=True)
        ]
        losses["discriminator"] = torch.stack(parts).sum()
        self.step(discriminator_optimizer, losses["discriminator"])
        self.finish_step()
        self.log_dict({f"loss/{name}": loss for name, loss in losses.items()}, prog_bar=True)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        served: Any = self.average.module
        a, b = batch
        for there, back, image in ((served.to_b, served.to_a, a), (served.to_a, served.to_b, b)):
            self.metric.update(self.loss(back(there(image)), image))
        self.log(f"{self.METRIC}/validation", self.metric)

    def on_validation_epoch_end(self) -> None:
        if self.logger is not None:
            picture = self._sheet(self.average.module, self.validation_examples)
            self.logger.experiment.add_image("images/translated", picture, self.current_epoch)  # type: ignore[attr-defined]

    @torch.inference_mode()
    def _sheet(self, network: Any, examples: Examples) -> Tensor:
        """Return a picture, (3, H, W) of uint8: a row of A, its translation to B, and back; a row of B, its translation
        to A, and back.
        """
        places = list(range(min(SHOWN, len(examples))))
        a, b = (self.codec.normalize(images).to(self.device) for images in examples[places])
        as_b, as_a = network.to_b(a), network.to_a(b)
        rows = [a, as_b, network.to_a(as_b), b, as_a, network.to_b(as_a)]
        return make_grid(self.codec.pixels_of(torch.cat(rows)), nrow=len(places), padding=0)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        """Yield each image, to be translated to the other domain."""
        for file, origin in zip(data.test.inputs, data.test.targets, strict=True):
            to, truth = data.labels[1 - origin.domain], TranslationTruth(origin, data)
            if to == data.labels[-1]:  # the default of a bare image
                kind = "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png"
                yield EvaluationRequest(file, kind, truth)
            else:
                body = {"image": base64.b64encode(file).decode(), "to": to}
                yield EvaluationRequest(json.dumps(body).encode(), "application/json", truth)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        return class_preservation_rates(truths, responses)

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return cycle_l1 and identity_l1, which need no classes: differences of pixels in 0..1, of test images
        translated there and back, and to their own domain.
        """
        del truths, responses
        network: Any = self.network.eval().cpu()
        examples = self.encode(self.data.test)
        (plots / "translated.png").write_bytes(png(self.cpu()._sheet(network, examples)))
        cycle, identity = MeanMetric(), MeanMetric()
        with torch.inference_mode():
            for start in range(0, len(examples), self.recipe.batch_size):
                a, b = examples[list(range(start, min(start + self.recipe.batch_size, len(examples))))]
                for there, back, pixels in ((network.to_b, network.to_a, a), (network.to_a, network.to_b, b)):
                    image = self.codec.normalize(pixels)
                    cycle.update(self.loss(back(there(image)), image), len(image))
                    identity.update(self.loss(back(image), image), len(image))
        return {"cycle_l1": float(cycle.compute()), "identity_l1": float(identity.compute())}, {}
