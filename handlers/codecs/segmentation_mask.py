"""Class masks: from a network's scores to the class of each pixel, and to a PNG with the palette of Pascal VOC."""

import io

from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

MAX_COMPARED_SIDE = 1024  # pixels of a side at which scores are compared: those of 40 million pixels exceed the memory


def classes_at(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the best class of each pixel, scores being interpolated: (C, h, w) -> (H, W) of uint8, `size` = (H, W).

    In an image with a side of more than MAX_COMPARED_SIDE pixels, neighbours share the best class of one of them.
    """
    compared = [min(side, MAX_COMPARED_SIDE) for side in size]
    between = interpolate(scores.unsqueeze(0), compared, mode="bilinear", align_corners=False)  # (1, C, H, W)
    best = between.argmax(dim=1, keepdim=True).byte()  # (1, 1, H, W)
    if compared != list(size):
        best = interpolate(best, size, mode="nearest-exact")
    return best[0, 0]


def mask_png(mask: Tensor) -> bytes:
    """Encode (H, W) of uint8 as a PNG file, in which a pixel's value is the number of its class."""
    image = Image.fromarray(mask.numpy())
    image.putpalette(palette())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def palette() -> list[int]:
    """Return VOC's 256 colours, flat: three bits of a class number at a time, the lowest first, become a bit each of R,
    G and B, the highest first.
    """
    return [
        sum((number >> (3 * step + channel) & 1) << (7 - step) for step in range(8))
        for number in range(256)
        for channel in range(3)
    ]


def colours(count: int) -> list[tuple[int, ...]]:
    """Return the first `count` colours of the palette as (R, G, B).

    >>> colours(3)
    [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
    """
    levels = palette()
    return [tuple(levels[3 * number : 3 * number + 3]) for number in range(count)]
