"""Networks as programs that run without PyTorch's eager mode, for cards with another `runtime`.

The program travels in the archive beside the weights, which explanations need; handlers/runtime/backends.py runs it.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from handlers.runtime.backends import BUILT
from handlers.runtime.eager import Eager, OptimizedNetwork
from marina.errors import PackagingError
from marina.handler_lookup import example_batch, handler_class

# Of the outputs, relative to their spread: bfloat16 keeps 8 bits, and networks add up many.
TOLERANCE = {"fp32": 1e-3, "bf16": 5e-2}
ROUNDS = 20


def compiled(eager: Eager, batch: Tensor, most: int, file: Path) -> None:
    """Compile the eager network for this kind of processor (AOTInductor), in its precision.

    Raises PackagingError without a C++ compiler.
    """
    shapes = ({0: Dim("batch", min=1, max=most)},)

    class FromFloat(nn.Module):
        """The network with float32 inputs and outputs, as every runtime has them."""

        def __init__(self) -> None:
            super().__init__()
            self.network = eager.network

        def forward(self, batch: Tensor) -> Tensor:
            output: Tensor = self.network(batch.to(eager.dtype, memory_format=torch.channels_last))
            return output.float()

    try:
        program = torch.export.export(FromFloat(), (batch,), dynamic_shapes=shapes)
        torch._inductor.aoti_compile_and_package(program, package_path=str(file))
    except torch._inductor.exc.InvalidCxxCompiler as exc:
        raise PackagingError('runtime="compile" needs a C++ compiler, such as g++') from exc


def onnx(eager: Eager, batch: Tensor, most: int, file: Path) -> None:
    """Write an ONNX file of the folded float32 network: its runtimes choose their own precision."""
    shapes = ({0: Dim("batch", min=1, max=most)},)
    network = eager.network.float().to(memory_format=torch.contiguous_format)
    program = torch.onnx.export(
        network, (batch,), input_names=["input"], dynamic_shapes=shapes, dynamo=True, verbose=False
    )
    assert program is not None
    program.save(str(file))


BUILDERS: dict[str, Callable[[Eager, Tensor, int, Path], None]] = {
    "compile": compiled,
    "onnxruntime": onnx,
    "openvino": onnx,
}


def build(card: dict[str, Any], weights: Path, content: Path) -> dict[str, Any]:
    """Write the program into `content`; return its facts for card.json: its shape, and its speed relative to eager.

    Raises PackagingError where it can't be built here, or its outputs differ.
    """
    serving = card["serving"]
    kind = serving["runtime"]
    if kind == "eager":
        return {}
    handler = handler_class(card["task"])()
    handler.load(weights, torch.device("cpu"))
    eager = Eager(handler.network, handler.device, serving["precision"], serving["channels_last"])
    batch, most = example_batch(handler), serving["batch_size"]
    if not batch.is_floating_point() or most < 2:
        raise PackagingError(f"runtime={kind!r} is for inputs of one shape, in batches of 2 or more")
    file, open_program = BUILT[kind]
    BUILDERS[kind](eager, batch, most, content / file)
    try:
        run = open_program(content / file, serving["precision"])
    except ImportError as exc:
        raise PackagingError(f"runtime={kind!r}: {exc}") from exc
    eager = Eager(handler.network, handler.device, serving["precision"], serving["channels_last"])
    full = batch[:1].repeat(most, *[1] * (batch.dim() - 1)) + 0.05 * torch.randn(most, *batch.shape[1:])
    with torch.inference_mode():
        reference = handler.network(full)
        check(card["name"], kind, run(full), reference, TOLERANCE[serving["precision"]])
        gain = {str(size): faster(eager, run, full[:size]) for size in (1, most)}
    return {"program": {"shape": list(batch.shape[1:]), "most": most, "times_as_fast_as_eager": gain}}


def check(name: str, kind: str, outputs: Tensor, reference: Tensor, tolerance: float) -> None:
    """Raise PackagingError if outputs differ by more than `tolerance` of the reference's spread."""
    difference = float((outputs - reference).abs().max() / reference.std().clamp(min=1e-6))
    if not difference <= tolerance:
        raise PackagingError(f"{name} by {kind} differs from the eager network by {difference:.2g} deviations")


def faster(eager: OptimizedNetwork, run: OptimizedNetwork, batch: Tensor) -> float:
    """Return how many times as fast `run` is as `eager`: the median over interleaved pairs."""
    return round(statistics.median(seconds(eager, batch) / seconds(run, batch) for _ in range(ROUNDS)), 2)


def seconds(run: OptimizedNetwork, batch: Tensor) -> float:
    """Time one batch."""
    start = time.perf_counter()
    run(batch)
    return time.perf_counter() - start
