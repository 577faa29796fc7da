"""Transfer learning: EfficientNet-Lite0 with ImageNet's weights and a last layer of its own."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


def conv(in_channels: int, channels: int, kernel_size: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution padded as TensorFlow does, where the weights are from (for even sizes), and batch normalisation."""
    before, after = (kernel_size - stride) // 2, kernel_size - stride - (kernel_size - stride) // 2
    return [
        nn.ZeroPad2d((before, after, before, after)),
        nn.Conv2d(in_channels, channels, kernel_size, stride, groups=groups, bias=False),
        nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01),
    ]


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, depthwise, 1x1 back down; its input is added where the shape stays."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * in_channels
        expand = [*conv(in_channels, wide), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*conv(wide, wide, kernel_size, stride, groups=wide), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depthwise, *conv(wide, channels))
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class EfficientNetLite0(nn.Module):
    """Images of (3, S, S), S a multiple of 32. Its layers come in the order of the pretrained file."""

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

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = [*conv(3, 32, 3, stride=2), nn.ReLU6()]  # (N, 32, S/2, S/2)
        before = 32
        for expansion, channels, blocks, stride, kernel_size in self.STAGES:
            for block in range(blocks):
                layers.append(InvertedResidual(before, channels, kernel_size, stride if block == 0 else 1, expansion))
                before = channels
        layers += [*conv(before, 1280), nn.ReLU6()]
        self.features = nn.Sequential(*layers)  # (N, 1280, S/32, S/32)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(1280, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x).mean(dim=(2, 3))  # (N, 1280)
        return self.classifier(self.dropout(features))  # (N, num_classes)


CARD = Card(
    name="finetuned",
    task="image_classification",
    network=EfficientNetLite0,
    data="mnist_m",
    input={"size": 96, "channels": 3, "mean": (0.498, 0.498, 0.498), "std": (0.502, 0.502, 0.502)},
    recipe=Recipe(
        epochs=2,
        batch_size=32,
        lr=4e-3,
        weight_decay=1e-2,
        augment=("crop",),
        precision="bf16",
        pretrained="efficientnet_lite0",
        frozen_epochs=1,
        backbone_lr=0.5,
    ),
    serving=Serving(batch_size=16, channels_last=True),
    floor={"accuracy": 0.90},
    anchor="95-96 % on CIFAR-10 for fine-tuned ImageNet networks",
    source="Tan and Le, arXiv:1905.11946, in the form without squeeze and excitation; ImageNet weights: Apache-2.0",
)
