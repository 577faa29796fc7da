"""Masks: from a network's scores to a class for each pixel of an image, and to a PNG whose palette is Pascal VOC's."""

import io

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample

AT_ONCE = 1_000_000  # pixels whose scores, one for each class, are in memory


def classes_at(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) -> (H, W) of uint8: the best class of each pixel of an image of this size, scores being interpolated.

    Done piece by piece: the scores of all pixels of a large image would not fit in memory.
    """
    rows, columns = (centres(side) for side in size)
    best = torch.empty(size, dtype=torch.uint8)
    wide = min(size[1], AT_ONCE)
    high = max(1, AT_ONCE // wide)
    for top in range(0, size[0], high):
        for left in range(0, size[1], wide):
            y, x = torch.meshgrid(rows[top : top + high], columns[left : left + wide], indexing="ij")
            piece = grid_sample(
                scores.unsqueeze(0),
                torch.stack([x, y], dim=-1).unsqueeze(0),
                padding_mode="border",
                align_corners=False,
            )  # (1, C, high, wide)
            best[top : top + high, left : left + wide] = piece[0].argmax(dim=0)
    return best


def centres(side: int) -> Tensor:
    """Where `side` pixels have their centres, if all of them together go from -1 to 1."""
    return (2 * torch.arange(side, dtype=torch.float32) + 1) / side - 1


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
