"""Augmentation: random changes to training images, by the names that a recipe's `augment` lists."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

TRANSFORMS: dict[str, Callable[[int], v2.Transform]] = {  # by the side of the image in pixels
    "affine": lambda _: v2.RandomAffine(
        degrees=10, translate=(0.08, 0.08), scale=(0.9, 1.1), shear=5, interpolation=InterpolationMode.BILINEAR
    ),
    "color": lambda _: v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05),
    "crop": lambda size: v2.RandomCrop(size, padding=size // 8),
    "erase": lambda _: v2.RandomErasing(p=0.25),
    "flip": lambda _: v2.RandomHorizontalFlip(),
    "gray": lambda _: v2.RandomGrayscale(p=0.1),
    "invert": lambda _: v2.RandomInvert(),
    "resized_crop": lambda size: v2.RandomResizedCrop(size, scale=(0.5, 1.0), antialias=True),
    "rotate": lambda _: v2.RandomRotation(degrees=15, interpolation=InterpolationMode.BILINEAR),
    "vertical_flip": lambda _: v2.RandomVerticalFlip(),
}
ANNOTATED = ("color", "flip", "gray", "invert", "vertical_flip")  # that work on boxes and masks, too
# torchvision changes all images of a tensor in the same way, and one call for each image is slow.
IMAGES_PER_DRAW = 16


def annotated_transforms(names: Sequence[str], fill: Mapping[Any, Any], annotation: str) -> list[v2.Transform]:
    """Return the named transforms for images with boxes or masks, which move along: colours, flips, and a shift.

    `fill` has the colour of what the shift uncovers by the type of the tensor, as torchvision's transforms take it.
    Raises ValueError for another name.
    """
    known = {name: transform(0) for name, transform in TRANSFORMS.items() if name in ANNOTATED}
    known["shift"] = v2.RandomAffine(
        degrees=0,
        translate=(0.15, 0.15),
        scale=(0.8, 1.25),
        interpolation=InterpolationMode.BILINEAR,
        fill=dict(fill),
    )
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no augmentation {', '.join(unknown)} of {annotation}; there are: {', '.join(known)}")
    return [known[name] for name in names]


class Augmentation:
    """The named transforms, applied in order to batches (N, C, S, S) of uint8.

    Raises ValueError for a name that is not in TRANSFORMS.

    >>> Augmentation(["flip", "crop"], size=32)(torch.zeros(20, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([20, 3, 32, 32])
    """

    def __init__(self, names: Sequence[str], size: int) -> None:
        if unknown := [name for name in names if name not in TRANSFORMS]:
            raise ValueError(f"no augmentation {', '.join(unknown)}; there are: {', '.join(TRANSFORMS)}")
        self.transform = v2.Compose([TRANSFORMS[name](size) for name in names]) if names else None

    def __call__(self, pixels: Tensor) -> Tensor:
        if self.transform is None:
            return pixels
        return torch.cat([self.transform(few) for few in torch.split(pixels, IMAGES_PER_DRAW)])
