"""Inception block of GoogLeNet: parallel convolutions of several kernel sizes (Szegedy et al., arXiv:1409.4842)."""

import torch
from torch import Tensor, nn


def conv(in_channels: int, channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution, batch normalization and ReLU: (N, in_channels, H, W) -> (N, channels, H, W) at stride 1.

    `kernel_size` is odd.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class Inception(nn.Module):
    """Four parallel branches, concatenated by channel: (N, in_channels, H, W) -> (N, out_channels, H, W).

    The branches are a 1x1 convolution; 1x1 then 3x3; 1x1 then 5x5; and 3x3 max pooling then 1x1. `by_1x1` and `by_pool`
    are output channels of their branch; `by_3x3` and `by_5x5` are pairs: channels after the 1x1 convolution, and output
    channels.
    """

    def __init__(
        self, in_channels: int, by_1x1: int, by_3x3: tuple[int, int], by_5x5: tuple[int, int], by_pool: int
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv(in_channels, by_1x1, 1),
                nn.Sequential(conv(in_channels, by_3x3[0], 1), conv(*by_3x3, 3)),
                nn.Sequential(conv(in_channels, by_5x5[0], 1), conv(*by_5x5, 5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(in_channels, by_pool, 1)),
            ]
        )
        self.out_channels = by_1x1 + by_3x3[1] + by_5x5[1] + by_pool

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)  # (N, in, H, W) -> (N, out, H, W)
