"""Benchmark of int8 against eager float32: throughput of the network, and the loss of each metric.

int8 models run on onnxruntime. A third side, onnxruntime in float32, separates the gain of int8 from that of the
runtime. The sides run the same batches of the test split in turn, on one thread, so that pairs of neighbouring runs are
compared. Time is CPU time, which other processes on the machine hardly affect.
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
# Environment variables that limit the instruction set of PyTorch and its libraries.
ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")
BATCHES = 8  # that each side runs in each pair
SIDES = ("int8", "onnxruntime fp32", "eager fp32")


def measure(name: str, version: str, pairs: int) -> dict[str, Any]:
    """Pack trained weights in int8; return the loss of each metric, and predictions per second by side and pair.

    The first pair warms up, and is left out.
    """
    weights = artifacts.folder_of(name, version)
    card = json.loads((weights / artifacts.CARD).read_text(encoding="utf-8"))
    card["serving"] = asdict(replace(models.find(name).serving, precision="int8", threads=1))
    data = TrainingData(weights)
    with tempfile.TemporaryDirectory() as folder:
        build.stage(card, weights, Path(folder), data)
        handler = handler_class(card["task"])()
        handler.load(Path(folder) / "content", CPU)
        assert isinstance(handler.optimized_network, ShapeChecked)
        batches = full_batches(handler, data)
        eager = Eager(handler.network, CPU, "fp32", card["serving"]["channels_last"])
        file = Path(folder) / "float32.onnx"
        programs.onnx(Eager(handler.network, CPU, "fp32", False), batches[0], card["serving"]["batch_size"], file)
        sides: list[OptimizedNetwork] = [handler.optimized_network, backends.onnxruntime(file, "fp32"), eager]
        networks = dict(zip(SIDES, sides, strict=True))
        rates: dict[str, dict[int, float]] = {side: {} for side in SIDES}
        for pair in range(pairs + 1):
            for side in SIDES if pair % 2 else SIDES[::-1]:
                rates[side][pair] = predictions_per_second(networks[side], batches)
    for each in rates.values():
        del each[0]  # warm-up
    return {"loss": handler.card["program"]["loss"], "batch": card["serving"]["batch_size"], "rates": rates}


def full_batches(handler: Any, data: TrainingData) -> list[Tensor]:
    """Return BATCHES full batches of the test split; a small split is repeated."""
    size: int = handler.card["serving"]["batch_size"]
    chosen = list(islice(cycle(data.requests(data.dataset)), BATCHES * size))
    bodies = [(one.body, one.content_type) for one in chosen]
    return [batch_of(handler, bodies[start : start + size]) for start in range(0, len(bodies), size)]


def predictions_per_second(network: OptimizedNetwork, batches: Sequence[Tensor]) -> float:
    """Return the throughput of a network in predictions per second of CPU time."""
    start = time.process_time()
    with torch.inference_mode():
        for batch in batches:
            network(batch)
    return sum(map(len, batches)) / (time.process_time() - start)


def summary_lines(name: str, found: Mapping[str, Any]) -> list[str]:
    """Return each metric in fp32 and int8, and the throughput of each side relative to eager float32."""
    shown = [f"{metric} {each['fp32']:.4f} -> {each['int8']:.4f}" for metric, each in found["loss"].items()]
    ratios = [
        f"{side} / {SIDES[-1]} {ratio.text('.2f')}"
        for side in SIDES[:-1]
        if (ratio := intervals.of_ratio(found["rates"][side], found["rates"][SIDES[-1]]))
    ]
    return [f"{name}, batches of {found['batch']}: {', '.join(shown)}", *(f"  {line}" for line in ratios)]


def main() -> None:
    """Print a summary of each model that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="*", default=list(EXAMPLES), help="names of trained models; by default: %(default)s"
    )
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    facts = machine.facts()
    limits = ", ".join(f"{name}={os.environ[name]}" for name in ISA_VARIABLES if name in os.environ) or "no limits"
    print(f"{facts['processor']}, {', '.join(facts['flags'])}; PyTorch with {limits}")
    for name in options.models:
        print("\n".join(summary_lines(name, measure(name, options.version, options.pairs))), flush=True)


if __name__ == "__main__":
    main()
