"""Transfer learning: EfficientNet-Lite0 with ImageNet weights and a new last layer."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.efficientnet import layers


class EfficientNetLite0(nn.Module):
    """The network for images of (3, S, S), S a multiple of 32."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers())  # (N, 1280, S/32, S/32)
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
    training_seconds=55,
)
