"""The two models of the benchmark as every tuned stack runs them: bodies of requests in, bodies of replies out.

Peers import this from their own virtual environments, so it needs torch, torchvision and safetensors alone.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.models import ResNet, resnet18
from torchvision.transforms.v2 import functional as F

from models.housing_mlp import HousingMLP

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "var" / "bench"  # written by benchmarks/workloads.py
RESIZE, CROP, TOP = 256, 224, 5
# The smallest batch at which a request costs as little as in a large one; larger ones only add latency.
BATCH = {"W1": 4, "W2": 8}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

try:
    import orjson

    loads: Callable[[bytes], Any] = orjson.loads
    dumps: Callable[[Any], bytes] = orjson.dumps
except ModuleNotFoundError:  # the standard library is slower, with the same output
    loads, dumps = json.loads, lambda value: json.dumps(value).encode()


def has_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 natively rather than through float32."""
    if os.environ.get("BENCH_FP32"):
        return False
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except FileNotFoundError:
        return False
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def image_network() -> ResNet:
    """Return ResNet-18 with the benchmark's weights: fp32, eager."""
    network = resnet18()
    network.load_state_dict(load_file(WEIGHTS / "W1.safetensors"))
    return network.eval().requires_grad_(False)


def table_network() -> HousingMLP:
    """Return the regressor 13 -> 100 -> 1 with the benchmark's weights."""
    network = HousingMLP()
    network.load_state_dict(load_file(WEIGHTS / "W2.safetensors"))
    return network.eval().requires_grad_(False)


def pixels(jpeg: bytes) -> Tensor:
    """Decode a JPEG to (3, 224, 224) of uint8: shorter side to 256, centre crop.

    Like Marina it crops the square first: a third fewer pixels to scale.
    """
    image = decode_jpeg(torch.frombuffer(bytearray(jpeg), dtype=torch.uint8), mode=ImageReadMode.RGB)
    side = min(image.shape[1:])
    square = F.resize(F.center_crop(image, [side, side]), [RESIZE, RESIZE], antialias=True)
    return F.center_crop(square, [CROP, CROP])


class ImageModel:
    """JPEGs -> top-5 classes; bf16 where the processor has it, channels_last, batch norm folded."""

    def __init__(self) -> None:
        self.dtype = torch.bfloat16 if has_bf16() else torch.float32
        network: nn.Module = fuse(image_network())
        self.network = network.to(self.dtype).to(memory_format=torch.channels_last)
        # (x / 255 - mean) / std as one product and one sum
        self.scale = 1 / (255 * torch.tensor(STD).view(3, 1, 1))
        self.shift = -(torch.tensor(MEAN) / torch.tensor(STD)).view(3, 1, 1)

    @torch.inference_mode()
    def predict(self, jpegs: list[bytes]) -> list[dict[str, Any]]:
        """Return a response for each JPEG, from one forward pass."""
        batch = torch.stack([pixels(jpeg) for jpeg in jpegs]).contiguous(memory_format=torch.channels_last)
        logits = self.network(torch.addcmul(self.shift, batch, self.scale).to(self.dtype)).float()
        probabilities, classes = logits.softmax(dim=1).topk(TOP)
        return [
            {"predictions": [{"label": str(n), "probability": p} for n, p in zip(row, best, strict=True)]}
            for row, best in zip(classes.tolist(), probabilities.tolist(), strict=True)
        ]

    def respond(self, bodies: list[bytes]) -> list[bytes]:
        """Return a response body for each request body."""
        return [dumps(reply) for reply in self.predict(bodies)]


class TableModel:
    """Rows of 13 numbers -> a number; fp32."""

    def __init__(self) -> None:
        self.network = table_network()
        facts = json.loads((WEIGHTS / "W2.json").read_text())
        self.mean, self.std = torch.tensor(facts["mean"]), torch.tensor(facts["std"])
        self.target_mean, self.target_std = facts["target_mean"], facts["target_std"]

    @torch.inference_mode()
    def predict(self, rows: list[list[float]]) -> list[dict[str, float]]:
        """Return a response for each row, from one forward pass."""
        outputs = self.network((torch.tensor(rows) - self.mean) / self.std)
        return [{"prediction": y * self.target_std + self.target_mean} for y in outputs.tolist()]

    def respond(self, bodies: list[bytes]) -> list[bytes]:
        """Return a response body for each request body."""
        return [dumps(reply) for reply in self.predict([loads(body)["features"] for body in bodies])]


def tuned(workload: str, threads: int = 1) -> ImageModel | TableModel:
    """Return the model of W1 or W2, on that many torch threads."""
    torch.set_num_threads(threads)
    model = ImageModel() if workload == "W1" else TableModel()
    examples = json.loads((WEIGHTS / f"{workload}.examples.json").read_text())
    for size in range(1, 9):  # the first call of each shape is slow
        model.respond([bytes.fromhex(examples[0])] * size)
    return model
