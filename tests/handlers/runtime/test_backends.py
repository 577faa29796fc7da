"""Programs that replace the network: checked when they are built, and only run on the shapes they were built for."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import models
from handlers.runtime import backends
from handlers.runtime.backends import ShapeChecked
from handlers.runtime.eager import Eager
from marina.errors import PackagingError
from marina.handler_lookup import example_batch, handler_class
from marina.packaging import programs as builders
from tests.support.samples import picture
from tests.support.worker import untrained

CPU = torch.device("cpu")


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
    """Copy the artifacts; the card of the copy has that runtime."""
    shutil.copytree(folder, target)
    card = json.loads((target / "card.json").read_text())
    card["serving"] = {**card["serving"], "runtime": runtime, "batch_size": 4}
    (target / "card.json").write_text(json.dumps(card))
    return target, card


@pytest.mark.parametrize("runtime", ["compile", "onnxruntime", "openvino"])
def test_a_built_program_has_the_outputs_of_the_network(lenet, tmp_path, runtime):
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
    assert isinstance(handler.optimized_network, ShapeChecked)
    with torch.inference_mode():
        for size in (1, 3, 4):
            batch = example_batch(handler)[:1].repeat(size, 1, 1, 1) + 0.1 * torch.randn(size, 1, 1, 1)
            assert torch.allclose(handler.optimized_network(batch), handler.network(batch), atol=1e-3)


def test_a_program_refuses_shapes_it_was_not_built_for():
    run = ShapeChecked(lambda batch: batch * 2, [1, 4], max_batch=3)
    assert run(torch.ones(3, 1, 4)).sum() == 24
    for wrong in (torch.ones(4, 1, 4), torch.ones(0, 1, 4), torch.ones(2, 1, 5), torch.ones(2, 1, 4, dtype=torch.long)):
        with pytest.raises(ValueError, match="takes 1 to 3"):
            run(wrong)


def test_texts_have_any_length():
    run = ShapeChecked(lambda batch: batch, [None], max_batch=2, dtype="int64")
    assert run(torch.ones(2, 7, dtype=torch.long)).dtype == torch.float32
    for wrong in (torch.ones(2, 7), torch.ones(2, 7, 1, dtype=torch.long), torch.ones(3, 7, dtype=torch.long)):
        with pytest.raises(ValueError, match=r"takes 1 to 2 of \(None,\), int64"):
            run(wrong)


def test_a_missing_runtime_falls_back_to_eager(lenet, tmp_path, monkeypatch, caplog):
    def missing(_file: Path, _precision: str) -> None:
        raise ImportError("no such runtime here")

    folder, card = with_runtime(lenet, "onnxruntime", tmp_path / "lenet")
    card["program"] = {"shape": [1, 28, 28], "most": 4}
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setitem(backends.BUILT, "onnxruntime", ("program.onnx", missing))
    handler = handler_class(card["task"])()
    handler.load(folder, CPU)
    assert isinstance(handler.optimized_network, Eager)
    assert "no such runtime here" in caplog.text


def test_a_program_with_different_outputs_is_refused():
    reference = torch.randn(4, 10)
    builders.check("m", "compile", reference + 1e-5, reference, tolerance=1e-3)
    for wrong in (reference + 0.5, reference * float("nan")):
        with pytest.raises(PackagingError, match="differs"):
            builders.check("m", "compile", wrong, reference, tolerance=1e-3)


def test_programs_are_not_built_for_texts(tmp_path):
    folder = untrained("text_cnn", tmp_path / "text_cnn")
    card = json.loads((folder / "card.json").read_text())
    card["serving"]["runtime"] = "compile"
    card["example"] = {"file": "example.json", "content_type": "application/json", "reply": {}}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "example.json").write_text('{"text": "房间 不错"}')
    with pytest.raises(PackagingError, match="one shape"):
        builders.build(card, folder, tmp_path)


def test_serving_options_change_without_training(monkeypatch, tmp_path):
    from marina.packaging import build

    folder = untrained("lenet", tmp_path / "lenet" / "1.0")
    changed = replace(models.find("lenet"), serving=replace(models.find("lenet").serving, batch_size=3))
    monkeypatch.setattr(models, "find", lambda _: changed)
    assert build.checked_card("lenet", "1.0", folder, "quick", {})["serving"]["batch_size"] == 3


def serving(**changes) -> dict:
    """Return a card with the runtime onnxruntime and a program."""
    options = {"runtime": "onnxruntime", "precision": "bf16", "channels_last": True, **changes}
    return {"name": "tiny", "serving": options, "program": {"shape": [2, 3], "most": 5}}


def test_the_program_of_the_card_is_opened_in_its_precision_and_checked(tmp_path, monkeypatch):
    opened = []

    def program(file, precision):
        opened.append((file, precision))
        return lambda batch: batch.double() + 1

    monkeypatch.setitem(backends.BUILT, "onnxruntime", ("program.onnx", program))
    run = backends.load(torch.nn.Identity(), CPU, serving(), tmp_path)
    assert opened == [(tmp_path / "program.onnx", "bf16")]
    assert run(torch.zeros(5, 3, 2).transpose(1, 2)).dtype == torch.float32
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        run(torch.zeros(6, 2, 3))
    assert str(caught.value) == ("the program takes 1 to 5 of (2, 3), float32; got (6, 2, 3), torch.float32")


def test_a_program_gets_contiguous_batches():
    run = ShapeChecked(lambda batch: batch if batch.is_contiguous() else pytest.fail("strided"), [2, 3], max_batch=1)
    assert run(torch.zeros(1, 3, 2).transpose(1, 2)).shape == (1, 2, 3)


def test_eager_follows_the_card_without_a_program(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True})
    network = torch.nn.Conv2d(1, 1, 1)
    for card in (serving(runtime="eager"), {**serving(), "program": None}):
        run = backends.load(network, CPU, card, tmp_path)
        assert isinstance(run, Eager)
        assert (run.device, run.dtype, run.layout) == (CPU, torch.bfloat16, torch.channels_last)
        assert run(torch.zeros(1, 1, 2, 2)).shape == (1, 1, 2, 2)


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime"])
def test_int8_is_a_program_of_onnxruntime(tmp_path, monkeypatch, caplog, runtime):
    card = serving(runtime=runtime, precision="int8")
    monkeypatch.setitem(backends.BUILT, "onnxruntime", ("program.onnx", lambda file, precision: str))
    assert isinstance(backends.load(torch.nn.Identity(), CPU, card, tmp_path), ShapeChecked)
    monkeypatch.undo()
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed on this machine")
    for content in (None, b"damaged"):
        if content is not None:
            (tmp_path / "program.onnx").write_bytes(content)
        run = backends.load(torch.nn.Identity(), CPU, card, tmp_path)
        assert isinstance(run, Eager)
        assert run.dtype == torch.float32
        assert "tiny runs eagerly, not with onnxruntime: onnxruntime: " in caplog.messages[-1]


@pytest.mark.parametrize(("runtime", "modes"), [("compile", ["reduce-overhead"]), ("onnxruntime", []), ("eager", [])])
def test_on_a_gpu_torch_compiles_and_no_other_program_runs(tmp_path, monkeypatch, runtime, modes):
    compiled = []
    network = SimpleNamespace(compile=lambda mode: compiled.append(mode))
    eager = SimpleNamespace(network=network)
    monkeypatch.setattr(backends, "Eager", lambda *facts: eager)
    card = serving(runtime=runtime, precision="fp32" if modes else "int8")
    assert backends.load(network, torch.device("cuda"), card, tmp_path) is eager
    assert compiled == modes


def test_a_program_that_fails_to_open_is_logged_with_the_models_name(tmp_path, monkeypatch, caplog):
    def broken(file, precision):
        raise OSError("no such file")

    monkeypatch.setitem(backends.BUILT, "onnxruntime", ("program.onnx", broken))
    assert isinstance(backends.load(torch.nn.Identity(), CPU, serving(), tmp_path), Eager)
    assert caplog.messages == ["tiny runs eagerly, not with onnxruntime: no such file"]


def test_onnxruntime_uses_torchs_threads_on_the_cpu(tmp_path, monkeypatch):
    made = []

    class Session:
        def __init__(self, file, options, providers):
            made.append((file, options.intra_op_num_threads, providers))

        def get_inputs(self):
            return [SimpleNamespace(name="x")]

        def run(self, outputs, feed):
            return [2 * feed["x"]] if outputs is None else None

    fake = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=Session)
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    run = backends.onnxruntime(tmp_path / "p.onnx", "fp32")
    assert made == [(str(tmp_path / "p.onnx"), 3, ["CPUExecutionProvider"])]
    assert run(torch.ones(2)).tolist() == [2, 2]


@pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16")])
def test_openvino_gets_threads_latency_and_precision(tmp_path, monkeypatch, precision, hint):
    made = []

    class Core:
        def compile_model(self, *facts):
            made.append(facts)
            return lambda array: [2 * array]

    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=Core))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    run = backends.openvino(tmp_path / "p.onnx", precision)
    hints = {"INFERENCE_NUM_THREADS": 3, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
    assert made == [(str(tmp_path / "p.onnx"), "CPU", hints)]
    assert run(torch.ones(2)).tolist() == [2, 2]


def test_a_compiled_program_is_loaded_from_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(torch._inductor, "aoti_load_package", lambda file: f"loaded {file}")
    assert backends.aotinductor(tmp_path / "p.pt2", "fp32") == f"loaded {tmp_path / 'p.pt2'}"
