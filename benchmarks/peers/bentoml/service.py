"""BentoML services of the two benchmark models. A batched endpoint takes and returns lists, even for one request."""

import os
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.networks import BATCH, tuned

SERVICE = {
    "workers": int(os.environ.get("BENCH_WORKERS", "1")),
    "traffic": {"timeout": 60},
    "logging": {"access": {"enabled": False}},
}


def batched(workload: str) -> dict[str, Any]:
    """Return the arguments of `bentoml.api` for a batched endpoint."""
    return {"batchable": True, "max_batch_size": BATCH[workload], "max_latency_ms": 1000}


@bentoml.service(name="w1", **SERVICE)
class W1:
    """Image classification; each request sends a JPEG as a part of a multipart form."""

    def __init__(self) -> None:
        self.model: Any = tuned("W1")

    @bentoml.api(**batched("W1"))
    def predict(self, images: list[Path]) -> list[dict[str, Any]]:
        return self.model.predict([image.read_bytes() for image in images])


@bentoml.service(name="w2", **SERVICE)
class W2:
    """Tabular regression; each request sends a row of numbers as JSON."""

    def __init__(self) -> None:
        self.model: Any = tuned("W2")

    @bentoml.api(**batched("W2"))
    def predict(self, features: list[list[float]]) -> list[dict[str, Any]]:
        return self.model.predict(features)
