"""W1 as a Marina model: benchmarks/marina.py copies this file into models/ of a copy of the sources and packs it."""

from torchvision.models.resnet import BasicBlock, ResNet

from models.card import Card, Recipe, Serving


class TorchvisionResNet18(ResNet):
    """torchvision's ResNet-18."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])


CARD = Card(
    name="torchvision_resnet18",
    task="image_classification",
    network=TorchvisionResNet18,
    data="none",
    input={"size": 224, "resize": 256, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=1, batch_size=1, lr=1.0),
    serving=Serving(batch_size=4, channels_last=True, precision="bf16", workers="cores"),
    floor={},
    anchor="none",
    source="torchvision",
)
