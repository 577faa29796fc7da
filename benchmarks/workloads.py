"""Requests and right responses: W1 (ResNet-18 on JPEGs of 500x375) and W2 (a regressor of 13 numbers)."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torchvision.models import resnet18

from benchmarks import networks
from benchmarks.networks import MEAN, STD, WEIGHTS, pixels
from models.housing_mlp import HousingMLP

IMAGES, ROWS, SEED = 16, 64, 0
SIZE = (500, 375)
SHIFTS = ((0, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # pixels
LOGIT, RIDGE = 16.0, 0.02
CLEAR_MARGIN = 0.2  # probability: a top-1 class that leads by this must survive bf16 and another resize
PROBABILITY_TOLERANCE = 0.1
NUMBER_TOLERANCE = 1e-3  # relative, of a number in fp32


@dataclass(frozen=True)
class Workload:
    """Bodies of requests, and the fp32 eager output for each: class probabilities (W1) or a number (W2)."""

    name: str
    content_type: str
    bodies: Sequence[bytes]
    expected: Sequence[Any]

    def is_right(self, number: int, reply: Any) -> bool:
        """Return whether the parsed response is right for request `number`."""
        try:
            return self._same(self.expected[number], reply)
        except (KeyError, TypeError, ValueError, IndexError):
            return False

    def _same(self, expected: Any, reply: Mapping[str, Any]) -> bool:
        if self.name == "W2":
            return math.isclose(reply["prediction"], expected, rel_tol=NUMBER_TOLERANCE, abs_tol=NUMBER_TOLERANCE)
        found = {int(each["label"]): each["probability"] for each in reply["predictions"]}
        first, second = sorted(expected, reverse=True)[:2]
        clear = first - second >= CLEAR_MARGIN
        same_top = max(found, key=found.__getitem__) == expected.index(first)
        near = all(abs(expected[label] - value) <= PROBABILITY_TOLERANCE for label, value in found.items())
        return len(found) == networks.TOP and near and (same_top or not clear)


@cache
def jpegs() -> list[bytes]:
    """Return seeded crops of scikit-learn's two photos, as JPEG files."""
    random = np.random.default_rng(SEED)
    photos = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    found = []
    for number in range(IMAGES):
        photo = photos[number % 2]
        height = int(random.integers(200, photo.height))
        width = height * SIZE[0] // SIZE[1]
        left, top = int(random.integers(0, photo.width - width)), int(random.integers(0, photo.height - height))
        file = io.BytesIO()
        crop = photo.crop((left, top, left + width, top + height))
        crop.resize(SIZE, Image.Resampling.LANCZOS).save(file, format="JPEG", quality=90)
        found.append(file.getvalue())
    return found


def normalized(files: list[bytes]) -> Tensor:
    """Return normalized images, (N, 3, 224, 224) of float32."""
    batch = torch.stack([pixels(file) for file in files]).float() / 255
    return (batch - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def image_weights(files: list[bytes]) -> dict[str, Tensor]:
    """Return random weights with a head that gives each input its own class, so that swapped responses are detected."""
    torch.manual_seed(SEED)
    network, batch = resnet18(), normalized(files)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = None  # running statistics become those of the inputs, as after training
    with torch.no_grad():
        network.train()(batch)
        network.eval().fc = nn.Linear(512, 1000)  # its random rows are the classes that no input has
        head, network.fc = network.fc, nn.Identity()
        # Fitted to shifted copies as well: resizes differ by half a pixel between libraries.
        features = torch.cat([network(batch.roll(shift, dims=(2, 3))) for shift in SHIFTS])
        targets = LOGIT * torch.eye(len(files)).repeat(len(SHIFTS), 1)
        centre, ridge = features.mean(dim=0), RIDGE * features.var(dim=0).sum() * torch.eye(features.shape[1])
        centred = features - centre
        rows = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ targets).T  # ridge regression
        head.weight.mul_(0.1)
        head.bias.zero_()
        head.weight[: len(files)], head.bias[: len(files)] = rows, -rows @ centre
        network.fc = head
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def table_facts() -> tuple[dict[str, Tensor], dict[str, Any], list[list[float]]]:
    """Return weights, the scale of each column and of the target, and rows to predict."""
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    mean, std = random.uniform(1, 100, 13), random.uniform(0.5, 30, 13)
    rows = (mean + std * random.standard_normal((ROWS, 13))).round(4).tolist()
    facts = {"mean": mean.tolist(), "std": std.tolist(), "target_mean": 22.5, "target_std": 9.2}
    return HousingMLP().state_dict(), facts, rows


@cache
def load(name: str) -> Workload:
    """Return W1 or W2, and write its weights, which every stack reads."""
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    bodies, weights = (jpegs(), image_weights(jpegs())) if name == "W1" else _table()
    save_file(weights, WEIGHTS / f"{name}.safetensors")
    (WEIGHTS / f"{name}.examples.json").write_text(json.dumps([body.hex() for body in bodies[:1]]))
    return Workload(name, "image/jpeg" if name == "W1" else "application/json", bodies, _expected(name, bodies))


def _table() -> tuple[list[bytes], dict[str, Tensor]]:
    weights, facts, rows = table_facts()
    (WEIGHTS / "W2.json").write_text(json.dumps(facts))
    return [json.dumps({"features": row}).encode() for row in rows], weights


@torch.inference_mode()
def _expected(name: str, bodies: list[bytes]) -> list[Any]:
    """Return the outputs of the unoptimized network: fp32, one request after the other."""
    if name == "W1":
        network = networks.image_network()
        return [network(normalized([body])).softmax(dim=1)[0].tolist() for body in bodies]
    model = networks.TableModel()
    return [model.predict([json.loads(body)["features"]])[0]["prediction"] for body in bodies]
