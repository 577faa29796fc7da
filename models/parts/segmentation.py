"""What a network for masks can do, so that training need not know which it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn


class Segmenter(nn.Module, ABC):
    """Scores each pixel from maps of several strides; `stride` says which is the answer."""

    STRIDES: ClassVar[Sequence[int]]  # from the coarsest on
    stride: int

    @abstractmethod
    def answers(self, images: Tensor) -> dict[int, Tensor]:
        """(N, 3, S, S) -> the logits, (N, classes, S, S), at each stride from the coarsest to `stride`."""

    def forward(self, images: Tensor) -> Tensor:
        return self.answers(images)[self.stride]  # (N, classes, S, S)
