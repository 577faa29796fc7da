"""Image classification: images -> classes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from handlers.codecs.image import ImageCodec
from marina.training.data.augmentation import Augmentation
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest
from marina.training.tasks.common.classification import Classification
from marina.training.tasks.image_classification import acceptable_labels

GRID = 64  # images in the picture on TensorBoard


class ImageClassification(Classification):
    """Images lie in memory as (N, C, S, S) of uint8, and are augmented and normalized batch by batch.

    A target is a class, or a tuple of those that are right (test split only).
    """

    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: ImageCodec

    def prepare(self) -> None:
        self.codec = ImageCodec(**self.card.input)
        self.augment = Augmentation(self.recipe.augment, self.codec.size)
        self.arguments = {"num_classes": len(self.data.labels)}

    def encode(self, split: Split) -> Examples:
        pixels = [self.codec.pixels(file) for file in split.inputs]
        shape = (0, self.codec.channels, self.codec.size, self.codec.size)
        images = torch.stack(pixels) if pixels else torch.empty(shape, dtype=torch.uint8)
        return Examples(images, torch.tensor(split.targets, dtype=torch.int64))

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(self.augment(batch) if self.training else batch)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, target in zip(data.test.inputs, data.test.targets, strict=True):
            kind = "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png"
            several = isinstance(target, tuple)
            truth = tuple(data.labels[each] for each in target) if several else data.labels[target]
            yield EvaluationRequest(file, kind, truth)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the metrics of any classifier; accuracy and top-5 accuracy where several labels are right."""
        if acceptable_labels.are_sets(truths):
            return acceptable_labels.score(truths, responses)
        return Classification.score(truths, responses)

    @property
    def options(self) -> dict[str, str]:
        return {} if acceptable_labels.are_sets(self.data.test.targets) else super().options

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        if acceptable_labels.are_sets(truths):
            return {}, acceptable_labels.report(truths, responses)
        return super().report(truths, responses, plots)

    def on_train_start(self) -> None:
        """Show on TensorBoard the network's input."""
        pixels, _ = self.train_examples[list(range(min(GRID, len(self.train_examples))))]
        if self.logger is not None:
            self.logger.experiment.add_image("images/train", make_grid(self.augment(pixels)))  # type: ignore[attr-defined]
