"""Quantization of ONNX programs to int8, and what it costs: the loss of the card's metrics, through the handler.

Images and videos: static quantization, calibrated on the training split (onnxruntime, QDQ format). Rows and tokens, of
linear and recurrent networks: dynamic quantization, whose activations are measured in every batch.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

import models
from handlers.runtime.backends import BUILT
from marina.errors import PackagingError
from models.card import IN_UNITS, LOWER_IS_BETTER

PROGRAM, open_program = BUILT["onnxruntime"]
MAX_LOSS = 0.01  # of a metric: one point of a share, 1 % of anything larger or in units of the target
# Weights have 7 bits: processors without VNNI add pairs of products in 16 bits, which 8 would overflow. With 7, all
# processors have the same integers, and what is measured when packing is what is served.
OPTIONS: Mapping[str, Any] = {"per_channel": True, "reduce_range": True}


class QuantizationData(Protocol):
    """The data that a network was trained on, or its user's own for an imported one."""

    def batches(self, handler: Any) -> Iterator[Tensor]:
        """Yield examples of the training split as the handler's network takes them."""

    def metrics(self, folder: Path) -> dict[str, float]:
        """Return the metrics of the test split, by the handler of the model in `folder`."""


def quantized(
    card: Mapping[str, Any],
    facts: Mapping[str, Any],
    handler: Any,
    batch: Tensor,
    content: Path,
    data: QuantizationData | None,
) -> dict[str, Any]:
    """Quantize the program in `content`, and return more of its facts: how, and the loss.

    `facts` are those of the float32 program, `batch` is one that it takes; the `handler` is loaded. Raises
    PackagingError without data, over MAX_LOSS, and for operators that onnxruntime can't quantize.
    """
    if data is None:
        raise PackagingError(f'{card["name"]}: precision="int8" needs the data that the weights were trained on')
    images = len(facts["shape"]) > 2  # (C, H, W), and videos (C, T, H, W)
    batches = list(data.batches(handler)) if images else None
    try:
        quantize(content / PROGRAM, batches)
        open_program(content / PROGRAM, "int8")(batch)
    except Exception as exc:  # onnxruntime's own errors have no other base class
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
        raise PackagingError(f"{card['name']} can't be quantized by onnxruntime: {reason}") from exc
    return {"quantization": "static" if images else "dynamic", "loss": loss(card, facts, content, data)}


def quantize(file: Path, batches: Iterable[Tensor] | None) -> None:
    """Replace a float32 program by its int8 form: static if there are `batches` to calibrate it with, else dynamic."""
    import onnx
    from onnxruntime import quantization

    program, model = str(file), onnx.load(str(file))
    del model.graph.value_info[:]  # it has shapes of weights, which the quantizer transposes
    onnx.save(model, program)
    quantization.quant_pre_process(program, program, skip_symbolic_shape=True)
    weights = {"weight_type": quantization.QuantType.QInt8, **OPTIONS}
    if batches is None:
        quantization.quantize_dynamic(program, program, op_types_to_quantize=["MatMul", "LSTM"], **weights)
        return

    class Reader(quantization.CalibrationDataReader):
        """The batches as inputs of the program."""

        def __init__(self) -> None:
            self.batches = iter(batches or ())

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"input": batch.numpy()}

    quantization.quantize_static(program, program, Reader(), activation_type=quantization.QuantType.QUInt8, **weights)


def loss(card: Mapping[str, Any], facts: Mapping[str, Any], content: Path, data: QuantizationData) -> dict[str, Any]:
    """Return what each metric of the CARD's floor is in float32 and in int8, and how much is lost.

    Both are measured here, by the handler that serves the archive. Raises PackagingError over MAX_LOSS.
    """
    float32 = {**card, "serving": {**card["serving"], "precision": "fp32", "runtime": "eager"}}
    found = []
    for served in (float32, {**card, "program": facts}):
        (content / "card.json").write_text(json.dumps(served, ensure_ascii=False), encoding="utf-8")
        found.append(data.metrics(content))
    before, after = found
    if not before:
        raise PackagingError(f"{card['name']} {card['version']}: its test split has no metric to measure int8 by")
    floor = models.find(card["name"]).floor
    losses = {
        metric: {"fp32": before[metric], "int8": after[metric], "loss": lost(metric, before[metric], after[metric])}
        for metric in [metric for metric in before if metric in floor] or before
    }
    if over := [metric for metric, each in losses.items() if not each["loss"] <= MAX_LOSS]:
        lines = ", ".join(f"{metric} {losses[metric]['fp32']:.4g} -> {losses[metric]['int8']:.4g}" for metric in over)
        raise PackagingError(
            f"{card['name']} {card['version']} loses too much in int8: {lines}; the bound is {MAX_LOSS:.0%}. "
            f"Another precision loses less: SET=serving.precision=fp32, or bf16"
        )
    return losses


def lost(metric: str, before: float, after: float) -> float:
    """Return by how much a metric is worse: absolute for shares, relative for all others; negative if it is better.

    >>> lost("accuracy", 0.95, 0.94), lost("rmse", 4.0, 4.1), lost("bleu", 80.0, 78.0)
    (0.01, 0.025, 0.025)
    """
    worse = after - before if metric in LOWER_IS_BETTER else before - after
    scale = abs(before) if metric in IN_UNITS else max(1.0, abs(before))
    return round(worse / scale, 6) if scale else worse
