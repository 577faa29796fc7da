"""What runs the network: eager PyTorch, or a program that was built from it with the archive (archive/runtimes.py)."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handlers.fast import Eager, Run

logger = logging.getLogger(__name__)


def aotinductor(file: Path, _precision: str) -> Run:
    """A program compiled for this kind of processor (AOTInductor); its precision was compiled in."""
    loaded: Run = torch._inductor.aoti_load_package(str(file))
    return loaded


def onnxruntime(file: Path, _precision: str) -> Run:
    """In float32. Raises ImportError without onnxruntime."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())
    return lambda batch: torch.from_numpy(session.run(None, {name: batch.numpy()})[0])


def openvino(file: Path, precision: str) -> Run:
    """In the card's precision, where the processor has it. Raises ImportError without openvino."""
    import openvino as runtime

    hints = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    hints["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[precision]
    model = runtime.Core().compile_model(str(file), "CPU", hints)
    return lambda batch: torch.from_numpy(model(batch.numpy())[0])


# By the name in the card: the file that the archive brings, and what runs it.
BUILT: dict[str, tuple[str, Callable[[Path, str], Run]]] = {
    "compile": ("program.pt2", aotinductor),
    "onnxruntime": ("program.onnx", onnxruntime),
    "openvino": ("program.onnx", openvino),
}


class Checked:
    """Lets only batches through that the program was built for: a compiled one reads what lies beside a smaller one."""

    def __init__(self, run: Run, shape: list[int], most: int) -> None:
        self._run, self._shape, self._most = run, tuple(shape), most

    def __call__(self, batch: Tensor) -> Tensor:
        """Raises ValueError for a batch of another shape or type, or too large."""
        size, *shape = batch.shape
        if tuple(shape) != self._shape or not 1 <= size <= self._most or batch.dtype != torch.float32:
            wanted = f"1 to {self._most} of {self._shape}, float32"
            raise ValueError(f"the program takes {wanted}; got {tuple(batch.shape)}, {batch.dtype}")
        return self._run(batch.contiguous()).float()


def load(network: nn.Module, device: torch.device, card: Mapping[str, Any], folder: Path) -> Run:
    """What the card asks for, or eager PyTorch where that can't be had: slower, with the same answers."""
    serving = card["serving"]
    eager = Eager(network, device, serving["precision"], serving["channels_last"])
    built = card.get("program")  # archive/runtimes.py writes it
    if serving["runtime"] == "eager" or built is None:
        return eager
    if device.type == "cuda":  # the program was built for a processor; here torch.compile records CUDA graphs
        if serving["runtime"] == "compile":
            eager.network.compile(mode="reduce-overhead")
        return eager
    file, open_program = BUILT[serving["runtime"]]
    try:
        return Checked(open_program(folder / file, serving["precision"]), built["shape"], built["most"])
    except (ImportError, OSError, RuntimeError) as fault:
        logger.warning("%s runs eager, not by %s: %s", card["name"], serving["runtime"], fault)
        return eager
