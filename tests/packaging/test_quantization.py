"""Networks in int8: near the float32 network, measured through the handler that serves them, refused over a bound."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor

import models
from handlers.runtime.backends import ShapeChecked
from marina.errors import PackagingError
from marina.handler_lookup import handler_class
from marina.packaging import programs, quantization
from tests import tasks
from tests.support.samples import picture
from tests.support.worker import SampleRequest, Worker, untrained

CPU = torch.device("cpu")
IMAGE = ("example.png", "image/png", picture())
TEXT = ("example.json", "application/json", '{"text": "房间很好，服务不错"}'.encode())


class Data:
    """Data of a network: random batches, and a metric of 0.9 in float32 and of `int8` in int8."""

    def __init__(self, batch: Tensor, int8: float = 0.89) -> None:
        self.batch, self.int8 = batch, int8
        self.measured: list[tuple[str, Any]] = []

    def batches(self, handler: Any) -> Iterator[Tensor]:
        """Yield the batch twice."""
        assert handler.network is not None
        yield from (self.batch, self.batch)

    def metrics(self, folder: Path) -> dict[str, float]:
        """Open the model as it is served, and return a metric."""
        handler = handler_class(json.loads((folder / "card.json").read_text())["task"])()
        handler.load(folder, CPU)
        self.measured.append((handler.card["serving"]["precision"], handler.optimized_network))
        return {"accuracy": self.int8 if handler.card["serving"]["precision"] == "int8" else 0.9}


def artifacts_of(name: str, folder: Path, example: tuple[str, str, bytes], **serving: Any) -> tuple[Path, dict]:
    """Write random weights whose card has int8; return folder and card."""
    untrained(name, folder)
    card = json.loads((folder / "card.json").read_text())
    card["serving"] |= {"precision": "int8", "batch_size": 4, **serving}
    card["example"] = {"file": example[0], "content_type": example[1], "reply": {}}
    (folder / example[0]).write_bytes(example[2])
    (folder / "card.json").write_text(json.dumps(card))
    return folder, card


def operators(folder: Path) -> set[str]:
    """Return the operators of the program."""
    return {node.op_type for node in onnx.load(str(folder / "program.onnx")).graph.node}


def differences(worker: Worker, inputs: Tensor) -> float:
    """Return the largest difference of the served outputs from the float32 network's, relative to their spread."""
    with torch.inference_mode():
        outputs, reference = worker.handler.optimized_network(inputs), worker.handler.network(inputs)
    return float((outputs - reference).abs().max() / reference.std())


def test_images_are_quantized_statically_and_served_in_int8(tmp_path, caplog):
    folder, card = artifacts_of("lenet", tmp_path / "lenet", IMAGE)
    inputs = torch.randn(4, 1, 28, 28)
    data = Data(inputs)
    with caplog.at_level(logging.WARNING):
        facts = programs.build(card, folder, folder, data)["program"]
    assert not caplog.records
    assert (facts["shape"], facts["most"], facts["dtype"], facts["quantization"]) == (
        [1, 28, 28],
        4,
        "float32",
        "static",
    )
    assert facts["loss"] == {"accuracy": {"fp32": 0.9, "int8": 0.89, "loss": 0.01}}
    assert set(facts["times_as_fast_as_eager"]) == {"1", "4"}
    assert [precision for precision, _ in data.measured] == ["fp32", "int8"]
    assert [isinstance(network, ShapeChecked) for _, network in data.measured] == [False, True]
    (folder / "card.json").write_text(json.dumps({**card, "program": facts}))
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= operators(folder)
    worker = Worker(folder)
    assert 1e-5 < differences(worker, inputs) < 0.1
    assert {value.dtype for value in worker.handler.network.state_dict().values()} == {torch.float32}
    assert worker.send(SampleRequest({"body": picture()}))[0].status == 200
    weights = [each for each in onnx.load(str(folder / "program.onnx")).graph.initializer if each.data_type == 3]
    assert max(abs(onnx.numpy_helper.to_array(each).astype(int)).max() for each in weights) <= 64  # 7 bits


