"""The fast path gives the same answers, on every model and runtime, and says no to what it was not built for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import models
from archive import runtimes as builders
from archive.errors import RefusedError
from archive.inputs import example_batch, handler_class
from handlers import fast, jsons, runtimes
from handlers.fast import Eager
from handlers.runtimes import Checked
from tests.samples import picture
from tests.worker import Worker, untrained

CPU = torch.device("cpu")
IMAGES = [name for name in models.names() if models.find(name).task == "image_classification"]


def inputs(worker: Worker, count: int) -> Tensor:
    """(count, ...) different inputs of the worker's network."""
    generator = torch.Generator().manual_seed(1)
    task, network = worker.card["task"], worker.card["network"]
    if task == "image_classification":
        codec = worker.handler.codec
        size = (count, codec.channels, codec.size, codec.size)
        return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))
    if task == "text_classification":
        return torch.randint(2, network["vocabulary_size"], (count, 12), generator=generator)
    return torch.randn(count, len(worker.handler.codec.columns), generator=generator)


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_fast_network_answers_as_the_trained_one(worker, name, precision):
    one = worker(name)
    batch = inputs(one, 8)
    network = one.handler.network
    run = Eager(network, CPU, precision, one.card["serving"]["channels_last"])
    with torch.inference_mode():
        expected, got = network(batch), run(batch)
    assert got.dtype == torch.float32
    bound = 1e-4 if run.dtype == torch.float32 else 0.05
    assert (got - expected).abs().max() <= bound * expected.abs().max()
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())  # explanations need it whole


@pytest.mark.parametrize("name", [name for name in IMAGES if models.find(name).serving.channels_last])
def test_batch_normalisation_is_folded_away(worker, name):
    network = worker(name).handler.network
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    folded = fast.fold(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert (folded is network) == (not norms)


def test_a_network_that_branches_on_its_input_stays_whole():
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x) if x.sum() > 0 else x

    network = Branching().eval()
    assert fast.fold(network) is network
    assert Eager(network, CPU, "fp32", channels_last=False)(torch.ones(1, 3)).shape == (1, 3)


def test_bf16_only_where_the_processor_has_it(monkeypatch):
    network = nn.Linear(2, 2)
    for able, dtype in (({"avx512_bf16": True}, torch.bfloat16), ({"avx512_bf16": False}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        run = Eager(network, CPU, "bf16", channels_last=False)
        assert (run.dtype, run.network.weight.dtype) == (dtype, dtype)
        assert Eager(network, CPU, "fp32", channels_last=False).dtype == torch.float32
    assert network.weight.dtype == torch.float32


def test_word_numbers_stay_whole_numbers():
    embedding = nn.Embedding(4, 2)
    assert Eager(embedding, CPU, "fp32", channels_last=True)(torch.tensor([[1, 2]])).shape == (1, 2, 2)


def test_every_batch_size_is_warmed_up(tmp_path, monkeypatch):
    folder = untrained("lenet", tmp_path / "lenet")
    card = json.loads((folder / "card.json").read_text())
    card["example"] = {"file": "example.png", "content_type": "image/png", "reply": {}}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "example.png").write_bytes(picture())
    seen: list[int] = []
    kind = handler_class("image_classification")
    monkeypatch.setattr(kind, "forward", lambda _, batch: seen.append(len(batch)))
    kind().load(folder, CPU)
    assert seen == list(range(1, card["serving"]["batch_size"] + 1))


@pytest.fixture(scope="module")
def lenet(tmp_path_factory) -> Path:
    """Artifacts of an untrained lenet with an example."""
    folder = untrained("lenet", tmp_path_factory.mktemp("runtimes") / "lenet")
    card = json.loads((folder / "card.json").read_text())
    card["example"] = {"file": "example.png", "content_type": "image/png", "reply": {}}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "example.png").write_bytes(picture())
    return folder


def with_runtime(folder: Path, runtime: str, target: Path) -> tuple[Path, dict]:
    """A copy of the artifacts whose card asks for that runtime."""
    shutil.copytree(folder, target)
    card = json.loads((target / "card.json").read_text())
    card["serving"] = {**card["serving"], "runtime": runtime, "batch_size": 4}
    (target / "card.json").write_text(json.dumps(card))
    return target, card


