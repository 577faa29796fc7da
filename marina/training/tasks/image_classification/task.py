"""Image classification: images -> classes."""

import torch
from torch import Tensor

from marina.training.data.dataset import Dataset
from marina.training.tasks.common.classification import Classification
from marina.training.tasks.common.image_labels import ImageLabels


class ImageClassification(ImageLabels, Classification):
    """Targets are the numbers of the classes, (N,)."""

    def encode_one(self, file: bytes, target: int) -> tuple[Tensor, Tensor]:
        """Return the pixels of an image and the number of its class."""
        return self.codec.pixels(file), torch.tensor(target)

    @classmethod
    def truth(cls, data: Dataset, target: int) -> str:
        """Return the name of the class."""
        return data.labels[target]
