"""Codec for face verification: images of faces, and how similar two of one person are."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from handlers.codecs.image_file import open_image

CONTRAST = 0.35  # standard deviation of every normalized image: about that of faces whose levels go from -1 to 1
MAX_SIDE = 1024  # pixels; a larger image is scaled down before anything else


@dataclass(frozen=True)
class FaceCodec:
    """A square of `size` pixels in 1 (grey) or 3 `channels` from the image of one face, cropped as in training.

    Two faces whose similarity is at least `threshold` are of the same person; `gallery_threshold` is the same for a
    face and the most similar one of an enrolled person. Training chooses both on people that are in neither the
    training nor the test split.
    """

    size: int
    channels: int
    threshold: float = 0.5
    gallery_threshold: float = 0.5

    def pixels(self, data: bytes) -> Tensor:
        """Return the whole image as (C, size, size) of uint8: hair and chin help to distinguish people.

        Raises BadRequest if `data` is not an image file.
        """
        image = open_image(data, lambda *sides: max(sides) / MAX_SIDE).convert("L" if self.channels == 1 else "RGB")
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        pixels = torch.from_numpy(np.array(image)).reshape(image.height, image.width, self.channels).permute(2, 0, 1)
        return resize(pixels, [self.size, self.size], antialias=True).contiguous()

    def normalize(self, pixels: Tensor) -> Tensor:
        """Give each image zero mean and the same contrast, whatever the light: (..., C, S, S), uint8 -> float32.

        An image of one grey becomes zeros.
        """
        levels = pixels.float()
        mean, std = (moment(dim=(-3, -2, -1), keepdim=True) for moment in (levels.mean, levels.std))
        return CONTRAST * (levels - mean) / (std + 1)
