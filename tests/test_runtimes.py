"""Programs that stand in for the network: checked when they are built, and never shown another shape."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import models
from archive import runtimes as builders
from archive.errors import RefusedError
from archive.inputs import example_batch, handler_class
from handlers import runtimes
from handlers.fast import Eager
from handlers.runtimes import Checked
from tests.samples import picture
from tests.worker import untrained

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
