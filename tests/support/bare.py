"""Handlers without an archive, with a network of a few lines whose gradients are known."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from handlers import codecs
from handlers.request import Request

CPU = torch.device("cpu")
SERVING = {"explain_steps": 8, "batch_size": 3, "threads": 1, "precision": "fp32", "channels_last": False}
PNG = {"accept": "image/png"}


def bare(kind: type, folder: Path, codec: Any, network: nn.Module, labels: list[str] | None = None, **card: Any) -> Any:
    """Return a handler of this kind, set up as from an archive, on a machine whose own encoding is not UTF-8."""
    codecs.save(codec, folder)
    if labels is not None:
        (folder / "labels.json").write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    handler = kind()
    handler.folder, handler.device, handler.network, handler.optimized_network = folder, CPU, network, network
    handler.card = {"name": "made", "version": "1.0", "serving": SERVING, **card}
    real = Path.read_text

    def read_text(path: Path, encoding: str = "ascii") -> str:
        return real(path, encoding=encoding or "ascii")

    Path.read_text = read_text  # type: ignore[method-assign]
    try:
        handler.setup()
    finally:
        Path.read_text = real  # type: ignore[method-assign]
    return handler


def make_request(
    fields: dict[str, Any] | None = None, headers: dict[str, str] | None = None, **members: Any
) -> Request:
    """Return a request of form fields, or of the members of a JSON body."""
    return Request({"body": members} if members else fields or {}, headers or {}, "id")


class Counting(nn.Module):
    """Network that records the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def counted(self, batch: Tensor) -> Tensor:
        self.sizes.append(len(batch))
        return batch


class Linear(Counting):
    """(N, ...) -> (N, classes): sums, each input times the class's weights."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, batch: Tensor) -> Tensor:
        return self.counted(batch).flatten(1) @ self.weights.flatten(1).T


def pixels_of(picture: bytes | str) -> np.ndarray:
    """Return the pixels, (H, W, channels), of the bytes of a picture, or of its base64."""
    data = base64.b64decode(picture) if isinstance(picture, str) else picture
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


def same_picture(one: bytes | str, other: bytes | str) -> None:
    """Assert that both pictures are the same, except for rounding."""
    first, second = pixels_of(one), pixels_of(other)
    assert first.shape == second.shape
    assert abs(first - second).max() <= 2
