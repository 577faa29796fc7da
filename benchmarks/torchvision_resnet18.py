"""W1 as a model of Marina: benchmarks/marina.py lays this file into models/ of a copy of the sources, and packs it."""

from torch import Tensor
from torchvision.models.resnet import BasicBlock, ResNet

from models.card import Card, Recipe, Serving


class TorchvisionResNet18(ResNet):
    """torchvision's ResNet-18. The codec scales the shorter side to 256, as all stacks do; the crop is made here."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])

    def forward(self, x: Tensor) -> Tensor:
        # x: (N, 3, 256, 256) -> (N, 3, 224, 224) -> (N, 1000)
        return super().forward(x[..., 16:-16, 16:-16])


CARD = Card(
    name="torchvision_resnet18",
    task="image_classification",
    network=TorchvisionResNet18,
    data="none",
    input={"size": 256, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=1, batch_size=1, lr=1.0),
    serving=Serving(batch_size=8, channels_last=True, workers=2),
    floor={},
    anchor="none",
    source="torchvision",
)
