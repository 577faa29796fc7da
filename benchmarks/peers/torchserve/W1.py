"""ResNet-18 as TorchServe's documentation has its users write it, for the handler image_classifier."""

from torchvision.models.resnet import BasicBlock, ResNet


class ImageClassifier(ResNet):
    """torchvision's ResNet-18."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])
