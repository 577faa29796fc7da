"""What a recipe's `augment` names: random changes to training images."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

TRANSFORMS: dict[str, Callable[[int], v2.Transform]] = {  # of the image's size in pixels
    "affine": lambda _: v2.RandomAffine(
        degrees=10, translate=(0.08, 0.08), scale=(0.9, 1.1), shear=5, interpolation=InterpolationMode.BILINEAR
    ),
    "color": lambda _: v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05),
    "crop": lambda size: v2.RandomCrop(size, padding=size // 8),
    "erase": lambda _: v2.RandomErasing(p=0.25),
    "flip": lambda _: v2.RandomHorizontalFlip(),
    "gray": lambda _: v2.RandomGrayscale(p=0.1),
    "invert": lambda _: v2.RandomInvert(),
    "rotate": lambda _: v2.RandomRotation(degrees=15, interpolation=InterpolationMode.BILINEAR),
}
SHARED = 16  # images for each draw: torchvision changes a tensor as one, and one call an image is slow


class Augment:
    """The named transforms, one after the other, on batches (N, C, S, S) of uint8."""

    def __init__(self, names: Sequence[str], size: int) -> None:
        if unknown := [name for name in names if name not in TRANSFORMS]:
            raise ValueError(f"no augmentation {', '.join(unknown)}; there are: {', '.join(TRANSFORMS)}")
        self.transform = v2.Compose([TRANSFORMS[name](size) for name in names]) if names else None

    def __call__(self, pixels: Tensor) -> Tensor:
        if self.transform is None:
            return pixels
        return torch.cat([self.transform(few) for few in torch.split(pixels, SHARED)])
