"""int8 beside eager float32: answers a second of the network, in interleaved pairs, and what the metric loses.

Each side runs the same batches of the test split in turn, on one thread; the time is the processor's, so other work on
the machine counts little. onnxruntime in float32 is the share of the gain that is not int8's.
`ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2` limits PyTorch to a processor without AVX-512; onnxruntime has no
such variable, and uses what the processor has.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import models
from benchmarks import machine
from benchmarks.results import intervals
from handlers.runtime import backends
from handlers.runtime.backends import ShapeChecked
from handlers.runtime.eager import Eager, OptimizedNetwork
from marina.handler_lookup import batch_of, handler_class
from marina.packaging import build, programs
from marina.training import artifacts
from marina.training.quantization_data import TrainingData

CPU = torch.device("cpu")
EXAMPLES = ("resnet18", "mobilenet_v1", "text_lstm")
LIMITS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")
BATCHES = 8  # of a side in each pair
SIDES = ("int8", "onnxruntime fp32", "eager fp32")


def measure(name: str, version: str, pairs: int) -> dict[str, Any]:
    """Pack trained weights in int8 and return loss and rates of each side by pair, after one that warms up."""
    weights = artifacts.folder_of(name, version)
    card = json.loads((weights / artifacts.CARD).read_text(encoding="utf-8"))
    card["serving"] = asdict(replace(models.find(name).serving, precision="int8", threads=1))
    data = TrainingData(weights)
    with tempfile.TemporaryDirectory() as folder:
        build.stage(card, weights, Path(folder), data)
        handler = handler_class(card["task"])()
        handler.load(Path(folder) / "content", CPU)
        assert isinstance(handler.optimized_network, ShapeChecked)
        batches = test_batches(handler, data)
        eager = Eager(handler.network, CPU, "fp32", card["serving"]["channels_last"])
        file = Path(folder) / "float32.onnx"
        programs.onnx(Eager(handler.network, CPU, "fp32", False), batches[0], card["serving"]["batch_size"], file)
        sides: list[OptimizedNetwork] = [handler.optimized_network, backends.onnxruntime(file, "fp32"), eager]
        networks = dict(zip(SIDES, sides, strict=True))
        rates: dict[str, dict[int, float]] = {side: {} for side in SIDES}
        for pair in range(pairs + 1):
            for side in SIDES if pair % 2 else SIDES[::-1]:
                rates[side][pair] = rate(networks[side], batches)
    for each in rates.values():
        del each[0]
    return {"loss": handler.card["program"]["loss"], "batch": card["serving"]["batch_size"], "rates": rates}


def test_batches(handler: Any, data: TrainingData) -> list[Tensor]:
    """Return full batches of the test split, the first examples again if there are too few."""
    size: int = handler.card["serving"]["batch_size"]
    chosen = list(islice(cycle(data.requests(data.dataset)), BATCHES * size))
    bodies = [(one.body, one.content_type) for one in chosen]
    return [batch_of(handler, bodies[start : start + size]) for start in range(0, len(bodies), size)]


def rate(network: OptimizedNetwork, batches: Sequence[Tensor]) -> float:
    """Return the answers in a second of the processor's time."""
    start = time.process_time()
    with torch.inference_mode():
        for batch in batches:
            network(batch)
    return sum(map(len, batches)) / (time.process_time() - start)


def lines(name: str, found: Mapping[str, Any]) -> list[str]:
    """Return the loss of each metric, and the ratio of each side to eager float32."""
    shown = [f"{metric} {each['fp32']:.4f} -> {each['int8']:.4f}" for metric, each in found["loss"].items()]
    ratios = [
        f"{side} / {SIDES[-1]} {ratio.text('.2f')}"
        for side in SIDES[:-1]
        if (ratio := intervals.of_ratio(found["rates"][side], found["rates"][SIDES[-1]]))
    ]
    return [f"{name}, batches of {found['batch']}: {', '.join(shown)}", *(f"  {line}" for line in ratios)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(EXAMPLES), help="trained; by default: %(default)s")
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    facts = machine.facts()
    limits = ", ".join(f"{name}={os.environ[name]}" for name in LIMITS if name in os.environ) or "no limits"
    print(f"{facts['processor']}, {', '.join(facts['flags'])}; PyTorch with {limits}")
    for name in options.models:
        print("\n".join(lines(name, measure(name, options.version, options.pairs))), flush=True)


if __name__ == "__main__":
    main()
