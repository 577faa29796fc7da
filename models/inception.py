"""The small Inception net of the course: two strided convolutions, two four-branch blocks, one linear layer."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.inception import Inception, conv


class SmallInception(nn.Module):
    """7x7/2 to 64 channels, 3x3/2 to 128, blocks of four times 64 and four times 96, pools between them."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 64, 7, stride=2),  # (N, 64, 16, 16)
            conv(64, 128, 3, stride=2),  # (N, 128, 8, 8)
            Inception(128, 64, (16, 64), (16, 64), 64),  # (N, 256, 8, 8)
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 256, 4, 4)
            Inception(256, 96, (32, 96), (32, 96), 96),  # (N, 384, 4, 4)
        )
        self.classifier = nn.Linear(384, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean(dim=(2, 3)))  # (N, num_classes)


CARD = Card(
    name="inception",
    task="image_classification",
    network=SmallInception,
    data="mnist_m",
    input={"size": 32, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=10, batch_size=64, lr=2e-3, weight_decay=5e-2, augment=("crop",), precision="bf16"),
    serving=Serving(batch_size=16, channels_last=True, precision="bf16"),
    floor={"accuracy": 0.92},
    anchor="no published figure for this form; 77.3 % top-1 on ImageNet (Inception v3), torchvision",
    source="Szegedy et al., arXiv:1409.4842, in the form of the course",
    training_seconds=19,
)
