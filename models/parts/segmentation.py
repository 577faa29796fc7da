"""Interface of segmentation networks, by which training uses any of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import interpolate


class Segmenter(nn.Module, ABC):
    """Base class of networks with scores at several strides, of which `stride` is the output."""

    STRIDES: ClassVar[Sequence[int]]  # from the coarsest on
    stride: int

    @abstractmethod
    def scores(self, images: Tensor) -> dict[int, Tensor]:
        """Return the logits, (N, classes, S / stride, S / stride), by stride, from the coarsest to `stride`."""

    def forward(self, images: Tensor) -> Tensor:
        return upsampled(self.scores(images)[self.stride], images.shape[-1])  # (N, classes, S, S)


def upsampled(scores: Tensor, side: int) -> Tensor:
    """Interpolate bilinearly, (N, C, h, w) -> (N, C, side, side): like a transposed convolution, but faster."""
    return interpolate(scores, size=(side, side), mode="bilinear", align_corners=False)
