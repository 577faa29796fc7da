"""What a network for masks can do, so that training need not know which it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import interpolate


class Segmenter(nn.Module, ABC):
    """Scores the places of maps of several strides; `stride` says which of them is the answer."""

    STRIDES: ClassVar[Sequence[int]]  # from the coarsest on
    stride: int

    @abstractmethod
    def scores(self, images: Tensor) -> dict[int, Tensor]:
        """(N, 3, S, S) -> the logits, (N, classes, S / stride, S / stride), from the coarsest stride to `stride`."""

    def forward(self, images: Tensor) -> Tensor:
        return upsampled(self.scores(images)[self.stride], images.shape[-1])  # (N, classes, S, S)


def upsampled(scores: Tensor, side: int) -> Tensor:
    """(N, C, h, w) -> (N, C, side, side), bilinear: a transposed convolution whose weights are fixed, but faster."""
    return interpolate(scores, size=(side, side), mode="bilinear", align_corners=False)
