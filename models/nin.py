"""Network in network: 1x1 convolutions after each larger one, and global pooling instead of linear layers."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


def mlpconv(in_channels: int, channels: int, kernel_size: int, reduced: int, out_channels: int) -> nn.Sequential:
    """Return a convolution, then two 1x1 convolutions: a two-layer perceptron at every position."""
    layers: list[nn.Module] = []
    for from_channels, to_channels, size in (
        (in_channels, channels, kernel_size),
        (channels, reduced, 1),
        (reduced, out_channels, 1),
    ):
        layers += [
            nn.Conv2d(from_channels, to_channels, size, padding=size // 2, bias=False),
            nn.BatchNorm2d(to_channels),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class NiN(nn.Module):
    """Three mlpconv blocks with pooling and dropout between them; the last has a channel for each class."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            mlpconv(3, 192, 5, 160, 96),  # (N, 96, 32, 32)
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 96, 16, 16)
            nn.Dropout(0.3),
            mlpconv(96, 192, 5, 192, 192),
            nn.AvgPool2d(3, stride=2, padding=1),  # (N, 192, 8, 8)
            nn.Dropout(0.3),
            mlpconv(192, 192, 3, 192, 192),
        )
        self.classifier = nn.Conv2d(192, num_classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).mean(dim=(2, 3))  # (N, num_classes)


CARD = Card(
    name="nin",
    task="image_classification",
    network=NiN,
    data="mnist_m",
    input={"size": 32, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=4, batch_size=64, lr=2e-3, weight_decay=5e-2, augment=("crop",), precision="bf16"),
    serving=Serving(batch_size=16, channels_last=True, precision="bf16"),
    floor={"accuracy": 0.92},
    anchor="89.6 % on CIFAR-10 without augmentation, in the paper",
    source="Lin et al., arXiv:1312.4400, with batch normalisation",
    training_seconds=66,
)
