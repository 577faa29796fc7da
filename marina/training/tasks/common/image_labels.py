"""Tasks whose inputs are images and whose targets are labels, one or several."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from handlers.codecs.image import ImageCodec
from marina.training.data.augmentation import Augmentation
from marina.training.data.batches import Examples, encoded
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task

GRID = 64  # images in the picture on TensorBoard


class ImageLabels(Task):
    """Images are (N, C, S, S) of uint8, and are augmented and normalized batch by batch."""

    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: ImageCodec

    def prepare(self) -> None:
        self.codec = ImageCodec(**self.card.input)
        self.augment = Augmentation(self.recipe.augment, self.codec.size)
        self.arguments = {"num_classes": len(self.data.labels)}

    @abstractmethod
    def encode_one(self, file: bytes, target: Any) -> tuple[Tensor, Tensor]:
        """Return the pixels of an image, (C, S, S) of uint8, and its target."""

    @classmethod
    @abstractmethod
    def truth(cls, data: Dataset, target: Any) -> Any:
        """Return the right answer for an image of the test split by name."""

    def encode(self, split: Split) -> Examples:
        return encoded(split.inputs, split.targets, self.encode_one, self.data.memory)

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(self.augment(batch) if self.training else batch)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, target in zip(data.test.inputs, data.test.targets, strict=True):
            kind = "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png"
            yield EvaluationRequest(file, kind, cls.truth(data, target))

    def on_train_start(self) -> None:
        """Show on TensorBoard the network's input."""
        pixels, _ = self.train_examples[list(range(min(GRID, len(self.train_examples))))]
        if self.logger is not None:
            self.logger.experiment.add_image("images/train", make_grid(self.augment(pixels)))  # type: ignore[attr-defined]
