"""Masks: from a network's scores to a class for each pixel of an image, and to a PNG whose palette is Pascal VOC's."""

import io

from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

FINEST = 1024  # pixels of a side at which scores are compared: all of those of 40 million would not fit in memory


def classes_at(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) -> (H, W) of uint8: the best class of each pixel of an image of this size, scores being interpolated.
    In an image with a side of more than FINEST pixels, neighbours share what is the best for one of them.
    """
    compared = [min(side, FINEST) for side in size]
    between = interpolate(scores.unsqueeze(0), compared, mode="bilinear", align_corners=False)  # (1, C, H, W)
    best = between.argmax(dim=1, keepdim=True).byte()  # (1, 1, H, W)
    if compared != list(size):
        best = interpolate(best, size, mode="nearest-exact")
    return best[0, 0]


def mask_png(mask: Tensor) -> bytes:
    """(H, W) of uint8 -> the bytes of a PNG file, a pixel's value being the number of its class."""
    image = Image.fromarray(mask.numpy())
    image.putpalette(palette())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def palette() -> list[int]:
    """VOC's 256 colours: three bits of a class's number, from the lowest up, go to the highest bits of R, G and B."""
    return [
        sum((number >> (3 * step + channel) & 1) << (7 - step) for step in range(8))
        for number in range(256)
        for channel in range(3)
    ]


def colours(count: int) -> list[tuple[int, ...]]:
    """The first `count` colours of the palette."""
    levels = palette()
    return [tuple(levels[3 * number : 3 * number + 3]) for number in range(count)]
