"""Backbone of the small detectors: 3x3 convolutions with batch normalization, a stage for each halving."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

Activation = Callable[[], nn.Module]


def conv_bn(in_channels: int, channels: int, stride: int = 1, activation: Activation = nn.ReLU) -> nn.Sequential:
    """3x3 convolution, batch normalisation, activation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        activation(),
    )


class Trunk(nn.Module):
    """Backbone: (N, 3, S, S) -> maps of strides 4, 8, 16, ..., (N, width, S / stride, S / stride) by `widths`."""

    def __init__(self, widths: Sequence[int], activation: Activation = nn.ReLU) -> None:
        super().__init__()
        self.widths = tuple(widths)
        first, *_ = widths
        self.stem = nn.Sequential(
            conv_bn(3, 16, 2, activation),  # (N, 16, S/2, S/2)
            conv_bn(16, first, 2, activation),  # (N, first, S/4, S/4)
            conv_bn(first, first, 1, activation),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(conv_bn(before, width, 2, activation), conv_bn(width, width, 1, activation))
            for before, width in pairwise(widths)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps
