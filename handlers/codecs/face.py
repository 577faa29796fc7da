"""Faces: images, and how similar two must be to be of one person."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from handlers.codecs.image import open_image

CONTRAST = 0.35  # standard deviation of every picture: about what faces have where levels go from -1 to 1
LARGEST = 1024  # pixels a side; a larger image is made smaller before anything else is done with it


@dataclass(frozen=True)
class FaceCodec:
    """The image of one face, cut out as those it was trained on, as a square of `size` pixels in 1 (grey) or 3
    `channels`. From the similarity `threshold` on, two are taken for the same person; from `gallery_threshold` on, one
    and the most similar of an enrolled person. Training sets both on people that are neither trained nor tested on.
    """

    size: int
    channels: int
    threshold: float = 0.5
    gallery_threshold: float = 0.5

    def pixels(self, data: bytes) -> Tensor:
        """The bytes of an image file -> (C, size, size) of uint8: all of it, for hair and chin tell people apart."""
        image = open_image(data).convert("L" if self.channels == 1 else "RGB")
        image.thumbnail((LARGEST, LARGEST))
        pixels = torch.from_numpy(np.array(image)).reshape(image.height, image.width, self.channels).permute(2, 0, 1)
        return resize(pixels, [self.size, self.size], antialias=True).contiguous()

    def normalize(self, pixels: Tensor) -> Tensor:
        """(..., C, S, S) of uint8 -> the same of float32, each picture with zero mean and the same contrast: whatever
        the light. A picture of one grey becomes zeros."""
        levels = pixels.float()
        mean, std = (moment(dim=(-3, -2, -1), keepdim=True) for moment in (levels.mean, levels.std))
        return CONTRAST * (levels - mean) / (std + 1)
