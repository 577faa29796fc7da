"""GoogLeNet in a 32x32 form: inception blocks with 1x1 reductions."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.inception import Inception, conv


class GoogLeNet(nn.Module):
    """A 3x3 stem, five inception blocks at half the paper's channels (3a, 3b, 4a, 4e, 5b), one linear layer."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 64, 3),  # (N, 64, 32, 32)
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 16, 16)
            Inception(64, 32, (48, 64), (8, 16), 16),  # (N, 128, 16, 16)
            Inception(128, 64, (64, 96), (16, 48), 32),  # (N, 240, 16, 16)
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 240, 8, 8)
            Inception(240, 96, (48, 104), (8, 24), 32),  # (N, 256, 8, 8)
            Inception(256, 128, (80, 160), (16, 64), 64),  # (N, 416, 8, 8)
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 416, 4, 4)
            Inception(416, 192, (96, 192), (24, 64), 64),  # (N, 512, 4, 4)
        )
        self.dropout = nn.Dropout(0.4)
        self.classifier = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x).mean(dim=(2, 3))  # (N, 512)
        return self.classifier(self.dropout(features))  # (N, num_classes)


CARD = Card(
    name="googlenet",
    task="image_classification",
    network=GoogLeNet,
    data="mnist_m",
    input={"size": 32, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=6, batch_size=64, lr=2e-3, weight_decay=5e-2, augment=("crop",), precision="bf16"),
    serving=Serving(batch_size=16, channels_last=True, precision="bf16"),
    floor={"accuracy": 0.92},
    anchor="no published figure for this form; 69.8 % top-1 on ImageNet, torchvision",
    source="Szegedy et al., arXiv:1409.4842, with batch normalisation, without the auxiliary classifiers",
    training_seconds=48,
)
