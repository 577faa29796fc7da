"""Export of trained networks to other runtimes' formats, each compared with the eager network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.onnx import OnnxExporterError

import models
from marina.errors import PackagingError
from marina.handler_lookup import example_batch, handler_class

Run = Callable[[Tensor], Tensor]
TOLERANCE = 1e-4  # of the logits, absolute


def dynamic_shapes(batch: Tensor) -> dict[int, Any]:
    """Return the axes that may vary: the batch size, and the length of token ids, our only inputs of integers."""
    return {0: Dim.DYNAMIC} if batch.is_floating_point() else {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}


def torch_export(network: nn.Module, batch: Tensor, file: Path) -> Run:
    """Write an ExportedProgram (.pt2)."""
    try:
        program = torch.export.export(network, (batch,), dynamic_shapes=(dynamic_shapes(batch),))
    except torch._dynamo.exc.UserError:
        # torch.export fixes the number of steps of an LSTM: such a network is exported for texts of this length.
        program = torch.export.export(network, (batch,), dynamic_shapes=({0: Dim.DYNAMIC},))
    torch.export.save(program, file)
    loaded = torch.export.load(file).module()
    return lambda x: loaded(x)


def torchscript(network: nn.Module, batch: Tensor, file: Path) -> Run:
    """Write a traced ScriptModule (.pt); deprecated by PyTorch, here for servers that take nothing else."""
    torch.jit.trace(network, batch).save(str(file))  # type: ignore[no-untyped-call]
    loaded = torch.jit.load(str(file))  # type: ignore[no-untyped-call]
    return lambda x: loaded(x)


def onnx(network: nn.Module, batch: Tensor, file: Path) -> Run:
    """Write an ONNX model, and run it with onnxruntime on the processor."""
    shapes = dynamic_shapes(batch)
    try:
        program = torch.onnx.export(
            network, (batch,), input_names=["input"], dynamic_shapes=(shapes,), dynamo=True, verbose=False
        )
        assert program is not None
        program.save(str(file))
    except OnnxExporterError:  # an LSTM again: the older exporter keeps it whole
        axes = {"input": {axis: f"axis_{axis}" for axis in shapes}}
        torch.onnx.export(network, (batch,), str(file), input_names=["input"], dynamic_axes=axes, dynamo=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"input": x.numpy()})[0])


FORMATS: dict[str, tuple[str, Callable[[nn.Module, Tensor, Path], Run]]] = {
    "onnx": (".onnx", onnx),
    "torchscript": (".pt", torchscript),
    "torch_export": (".pt2", torch_export),
}


def export(weights: Path, kind: str) -> tuple[Path, float]:
    """Export the network trained in `weights` beside it; return the file and the largest absolute difference from the
    eager network's outputs, over batches of one, two and five.

    Raises PackagingError if it is over TOLERANCE, or if the CARD gives a reason why the network stays in PyTorch.
    """
    card = json.loads((weights / "card.json").read_text(encoding="utf-8"))
    if reason := models.find(card["name"]).not_exported:
        raise PackagingError(f"{card['name']} is not exported: {reason}")
    handler = handler_class(card["task"])()
    handler.load(weights, torch.device("cpu"))
    suffix, write = FORMATS[kind]
    file = weights / "exports" / f"{handler.card['name']}{suffix}"
    file.parent.mkdir(exist_ok=True)
    batch = example_batch(handler)
    run = write(handler.network, batch, file)
    difference = 0.0
    with torch.inference_mode():
        for size in (1, 2, 5):
            x = batch[:1].repeat(size, *[1] * (batch.dim() - 1))
            difference = max(difference, float((run(x) - handler.network(x)).abs().max()))
    if difference > TOLERANCE:
        raise PackagingError(f"{file} differs from the eager network by {difference:.2e}, more than {TOLERANCE:.0e}")
    return file, difference
