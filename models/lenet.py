"""LeNet-5, with ReLU and max pooling instead of tanh and subsampling."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


class LeNet(nn.Module):
    """Two 5x5 convolutions with pooling, then 120 -> 84 -> classes, for 28x28 grey images."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),  # (N, 6, 28, 28): padding instead of LeCun's 32x32 input
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 6, 14, 14)
            nn.Conv2d(6, 16, kernel_size=5),  # (N, 16, 10, 10)
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 16, 5, 5)
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # (N, num_classes)


CARD = Card(
    name="lenet",
    task="image_classification",
    network=LeNet,
    data="mnist",
    input={"size": 28, "channels": 1, "mean": (0.1307,), "std": (0.3081,)},
    recipe=Recipe(epochs=20, batch_size=32, lr=3e-3, augment=("affine",)),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.975},
    anchor="99.0 % on full MNIST",
    source="LeCun et al. 1998, Gradient-based learning applied to document recognition",
    starter=True,
    training_seconds=9,
)