@pytest.mark.parametrize("runtime", ["compile", "onnxruntime", "openvino"])
def test_a_built_program_answers_as_the_network_does(lenet, tmp_path, runtime):
    if runtime == "compile" and not shutil.which("g++"):
        pytest.skip("no C++ compiler (g++) on this machine")
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="the package openvino is not installed on this machine")
    folder, card = with_runtime(lenet, runtime, tmp_path / "lenet")
    card |= builders.build(card, folder, folder)
    (folder / "card.json").write_text(json.dumps(card))
    gain = card["program"]["times_as_fast_as_eager"]
    assert set(gain) == {"1", "4"}
    assert min(gain.values()) > 0
    handler = handler_class(card["task"])()
    handler.load(folder, CPU)
    assert isinstance(handler.run, Checked)
    with torch.inference_mode():
        for size in (1, 3, 4):
            batch = example_batch(handler)[:1].repeat(size, 1, 1, 1) + 0.1 * torch.randn(size, 1, 1, 1)
            assert torch.allclose(handler.run(batch), handler.network(batch), atol=1e-3)


def test_a_program_never_sees_a_shape_it_was_not_built_for():
    run = Checked(lambda batch: batch * 2, [1, 4], most=3)
    assert run(torch.ones(3, 1, 4)).sum() == 24
    for wrong in (torch.ones(4, 1, 4), torch.ones(0, 1, 4), torch.ones(2, 1, 5), torch.ones(2, 1, 4, dtype=torch.long)):
        with pytest.raises(ValueError, match="takes 1 to 3"):
            run(wrong)


def test_without_its_runtime_a_model_runs_eager(lenet, tmp_path, monkeypatch, caplog):
    def missing(_file: Path, _precision: str) -> None:
        raise ImportError("no such runtime here")

    folder, card = with_runtime(lenet, "onnxruntime", tmp_path / "lenet")
    card["program"] = {"shape": [1, 28, 28], "most": 4}
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setitem(runtimes.BUILT, "onnxruntime", ("program.onnx", missing))
    handler = handler_class(card["task"])()
    handler.load(folder, CPU)
    assert isinstance(handler.run, Eager)
    assert "no such runtime here" in caplog.text


def test_a_program_that_answers_differently_is_refused():
    reference = torch.randn(4, 10)
    builders.check("m", "compile", reference + 1e-5, reference, tolerance=1e-3)
    for wrong in (reference + 0.5, reference * float("nan")):
        with pytest.raises(RefusedError, match="differs"):
            builders.check("m", "compile", wrong, reference, tolerance=1e-3)


def test_a_runtime_of_its_own_is_not_for_texts(tmp_path):
    folder = untrained("text_cnn", tmp_path / "text_cnn")
    card = json.loads((folder / "card.json").read_text())
    card["serving"]["runtime"] = "compile"
    card["example"] = {"file": "example.json", "content_type": "application/json", "reply": {}}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "example.json").write_text('{"text": "房间 不错"}')
    with pytest.raises(RefusedError, match="one shape"):
        builders.build(card, folder, tmp_path)


def test_the_serving_of_a_card_may_change_without_training(monkeypatch, tmp_path):
    from archive import build

    folder = untrained("lenet", tmp_path / "lenet" / "1.0")
    changed = replace(models.find("lenet"), serving=replace(models.find("lenet").serving, batch_size=3))
    monkeypatch.setattr(models, "find", lambda _: changed)
    assert build.checked_card("lenet", "1.0", folder, "quick")["serving"]["batch_size"] == 3


@pytest.mark.parametrize("library", ["orjson", "the standard library"])
def test_json_with_and_without_orjson(monkeypatch, library):
    if library != "orjson":
        monkeypatch.setattr(jsons, "orjson", None)
    value = {"文": "好", "n": [1, 2.5, -1e-7, None, True], "big": 2**70, "null": "null"}
    assert json.loads(jsons.dumps(value)) == value
    assert "好".encode() in jsons.dumps({"文": "好"})
    assert jsons.loads('{"a": [1]}') == jsons.loads(b'{"a": [1]}') == {"a": [1]}
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            jsons.dumps({"x": number})
    for broken in ("{", b"\xff", "", "{'a': 1}"):
        with pytest.raises(ValueError):  # noqa: PT011 - each library words it in its own way
            jsons.loads(broken)
