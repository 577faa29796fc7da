"""Codec for detectors that scale and normalize images themselves: images as sent, in their own size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms.v2.functional import resize

from handlers.codecs.image_file import MARGIN, read_sized
from handlers.codecs.letterbox import Letterboxed
from models.parts.library_detector import PADDING

MAX_SIDE = 4096  # pixels; three times what the detectors scale images to. The batch is as large as the largest image


class WholeImage(Letterboxed):
    """An image in its own size: `pixels` are (3, H, W) of uint8, and its boxes are those of the image as sent.

    One with a side over MAX_SIDE is reduced.
    """

    decimals: ClassVar[int] = 6

    def to_image(self, boxes: Tensor) -> Tensor:
        """Return the boxes as they are, (..., 4), or those of the image as sent if it was reduced."""
        return boxes if self.pixels.shape[1:] == self.size else super().to_image(boxes)


@dataclass(frozen=True)
class WholeImageCodec:
    """Images in RGB. Explanations cover parts of them with a grey of the value `cover`, in 0..1.

    It has the methods of LetterboxCodec.
    """

    cover: float

    def letterbox(self, data: bytes) -> WholeImage:
        """Decode an image file. Raises BadRequest if it is not an image."""
        pixels, size = read_sized(data, 3, _shrink)
        height, width = pixels.shape[1:]
        if max(height, width) > MAX_SIDE:  # by more than a decoder can reduce it
            scale = MAX_SIDE / max(height, width)
            height, width = (max(1, round(side * scale)) for side in (height, width))
            pixels = resize(pixels, [height, width], antialias=True)
        return WholeImage(pixels, (0, 0, width, height), size)

    def collate(self, images: Sequence[Tensor]) -> Tensor:
        """Return a batch, (N, 3, H, W) in 0..1, of the size of the largest image; the rest of each is PADDING.

        images: (3, h, w) of uint8.
        """
        height, width = (max(image.shape[side] for image in images) for side in (1, 2))
        sides = [(0, width - image.shape[2], 0, height - image.shape[1]) for image in images]
        return torch.stack([pad(image / 255, side, value=PADDING) for image, side in zip(images, sides, strict=True)])


def _shrink(width: int, height: int) -> float:
    """Return what reduces an image to a side of MAX_SIDE, and none that is smaller."""
    return MARGIN * max(width, height) / MAX_SIDE