@pytest.mark.parametrize(("name", "operator"), [("text_lstm", "DynamicQuantizeLSTM"), ("fasttext", "MatMulInteger")])
def test_texts_are_quantized_dynamically_for_every_length(tmp_path, name, operator):
    folder, card = artifacts_of(name, tmp_path / name, TEXT, runtime="onnxruntime")
    facts = programs.build(card, folder, folder, Data(torch.empty(0)))["program"]
    assert (facts["shape"], facts["dtype"], facts["quantization"]) == ([None], "int64", "dynamic")
    assert operator in operators(folder)
    (folder / "card.json").write_text(json.dumps({**card, "program": facts}))
    worker = Worker(folder)
    assert isinstance(worker.handler.optimized_network, ShapeChecked)
    size = card["network"]["vocabulary_size"]
    for rows, length in ((1, 1), (4, 30)):
        assert 1e-6 < differences(worker, torch.randint(1, size, (rows, length))) < 0.5
    responses = worker.send(*list(tasks.find(card["task"]).GOOD.values())[:4])
    assert {response.status for response in responses} == {200}


def test_a_loss_over_the_bound_is_refused(tmp_path):
    folder, card = artifacts_of("text_lstm", tmp_path / "text_lstm", TEXT)
    with pytest.raises(PackagingError, match="needs the data that the weights were trained on"):
        programs.build(card, folder, folder)
    message = r"^text_lstm 1\.0 loses too much in int8: accuracy 0\.9 -> 0\.8899; the bound is 1%"
    with pytest.raises(PackagingError, match=message):
        programs.build(card, folder, folder, Data(torch.empty(0), 0.8899))


@pytest.mark.parametrize(
    ("metric", "before", "after", "expected"),
    [
        ("accuracy", 0.5, 0.49, 0.01),
        ("accuracy", 0.5, 0.52, -0.02),
        ("equal_error_rate", 0.05, 0.06, 0.01),
        ("bleu", 80.0, 78.0, 0.025),
        ("perplexity", 200.0, 202.0, 0.01),
        ("holdout_rmse", 0.1, 0.102, 0.02),
        ("rmse", 0.0, 0.5, 0.5),
    ],
)
def test_a_loss_is_absolute_for_shares_and_relative_for_all_others(metric, before, after, expected):
    assert quantization.lost(metric, before, after) == pytest.approx(expected)


def test_the_metrics_of_the_floor_decide_and_otherwise_all(tmp_path, monkeypatch):
    card = {"name": "made", "version": "2.0", "serving": {"precision": "int8", "runtime": "eager"}}

    def losses(before: dict[str, float], after: dict[str, float], floor: dict[str, float]) -> dict[str, Any]:
        monkeypatch.setattr(models, "find", lambda _: SimpleNamespace(floor=floor))
        found = iter((before, after))
        return quantization.loss(card, {}, tmp_path, SimpleNamespace(metrics=lambda _: next(found)))

    before, after = {"accuracy": 0.9, "recall": 0.9}, {"accuracy": 0.9, "recall": 0.5}
    assert losses(before, after, {"accuracy": 0.8}).keys() == {"accuracy"}
    for floor in ({}, {"recall": 0.8}, {"rmse": 3.0}):
        with pytest.raises(PackagingError, match=r"recall 0\.9 -> 0\.5;"):
            losses(before, after, floor)
    with pytest.raises(PackagingError, match="no metric to measure int8 by"):
        losses({}, {}, {"accuracy": 0.8})
    with pytest.raises(PackagingError, match=r"accuracy 0\.9 -> nan"):
        losses(before, {"accuracy": float("nan")}, {"accuracy": 0.8})


def test_operators_without_int8_are_one_error(tmp_path, monkeypatch):
    def fails(*_: Any) -> None:
        raise ValueError("no kernel\nin several lines")

    monkeypatch.setattr(quantization, "quantize", fails)
    card = {"name": "made", "version": "1.0"}
    with pytest.raises(PackagingError, match=r"^made can't be quantized by onnxruntime: no kernel$"):
        quantization.quantized(card, {"shape": [None]}, None, torch.empty(0), tmp_path, Data(torch.empty(0)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("seq2seq", "runs the network step by step"), ("faster_rcnn", "how many proposals are left")],
)
def test_networks_without_a_program_are_refused(tmp_path, name, reason):
    folder, card = artifacts_of(name, tmp_path / name, TEXT)
    with pytest.raises(PackagingError, match=reason):
        programs.build(card, folder, folder, Data(torch.empty(0)))


def test_a_program_that_fails_on_another_length_is_refused():
    def fixed(batch: Tensor) -> Tensor:
        if batch.shape[1] != 6:
            raise IndexError("six words")
        return batch.float()

    card = {"name": "made", "serving": {"precision": "int8", "runtime": "onnxruntime"}}
    with pytest.raises(PackagingError, match=r"made by onnxruntime fails on inputs \(1, 4\): six words"):
        programs.compare(card, fixed, lambda batch: batch.float(), torch.arange(12).view(2, 6))
