"""AlexNet in the 32x32 form of the course: five convolutions, three linear layers."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


def conv(in_channels: int, channels: int, stride: int = 1) -> nn.Sequential:
    """3x3, batch normalization instead of local response normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class AlexNet(nn.Module):
    """Krizhevsky's layers on small images: 3x3 kernels for the 11x11 and 5x5 ones, 1024 hidden units for 4096."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 64, stride=2),  # (N, 64, 16, 16)
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 8, 8): pools overlap, as in the paper
            conv(64, 192),
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 192, 4, 4)
            conv(192, 384),
            conv(384, 256),
            conv(256, 256),
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 256, 2, 2)
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(256 * 2 * 2, 1024),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Linear(1024, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # (N, num_classes)


CARD = Card(
    name="alexnet",
    task="image_classification",
    network=AlexNet,
    data="mnist_m",
    input={"size": 32, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=10, batch_size=64, lr=1e-3, weight_decay=5e-2, augment=("crop",), precision="bf16"),
    serving=Serving(batch_size=16, channels_last=True, precision="bf16"),
    floor={"accuracy": 0.92},
    anchor="no published figure for this form; 57.1 % top-1 on ImageNet in the paper's",
    source="Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks",
    training_seconds=38,
)
