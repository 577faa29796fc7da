"""ResNet-18 in the 32x32 form of the course: all four stages halve the image."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


class ResidualBlock(nn.Module):
    """relu(F(x) + shortcut(x)): F is two 3x3 convolutions, the shortcut a strided 1x1 one where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


class ResNet18(nn.Module):
    """A 3x3 stem of 32 channels, four stages of two blocks each, mean pooling and a linear layer."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(  # (N, 3, 32, 32) -> (N, 32, 32, 32)
            nn.Conv2d(3, 32, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.stages = nn.Sequential(
            ResidualBlock(32, 64, stride=2),  # (N, 64, 16, 16)
            ResidualBlock(64, 64, stride=1),
            ResidualBlock(64, 128, stride=2),  # (N, 128, 8, 8)
            ResidualBlock(128, 128, stride=1),
            ResidualBlock(128, 256, stride=2),  # (N, 256, 4, 4)
            ResidualBlock(256, 256, stride=1),
            ResidualBlock(256, 512, stride=2),  # (N, 512, 2, 2)
            ResidualBlock(512, 512, stride=1),
        )
        self.classifier = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.stages(self.stem(x)).mean(dim=(2, 3))  # (N, 512)
        return self.classifier(features)  # (N, num_classes)


CARD = Card(
    name="resnet18",
    task="image_classification",
    network=ResNet18,
    data="mnist_m",
    input={"size": 32, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=5, batch_size=64, lr=2e-3, weight_decay=5e-2, augment=("crop",), precision="bf16"),
    serving=Serving(batch_size=16, channels_last=True, precision="bf16"),
    floor={"accuracy": 0.94},
    anchor="93.02 % on CIFAR-10, kuangliu/pytorch-cifar",
    source="He et al., arXiv:1512.03385, in the 32x32 form of the course",
    training_seconds=64,
)
