"""An attribution, laid over the image that it explains."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from handlers.codecs.image import png

FOR = torch.tensor([255.0, 40.0, 40.0])  # red speaks for the class
AGAINST = torch.tensor([40.0, 80.0, 255.0])  # blue against it
SHORT_SIDE = 256  # a smaller image is enlarged to about this, so that a person can see it


def heatmap(pixels: Tensor, attribution: Tensor) -> bytes:
    """PNG bytes of the image in grey under the attribution in colour.

    pixels: (1 or 3, H, W) of uint8; attribution: (H, W), positive where a pixel speaks for the class. Colour is full
    at the 99th percentile of the absolute values, so that a single pixel cannot dim all others.
    """
    full = float(np.quantile(attribution.abs().numpy(), 0.99)) or 1.0
    weight = (attribution / full).clamp(-1, 1)  # (H, W)
    grey = pixels.float().mean(dim=0)  # (H, W)
    colour = torch.where(weight.unsqueeze(0) > 0, FOR.view(3, 1, 1), AGAINST.view(3, 1, 1))  # (3, H, W)
    blended = grey * (1 - weight.abs()) + colour * weight.abs()  # (3, H, W)
    scale = max(1, round(SHORT_SIDE / min(grey.shape)))
    return png(interpolate(blended.unsqueeze(0), scale_factor=scale)[0].round().to(torch.uint8))
