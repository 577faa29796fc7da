"""EfficientNet-Lite0: Tan and Le, arXiv:1905.11946, without squeeze and excitation. The order of layers is that of
the published weights.
"""

from torch import Tensor, nn

# expansion, channels, blocks, stride, kernel size
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def conv(in_channels: int, channels: int, kernel_size: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return a convolution padded as in TensorFlow (for even sizes), where the weights are from, and batch norm."""
    before, after = (kernel_size - stride) // 2, kernel_size - stride - (kernel_size - stride) // 2
    return [
        nn.ZeroPad2d((before, after, before, after)),
        nn.Conv2d(in_channels, channels, kernel_size, stride, groups=groups, bias=False),
        nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01),
    ]


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, depthwise, 1x1 back down; with a shortcut where the shape stays."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * in_channels
        expand = [*conv(in_channels, wide), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*conv(wide, wide, kernel_size, stride, groups=wide), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depthwise, *conv(wide, channels))
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


def layers() -> list[nn.Module]:
    """Return all layers: four of the stem, one per block, and a last convolution to 1280 channels (three)."""
    made: list[nn.Module] = [*conv(3, 32, 3, stride=2), nn.ReLU6()]  # (N, 32, S/2, S/2)
    before = 32
    for expansion, channels, blocks, stride, kernel_size in STAGES:
        for block in range(blocks):
            made.append(InvertedResidual(before, channels, kernel_size, stride if block == 0 else 1, expansion))
            before = channels
    return [*made, *conv(before, 1280), nn.ReLU6()]  # (N, 1280, S/32, S/32)


class Maps(nn.Sequential):
    """Backbone: (N, 3, S, S) -> maps of strides 4, 8, 16 and 32, (N, width, S / stride, S / stride) by `widths`."""

    LAST = (6, 8, 14, 18)  # index of the last block of each stride
    widths = (24, 40, 112, 192)

    def __init__(self) -> None:
        super().__init__(*layers()[: self.LAST[-1] + 1])

    def forward(self, images: Tensor) -> list[Tensor]:
        maps, x = [], images
        for place, layer in enumerate(self):
            x = layer(x)
            if place in self.LAST:
                maps.append(x)
        return maps
