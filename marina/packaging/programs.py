"""Networks as programs that run without PyTorch's eager mode, for cards with another `runtime`.

The program travels in the archive beside the weights, which explanations need; handlers/runtime/backends.py runs it.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.onnx import OnnxExporterError

import models
from handlers.runtime.backends import BUILT, runtime_of
from handlers.runtime.eager import Eager, OptimizedNetwork
from marina.errors import PackagingError
from marina.handler_lookup import example_batch, handler_class
from marina.packaging.quantization import QuantizationData, quantized

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
    """Write an ONNX file of the folded float32 network: its runtimes choose their own precision.

    Raises PackagingError for a network that ONNX can't express.
    """
    network = eager.network.float().to(memory_format=torch.contiguous_format)
    length = {1: Dim.DYNAMIC} if is_text(batch) else {}
    try:
        if any(isinstance(module, nn.RNNBase) for module in network.modules()):  # torch.export fixes their steps
            names: Any = {"input_names": ["input"], "output_names": ["output"]}  # a traced network has no other names
            axes = {"input": {axis: f"axis_{axis}" for axis in (0, *length)}, "output": {0: "axis_0"}}
            with warnings.catch_warnings(action="ignore"):  # of tracing: the outputs are compared for other lengths
                torch.onnx.export(network, (batch,), str(file), dynamic_axes=axes, dynamo=False, **names)
            return
        shapes = ({0: Dim("batch", min=1, max=most), **length},)
        program = torch.onnx.export(
            network, (batch,), input_names=["input"], dynamic_shapes=shapes, dynamo=True, verbose=False
        )
    except OnnxExporterError as exc:
        reason = (str(exc.__cause__ or exc).strip() or type(exc).__name__).splitlines()[0]
        raise PackagingError(f"the network can't be written as ONNX: {reason}") from exc
    assert program is not None
    program.save(str(file))


BUILDERS: dict[str, Callable[[Eager, Tensor, int, Path], None]] = {
    "compile": compiled,
    "onnxruntime": onnx,
    "openvino": onnx,
}


def build(card: dict[str, Any], weights: Path, content: Path, data: QuantizationData | None = None) -> dict[str, Any]:
    """Write the program into `content`; return its facts for card.json: the batches that it takes, its speed relative
    to eager, and what int8 loses.

    For int8, `data` are those of the weights, and `content` holds all of an archive but card.json. Raises
    PackagingError where the program can't be built here, its outputs differ, or int8 loses too much.
    """
    serving = card["serving"]
    kind, precision = runtime_of(serving), serving["precision"]
    if kind == "eager":
        return {}
    if reason := models.find(card["name"]).not_exported:
        raise PackagingError(f"{card['name']} has no program for runtime={kind!r}: {reason}")
    handler = handler_class(card["task"])()
    handler.load(weights, torch.device("cpu"))
    batch, most = inputs_of(handler, kind, card), serving["batch_size"]
    file, open_program = BUILT[kind]
    try:
        BUILDERS[kind](eager_of(handler, serving), batch, most, content / file)
        run = open_program(content / file, precision)
    except ImportError as exc:
        raise PackagingError(f"runtime={kind!r} needs the extra `export`: {exc}") from exc
    full = full_batch(batch, most)
    compare(card, run, handler.network, full)
    dtype = str(batch.dtype).removeprefix("torch.")
    facts: dict[str, Any] = {"shape": [None] if is_text(batch) else list(batch.shape[1:]), "most": most, "dtype": dtype}
    if precision == "int8":
        facts |= quantized(card, facts, handler, full, content, data)
        run = open_program(content / file, precision)
    eager = eager_of(handler, serving)
    with torch.inference_mode():
        gain = {str(size): faster(eager, run, full[:size]) for size in (1, most)}
    return {"program": {**facts, "times_as_fast_as_eager": gain}}


def inputs_of(handler: Any, kind: str, card: dict[str, Any]) -> Tensor:
    """Return the example of a loaded handler as its network's input, (2, ...).

    Raises PackagingError if a program of this kind can't stand for the network.
    """
    if not isinstance(handler.optimized_network, Eager):
        raise PackagingError(f"runtime={kind!r} is not for {card['task']}, whose handler runs the network step by step")
    batch = example_batch(handler)
    if (is_text(batch) and (kind != "onnxruntime" or batch.dim() != 2)) or card["serving"]["batch_size"] < 2:
        raise PackagingError(f"runtime={kind!r} is for inputs of one shape, in batches of 2 or more")
    return batch


def is_text(batch: Tensor) -> bool:
    """Return whether a batch holds ids of tokens, our only inputs of integers, whose number varies: (N, T)."""
    return not batch.is_floating_point()


def eager_of(handler: Any, serving: dict[str, Any]) -> Eager:
    """Return the network of a loaded handler in eager PyTorch."""
    return Eager(handler.network, handler.device, serving["precision"], serving["channels_last"])


def full_batch(batch: Tensor, most: int) -> Tensor:
    """Return `most` rows like the first one; noise makes numbers differ."""
    full = batch[:1].repeat(most, *[1] * (batch.dim() - 1))
    return full if is_text(batch) else full + 0.05 * torch.randn(most, *batch.shape[1:])


def compare(card: dict[str, Any], run: OptimizedNetwork, network: nn.Module, full: Tensor) -> None:
    """Raise PackagingError if a program that is not in int8 yet has other outputs than the network; of texts, also if
    it takes no other length than the example's.
    """
    kind, precision = runtime_of(card["serving"]), card["serving"]["precision"]
    with torch.inference_mode():
        for inputs in (full, full[:1, : full.shape[1] // 2 + 1]) if is_text(full) else (full,):
            try:
                outputs = run(inputs)
            except Exception as exc:  # of any runtime
                raise PackagingError(f"{card['name']} by {kind} fails on inputs {tuple(inputs.shape)}: {exc}") from exc
            check(card["name"], kind, outputs, network(inputs), TOLERANCE["bf16" if precision == "bf16" else "fp32"])


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
