"""MobileNet v1 in the 32x32 form of the course: depthwise-separable convolutions."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


def separable(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """Return a depthwise 3x3 convolution, then a 1x1 convolution across the channels."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class MobileNetV1(nn.Module):
    """A 3x3 stem of 32 channels, eight separable pairs (stride 2 where the width doubles), mean pooling, linear."""

    WIDTHS = (32, 64, 64, 128, 128, 256, 256, 512)

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(  # (N, 3, 32, 32) -> (N, 32, 32, 32)
            nn.Conv2d(3, 32, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        before = (32, *self.WIDTHS[:-1])
        self.pairs = nn.Sequential(  # (N, 32, 32, 32) -> (N, 512, 2, 2)
            *(separable(a, b, stride=1 if a == b else 2) for a, b in zip(before, self.WIDTHS, strict=True))
        )
        self.classifier = nn.Linear(self.WIDTHS[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.pairs(self.stem(x)).mean(dim=(2, 3))  # (N, 512)
        return self.classifier(features)  # (N, num_classes)


CARD = Card(
    name="mobilenet_v1",
    task="image_classification",
    network=MobileNetV1,
    data="mnist_m",
    input={"size": 32, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=16, batch_size=128, lr=4e-3, weight_decay=5e-4, augment=("crop",)),
    serving=Serving(batch_size=16, channels_last=True),
    floor={"accuracy": 0.92},
    anchor="91.28 % on CIFAR-10",
    source="Howard et al., arXiv:1704.04861, in the 32x32 form of the course",
    training_seconds=58,
)
