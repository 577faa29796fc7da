"""ResNet-18 as in TorchServe's documentation, for the handler image_classifier."""

from torchvision.models.resnet import BasicBlock, ResNet


class ImageClassifier(ResNet):
    """torchvision's ResNet-18."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])
