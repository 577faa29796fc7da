"""Image classification: images -> classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marina.training.data.dataset import Dataset
from marina.training.tasks.common.classification import Classification
from marina.training.tasks.common.image_labels import ImageLabels
from marina.training.tasks.image_classification import acceptable_labels


class ImageClassification(ImageLabels, Classification):
    """Targets are the numbers of the classes, (N,).

    In a test split a target may be a tuple of those that are right.
    """

    def encode_one(self, file: bytes, target: int) -> tuple[Tensor, Tensor]:
        """Return the pixels of an image and the number of its class."""
        return self.codec.pixels(file), torch.tensor(target)

    @classmethod
    def truth(cls, data: Dataset, target: int | tuple[int, ...]) -> str | tuple[str, ...]:
        """Return the name of the class, or the names of those that are right."""
        return tuple(data.labels[each] for each in target) if isinstance(target, tuple) else data.labels[target]

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
