"""Images made for people to look at: rescaled to a readable size, laid out on one sheet, or under a heatmap."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import resize
from torchvision.utils import make_grid

from handlers.codecs.image import png
from handlers.codecs.image_file import read_sized

LONG_SIDE = (256, 1024)  # pixels: smaller images are enlarged, larger ones reduced
COLUMNS = 4  # of a contact sheet
POSITIVE = torch.tensor([255.0, 40.0, 40.0])  # red
NEGATIVE = torch.tensor([40.0, 80.0, 255.0])  # blue
HEATMAP_SIDE = 256  # pixels: smaller images are enlarged to about this short side, so that a person can see them


def resize_for_display(image: Tensor) -> tuple[Tensor, float]:
    """Return the image with its longer side within LONG_SIDE, and the factor by which its sides grew.

    image: (3, H, W) of uint8.
    """
    longer = max(image.shape[1:])
    scale = min(max(longer, LONG_SIDE[0]), LONG_SIDE[1]) / longer
    if scale != 1:
        image = resize(image, [max(1, round(side * scale)) for side in image.shape[1:]], antialias=True)
    return image, scale


def read_for_display(file: bytes) -> tuple[Tensor, float]:
    """Return the image of a file, (3, H, W) of uint8, as `resize_for_display` does, with the factor from the file's."""
    image, size = read_sized(file, 3, lambda *sides: max(sides) / LONG_SIDE[1])
    image, _ = resize_for_display(image)
    return image, max(image.shape[1:]) / max(size)


def contact_sheet(images: Tensor) -> Tensor:
    """(T, C, H, W) -> (C or 3, rows * H, 4 * W), in reading order; a grey image gets three equal channels."""
    return make_grid(images, nrow=COLUMNS, padding=0)


def heatmap(pixels: Tensor, attribution: Tensor) -> bytes:
    """Return PNG bytes of the image in grey under the attribution in colour.

    pixels: (1 or 3, H, W) of uint8; attribution: (H, W), positive (red) for pixels that raise the score, negative
    (blue) for those that lower it. Colour is full at the 99th percentile of the absolute values, so that a single pixel
    cannot dim all others.
    """
    full = float(np.quantile(attribution.abs().numpy(), 0.99)) or 1.0
    weight = (attribution / full).clamp(-1, 1)  # (H, W)
    grey = pixels.float().mean(dim=0)  # (H, W)
    colour = torch.where(weight.unsqueeze(0) > 0, POSITIVE.view(3, 1, 1), NEGATIVE.view(3, 1, 1))  # (3, H, W)
    blended = grey * (1 - weight.abs()) + colour * weight.abs()  # (3, H, W)
    scale = max(1, round(HEATMAP_SIDE / min(grey.shape)))
    return png(interpolate(blended.unsqueeze(0), scale_factor=scale)[0].round().to(torch.uint8))
