"""The optimized network has the same outputs, for every model and precision."""

import copy
import json

import pytest
import torch
from torch import Tensor, nn

import models
from handlers.runtime import eager, json_codec
from handlers.runtime.eager import Eager
from marina.handler_lookup import handler_class
from tests.support.samples import picture
from tests.support.worker import inputs, untrained

CPU = torch.device("cpu")
IMAGES = [name for name in models.names() if models.find(name).task == "image_classification"]
# Networks that can't be served in bf16, and why.
FP32_ONLY = dict.fromkeys(("faster_rcnn", "mask_rcnn"), "rounding would decide which of many proposals are looked at")


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_optimized_network_has_the_outputs_of_the_trained_one(worker, name, precision):
    if precision == "bf16" and name in FP32_ONLY:
        assert models.find(name).serving.precision == "fp32"
        pytest.skip(FP32_ONLY[name])
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


@pytest.mark.parametrize("name", models.names())
def test_folding_learned_statistics_keeps_the_outputs(worker, name):
    network = copy.deepcopy(worker(name).handler.network)
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):  # new ones change next to nothing
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    batch = inputs(worker(name), 4)
    with torch.inference_mode():
        torch.testing.assert_close(eager.fold(network)(batch), network(batch), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in IMAGES if models.find(name).serving.channels_last])
def test_batch_normalisation_is_folded(worker, name):
    network = worker(name).handler.network
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    folded = eager.fold(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert (folded is network) == (not norms)


def test_a_network_that_branches_on_its_input_is_not_folded():
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x) if x.sum() > 0 else x

    network = Branching().eval()
    assert eager.fold(network) is network
    assert Eager(network, CPU, "fp32", channels_last=False)(torch.ones(1, 3)).shape == (1, 3)


def test_bf16_needs_hardware_support(monkeypatch):
    network = nn.Linear(2, 2)
    for able, dtype in (({"avx512_bf16": True}, torch.bfloat16), ({"avx512_bf16": False}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        run = Eager(network, CPU, "bf16", channels_last=False)
        assert (run.dtype, run.network.weight.dtype) == (dtype, dtype)
        assert Eager(network, CPU, "fp32", channels_last=False).dtype == torch.float32
    assert network.weight.dtype == torch.float32


def test_token_ids_stay_integers():
    embedding = nn.Embedding(4, 2)
    assert Eager(embedding, CPU, "fp32", channels_last=True)(torch.tensor([[1, 2]])).shape == (1, 2, 2)


def test_every_batch_size_is_warmed_up(tmp_path, monkeypatch):
    folder = untrained("lenet", tmp_path / "lenet")
    card = json.loads((folder / "card.json").read_text())
    card["example"] = {"file": "example.png", "content_type": "image/png", "reply": {}}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "example.png").write_bytes(picture())
    sizes: list[int] = []
    kind = handler_class("image_classification")
    monkeypatch.setattr(kind, "forward", lambda _, batch: sizes.append(len(batch)))
    kind().load(folder, CPU)
    assert sizes == list(range(1, card["serving"]["batch_size"] + 1))


@pytest.mark.parametrize("library", ["orjson", "the standard library"])
def test_json_with_and_without_orjson(monkeypatch, library):
    if library != "orjson":
        monkeypatch.setattr(json_codec, "orjson", None)
    value = {"文": "好", "n": [1, 2.5, -1e-7, None, True], "big": 2**70, "null": "null"}
    assert json.loads(json_codec.dumps(value)) == value
    assert "好".encode() in json_codec.dumps({"文": "好"})
    assert json_codec.loads('{"a": [1]}') == json_codec.loads(b'{"a": [1]}') == {"a": [1]}
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            json_codec.dumps({"x": number})
    for broken in ("{", b"\xff", "", "{'a': 1}"):
        with pytest.raises(ValueError):  # noqa: PT011 - each library words it in its own way
            json_codec.loads(broken)


class Twice(nn.Module):
    """One convolution and normalisation, applied twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(self.layers(x))


def test_a_layer_that_is_called_twice_is_not_folded():
    network = Twice()
    network.layers[1].running_mean.fill_(0.5)
    network.layers[1].running_var.fill_(4.0)
    network.eval()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(eager.fold(network)(x), network(x))


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16", "bf16", "sve_bf16"])
def test_any_bf16_instruction_is_enough(monkeypatch, instruction):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, instruction: True})
    assert eager.has_bf16(CPU) is True
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, instruction: False})
    assert eager.has_bf16(CPU) is False


def test_emulated_bf16_of_a_gpu_does_not_count(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True})
    assert eager.has_bf16(torch.device("cuda")) is False


class Recorder(nn.Module):
    """Network that records its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.batches.append(batch)
        return batch


def test_only_images_become_channels_last(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True})
    run = Eager(Recorder(), CPU, "bf16", channels_last=True)
    assert run(torch.ones(2, 3, 4, 5)).dtype == torch.float32
    run(torch.ones(2, 3, 4))
    run(torch.ones(2, 3, dtype=torch.long))
    images, series, numbers = run.network.batches
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (images.dtype, series.dtype, numbers.dtype) == (torch.bfloat16, torch.bfloat16, torch.long)
    Eager(images := Recorder(), CPU, "fp32", channels_last=False)(torch.ones(2, 3, 4, 5))
    assert images.batches[0].is_contiguous()


def test_weights_are_channels_last_if_the_card_says_so():
    for channels_last in (True, False):
        run = Eager(nn.Conv2d(3, 4, 3), CPU, "fp32", channels_last)
        assert run.network.weight.is_contiguous(memory_format=torch.channels_last) is channels_last
        assert run.layout == (torch.channels_last if channels_last else torch.preserve_format)
        assert run.device == CPU


def test_a_network_that_is_not_folded_is_logged(caplog):
    class Looping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x) if x.sum() > 0 else x

    caplog.set_level("INFO")
    eager.fold(Looping().eval())
    assert caplog.messages[0].startswith("batch normalisation is not folded: ")
    assert "None" not in caplog.messages[0]


def test_a_network_without_normalisation_is_not_traced(monkeypatch):
    monkeypatch.setattr(torch.fx, "symbolic_trace", lambda network: pytest.fail("not needed"))
    network = nn.Linear(1, 1)
    assert eager.fold(network) is network
