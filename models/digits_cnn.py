"""The smallest useful convolutional network: one convolution, one linear layer."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


class DigitsCNN(nn.Module):
    """conv 5x5 -> batch norm -> ReLU -> pool 2 -> linear, for 28x28 grey images."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(  # (N, 1, 28, 28) -> (N, 32, 14, 14)
            nn.Conv2d(1, 32, kernel_size=5, padding=2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(32 * 14 * 14, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # (N, num_classes)


CARD = Card(
    name="digits_cnn",
    task="image_classification",
    network=DigitsCNN,
    data="mnist",
    input={"size": 28, "channels": 1, "mean": (0.1307,), "std": (0.3081,)},
    recipe=Recipe(epochs=24, batch_size=64, lr=5e-3, weight_decay=0.1, label_smoothing=0.1, augment=("affine",)),
    serving=Serving(batch_size=16),
    floor={"accuracy": 0.98},
    anchor="99.1 % on full MNIST",
    source="the course's first convolutional network; MNIST: LeCun et al. 1998",
    starter=True,
    training_seconds=26,
)
