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
    """Open an ONNX program in its own precision, float32 or int8.

    Raises ImportError without onnxruntime, and RuntimeError for a file that it can't run.
    """
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime's own errors have no other base class
        raise RuntimeError(f"onnxruntime: {exc}") from exc
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
    """A program that refuses batches it was not built for: a compiled one reads memory beyond a smaller batch.

    A length that varies, as that of texts, is None in `shape`.
    """

    def __init__(
        self, program: OptimizedNetwork, shape: list[int | None], max_batch: int, dtype: str = "float32"
    ) -> None:
        self._program, self._shape, self._max_batch, self._dtype = program, tuple(shape), max_batch, dtype

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the outputs of a batch; raises ValueError for one of another shape or type, or too large."""
        size, *shape = batch.shape
        fits = len(shape) == len(self._shape) and all(b in (None, a) for a, b in zip(shape, self._shape, strict=True))
        if not fits or not 1 <= size <= self._max_batch or batch.dtype != getattr(torch, self._dtype):
            expected = f"1 to {self._max_batch} of {self._shape}, {self._dtype}"
            raise ValueError(f"the program takes {expected}; got {tuple(batch.shape)}, {batch.dtype}")
        return self._program(batch.contiguous()).float()


def runtime_of(serving: Mapping[str, Any]) -> str:
    """Return the runtime of serving options: int8 has its kernels in onnxruntime, which stands in for eager."""
    runtime: str = serving["runtime"]
    return "onnxruntime" if serving["precision"] == "int8" and runtime == "eager" else runtime


def load(network: nn.Module, device: torch.device, card: Mapping[str, Any], folder: Path) -> OptimizedNetwork:
    """Return the optimized network of the card's runtime, or eager PyTorch if that can't be loaded: slower, but with
    the same outputs.
    """
    serving = card["serving"]
    runtime = runtime_of(serving)
    eager = Eager(network, device, serving["precision"], serving["channels_last"])
    built = card.get("program")  # marina/packaging/programs.py writes it
    if runtime == "eager" or built is None:
        return eager
    if device.type == "cuda":  # the program was built for a processor; here torch.compile records CUDA graphs
        if runtime == "compile":
            eager.network.compile(mode="reduce-overhead")
        return eager
    file, open_program = BUILT[runtime]
    try:
        program = open_program(folder / file, serving["precision"])
        return ShapeChecked(program, built["shape"], built["most"], built.get("dtype", "float32"))
    except (ImportError, OSError, RuntimeError) as exc:
        logger.warning("%s runs eagerly, not with %s: %s", card["name"], runtime, exc)
        return eager
