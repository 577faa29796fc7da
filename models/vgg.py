"""VGG in the form of the course: a 28x28 crop, four stages of 3x3 convolutions, one linear layer."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


def stage(in_channels: int, channels: int, convolutions: int, padding: int = 0) -> list[nn.Module]:
    """Return 3x3 convolutions with batch normalization, then a pooling layer that halves the image."""
    layers: list[nn.Module] = []
    for _ in range(convolutions):
        layers += [
            nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        in_channels = channels
    return [*layers, nn.MaxPool2d(2, padding=padding)]


class VGG(nn.Module):
    """Channels 64, 128 twice, 256 twice, 512 twice; 2048 features go into the linear layer."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *stage(3, 64, 1),  # (N, 64, 14, 14)
            *stage(64, 128, 2),  # (N, 128, 7, 7)
            *stage(128, 256, 2, padding=1),  # (N, 256, 4, 4)
            *stage(256, 512, 2),  # (N, 512, 2, 2)
        )
        self.classifier = nn.Linear(512 * 2 * 2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # (N, num_classes)


CARD = Card(
    name="vgg",
    task="image_classification",
    network=VGG,
    data="mnist_m",
    input={"size": 28, "resize": 32, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=3, batch_size=64, lr=1e-3, weight_decay=5e-2, augment=("crop",), precision="bf16"),
    serving=Serving(batch_size=16, channels_last=True, precision="bf16"),
    floor={"accuracy": 0.92},
    anchor="92.64 % on CIFAR-10 (VGG16), kuangliu/pytorch-cifar",
    source="Simonyan and Zisserman, arXiv:1409.1556, with batch normalisation",
    training_seconds=29,
)
