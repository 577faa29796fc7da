"""Backends that run a network: eager PyTorch, or a program built from it with the archive.

marina/packaging/programs.py builds these programs and writes their facts into the card.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handlers.runtime.eager import Eager, OptimizedNetwork

logger = logging.getLogger(__name__)


def aotinductor(file: Path, _precision: str) -> OptimizedNetwork:
    """Open a program compiled for this kind of processor (AOTInductor); its precision was compiled in."""
    loaded: OptimizedNetwork = torch._inductor.aoti_load_package(str(file))
    return loaded


def onnxruntime(file: Path, _precision: str) -> OptimizedNetwork:
    """Open an ONNX program in float32. Raises ImportError without onnxruntime."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    (name,) = (node.name for node in session.get_inputs())
    return lambda batch: torch.from_numpy(session.run(None, {name: batch.numpy()})[0])


def openvino(file: Path, precision: str) -> OptimizedNetwork:
    """Open an ONNX program in the card's precision, if the processor has it. Raises ImportError without openvino."""
    import openvino as runtime

    hints = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    hints["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[precision]
    model = runtime.Core().compile_model(str(file), "CPU", hints)
    return lambda batch: torch.from_numpy(model(batch.numpy())[0])


# By the name in the card: the file in the archive, and the function that opens it.
BUILT: dict[str, tuple[str, Callable[[Path, str], OptimizedNetwork]]] = {
    "compile": ("program.pt2", aotinductor),
    "onnxruntime": ("program.onnx", onnxruntime),
    "openvino": ("program.onnx", openvino),
}


class ShapeChecked:
    """A program that refuses batches it was not built for: a compiled one reads memory beyond a smaller batch."""

    def __init__(self, program: OptimizedNetwork, shape: list[int], max_batch: int) -> None:
        self._program, self._shape, self._max_batch = program, tuple(shape), max_batch

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the outputs of a batch; raises ValueError for one of another shape or type, or too large."""
        size, *shape = batch.shape
        if tuple(shape) != self._shape or not 1 <= size <= self._max_batch or batch.dtype != torch.float32:
            expected = f"1 to {self._max_batch} of {self._shape}, float32"
            raise ValueError(f"the program takes {expected}; got {tuple(batch.shape)}, {batch.dtype}")
        return self._program(batch.contiguous()).float()


def load(network: nn.Module, device: torch.device, card: Mapping[str, Any], folder: Path) -> OptimizedNetwork:
    """Return the optimized network of the card's runtime, or eager PyTorch if that can't be loaded: slower, but with
    the same outputs.
    """
    serving = card["serving"]
    eager = Eager(network, device, serving["precision"], serving["channels_last"])
    built = card.get("program")  # marina/packaging/programs.py writes it
    if serving["runtime"] == "eager" or built is None:
        return eager
    if device.type == "cuda":  # the program was built for a processor; here torch.compile records CUDA graphs
        if serving["runtime"] == "compile":
            eager.network.compile(mode="reduce-overhead")
        return eager
    file, open_program = BUILT[serving["runtime"]]
    try:
        return ShapeChecked(open_program(folder / file, serving["precision"]), built["shape"], built["most"])
    except (ImportError, OSError, RuntimeError) as exc:
        logger.warning("%s runs eagerly, not with %s: %s", card["name"], serving["runtime"], exc)
        return eager
