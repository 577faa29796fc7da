"""Networks without Python code: a TorchScript, torch.export or ONNX program from elsewhere, as the network of a CARD.

The program's bytes are the only tensor in model.safetensors, so that artifacts, archives and signatures hold it as they
hold weights. It runs on the processor, in its own runtime and precision.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.parts.exported_program import torch_export

Run = Callable[[Tensor], Sequence[Any]]
SMALLEST = 1e-30  # a probability of zero has no logarithm


def torchscript(content: bytes) -> Run:
    """Open a TorchScript archive, which is interpreted and imports no Python."""
    module = torch.jit.load(io.BytesIO(content), map_location="cpu").eval()  # type: ignore[no-untyped-call]

    def run(batch: Tensor) -> Sequence[Any]:
        with torch.no_grad():
            outputs = module(batch)
        if isinstance(outputs, dict):
            return list(outputs.values())
        return outputs if isinstance(outputs, list | tuple) else [outputs]

    return run


def onnx(content: bytes) -> Run:
    """Open an ONNX model in float32. Raises ImportError without onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # an error is raised, and need not be logged as well
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: [torch.as_tensor(output) for output in session.run(None, {name: batch.numpy()})]


OPENERS: dict[str, Callable[[bytes], Run]] = {"torchscript": torchscript, "torch_export": torch_export, "onnx": onnx}


class Program(nn.Module):
    """(N, C, S, S) -> logits, (N, classes), by a program of `length` bytes.

    Of its outputs, number `output` is used. A program for batches of `batch` alone gets those, the last one filled up.
    With `probabilities` it ends in a softmax, and the logits are their logarithm.
    """

    differentiable = False  # explanations perturb the input

    def __init__(
        self,
        kind: Literal["torchscript", "torch_export", "onnx"],
        length: int,
        output: int = 0,
        batch: int | None = None,
        probabilities: bool = False,
    ) -> None:
        super().__init__()
        self.kind, self.output, self.batch, self.probabilities = kind, output, batch, probabilities
        self.program: Tensor
        self.register_buffer("program", torch.zeros(length, dtype=torch.uint8))
        self._run: Run | None = None

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Program":
        """Return the program itself: an open one can't be copied, and never changes."""
        return self

    def outputs(self, batch: Tensor) -> Sequence[Any]:
        """Return all outputs of the program for a batch that it takes."""
        if self._run is None:
            self._run = OPENERS[self.kind](self.program.cpu().numpy().tobytes())
        return self._run(batch)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits on the device of the batch."""
        rows = x.detach().to("cpu", torch.float32).contiguous()
        size = self.batch or len(rows)
        parts = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            filled = torch.cat([part, part[-1:].expand(size - len(part), *part.shape[1:])])
            parts.append(self.outputs(filled)[self.output][: len(part)].float())
        found = torch.cat(parts)
        return (found.clamp(min=SMALLEST).log() if self.probabilities else found).to(x.device)
