"""The size of pictures that are made to be looked at."""

from torch import Tensor
from torchvision.transforms.v2.functional import resize

LONG_SIDE = (256, 1024)  # smaller images are enlarged, larger ones reduced


def scaled(image: Tensor) -> tuple[Tensor, float]:
    """(3, H, W) of uint8 -> the image in that size, and how many of its pixels one pixel became, side by side."""
    longer = max(image.shape[1:])
    scale = min(max(longer, LONG_SIDE[0]), LONG_SIDE[1]) / longer
    if scale != 1:
        image = resize(image, [max(1, round(side * scale)) for side in image.shape[1:]], antialias=True)
    return image, scale
