"""Checkpoints, networks and labels that fit, and one clear line for those that don't."""

import dataclasses
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18, resnet34

from handlers.codecs.image import ImageCodec
from marina.errors import ModelImportError
from marina.packaging.imports import checkpoint, classifier, imported_model, model_file, network

IMAGES = {"size": 32, "channels": 3, "mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}
CODEC = ImageCodec(**IMAGES)
SOURCE = network.find("torchvision.models:resnet18")
OWN = "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    width = 1\n"


def fit(file: Path, source=SOURCE, labels=None, codec=CODEC, **arguments) -> classifier.ImportedClassifier:
    return classifier.fit(source, checkpoint.read(file), codec, arguments, labels, "labels.txt")


def one_line(message: str) -> str:
    """A pattern of the whole message: it has one line."""
    return rf"\A(?=[^\n]*\Z).*{message}"


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return resnet18(num_classes=10).state_dict()


@pytest.mark.parametrize(
    ("suffix", "nest", "prefix"),
    [
        (".safetensors", lambda state: state, ""),
        (".pth", lambda state: state, "module."),
        (".pt", lambda state: {"epoch": 3, "loss": torch.tensor(0.1), "model_state_dict": state}, ""),
        (".ckpt", lambda state: {"state_dict": {"net": state}}, "module._orig_mod."),
        (".bin", lambda state: {"ema": state}, "backbone."),
    ],
)
def test_weights_of_every_form_are_read(tmp_path, weights, suffix, nest, prefix):
    file = tmp_path / f"weights{suffix}"
    content = nest({prefix + name: value for name, value in weights.items()})
    (save_file if suffix == ".safetensors" else torch.save)(content, file)
    fitted = fit(file)
    assert (fitted.prefix, fitted.arguments, fitted.head) == (prefix, {"num_classes": 10}, "fc.weight")
    assert fitted.labels == [str(number) for number in range(10)]
    found = fitted.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in weights.items())


def test_a_prefix_that_the_network_has_itself_stays():
    class Wrapped(nn.Module):
        def __init__(self, num_classes: int = 4) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, num_classes))

        def forward(self, x):
            return self.model(x)

    source = network.NetworkSource("net.py:Wrapped", "", "Wrapped", Wrapped)
    read = checkpoint.Checkpoint(Path("w.pth"), "", Wrapped(7).state_dict())
    fitted = classifier.fit(source, read, CODEC, {}, None)
    assert (fitted.prefix, fitted.arguments) == ("", {"num_classes": 7})


class Code:
    """A command that runs when a pickle is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_code_in_a_checkpoint_never_runs(tmp_path, write):
    file, proof = tmp_path / "weights.pth", tmp_path / "proof"
    content = {"state_dict": Code(f"touch {proof}")}
    if write == "torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ModelImportError, match=one_line(r"refused: loading it would run code \((posix|os)\.system\)")):
        checkpoint.read(file)
    assert not proof.exists()


def test_files_that_are_no_checkpoint_are_refused(tmp_path, weights):
    whole = tmp_path / "whole.pth"
    torch.save(weights, whole)
    files = {
        "truncated.pth": whole.read_bytes()[:50_000],
        "text.pt": b"hello there",
        "empty.bin": b"",
        "truncated.safetensors": b"\x00" * 20,
        "weights.h5": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelImportError, match=one_line(f"{name}.*(is truncated, or no|weights are read from)")):
            checkpoint.read(tmp_path / name)
    torch.save({"epoch": 3, "args": {"lr": 0.1}}, tmp_path / "epoch.pth")
    with pytest.raises(ModelImportError, match=one_line("holds no state dict")):
        checkpoint.read(tmp_path / "epoch.pth")
    with pytest.raises(ModelImportError, match=one_line("no file")):
        checkpoint.read(tmp_path / "none.pth")


def test_weights_that_do_not_fit_are_explained(tmp_path, weights):
    file = tmp_path / "weights.pth"
    torch.save(resnet34(num_classes=10).state_dict(), file)
    with pytest.raises(
        ModelImportError, match=one_line("weights.pth does not fit torchvision.models:resnet18: .* unex")
    ):
        fit(file)
    torch.save({name.replace("fc.", "head_fc."): value for name, value in weights.items()}, file)
    with pytest.raises(ModelImportError, match=one_line(r"2 of 122 keys are missing: fc.weight \(nearest: head_fc")):
        fit(file)
    torch.save(weights, file)
    expected = r"labels.txt has 3 labels"
    with pytest.raises(ModelImportError, match=one_line(rf"10 classes \(fc.weight is 10 x 512\), {expected}")):
        fit(file, labels=["a", "b", "c"])
    with pytest.raises(ModelImportError, match=one_line("fc.weight is 10 x 512, in the network 7 x 512")):
        fit(file, num_classes=7)
    grey = ImageCodec(size=32, channels=1, mean=(0.5,), std=(0.2,))
    with pytest.raises(ModelImportError, match=one_line("fails on images of 1 x 32 x 32")):
        fit(file, codec=grey)
    torch.save({**weights, "fc.bias": torch.full((10,), float("nan"))}, file)
    with pytest.raises(ModelImportError, match=one_line("the network's output is not finite")):
        fit(file)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("resnet18", "the form is module:callable"),
        ("torchvision.models:resnet19", "torchvision.models has no network 'resnet19'; nearest: resnet1"),
        ("torchvision.nothing:resnet18", "No module named 'torchvision.nothing'"),
        ("models.resnet18:ResNet18", "a serving machine has no module models"),
        ("none.py:Net", "no file none.py"),
    ],
)
def test_an_unknown_network_is_refused(given, message):
    with pytest.raises(ModelImportError, match=one_line(message)):
        network.find(given)


def test_what_is_no_classifier_is_refused(tmp_path, weights):
    file = tmp_path / "weights.pth"
    torch.save(weights, file)
    with pytest.raises(ModelImportError, match=one_line("returns list, not a torch.nn.Module")):
        fit(file, network.find("torchvision.models:list_models"))
    with pytest.raises(ModelImportError, match=one_line("needs logits, 2 x classes")):
        fit(file, network.find("torch.nn:Identity"))


def test_timm_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelImportError, match=one_line("timm is not installed")):
        network.find("timm:efficientnet_b0")
    made = []
    timm = types.SimpleNamespace(create_model=lambda name, **options: made.append((name, options)) or nn.Linear(1, 1))
    monkeypatch.setitem(sys.modules, "timm", timm)
    source = network.find("timm:efficientnet_b0")
    source.build({"num_classes": 3})
    assert made == [("efficientnet_b0", {"pretrained": False, "num_classes": 3})]
    assert 'network=partial(timm.create_model, "efficientnet_b0", pretrained=False),' in text(source)


def text(source: network.NetworkSource, images=IMAGES) -> str:
    origin = {"network": source.given, "file": "w.pth", "sha256": ""}
    more = {"arguments": {}, "labels": [], "codec": CODEC, "example": (b"", "image/png"), "origin": origin, "found": []}
    model = imported_model.ImportedModel(source=source, network=nn.Identity(), input=images, **more)
    return model_file.text("mine", "image_classification", model)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import pandas\n" + OWN, "net.py:1 imports pandas: an archive contains this file alone"),
        (OWN + "    def late(self):\n        from .parts import x\n", "net.py:8 imports a file beside it"),
        ("def broken(:", "is no Python file"),
        ("raise RuntimeError('no')", "can't be imported: RuntimeError: no"),
        (OWN.replace("Net", "Other"), "net.py has no network 'Net'; nearest: Other"),
    ],
)
def test_a_users_file_that_an_archive_cannot_have_is_refused(tmp_path, code, message):
    (tmp_path / "net.py").write_text(code)
    with pytest.raises(ModelImportError, match=one_line(message)):
        network.find(f"{tmp_path / 'net.py'}:Net")


def test_the_models_file_is_formatted(tmp_path):
    (tmp_path / "net.py").write_text(OWN)
    (tmp_path / "late.py").write_text("WIDTH = 3\n\n\n" + OWN.partition("\n\n\n")[2].replace("nn.Module", "object"))
    long = {"size": 224, "resize": 256, "channels": 3, "mean": (0.48145466, 0.4578275, 0.40821073)}
    long |= {"std": (0.26862954, 0.26130258, 0.27577711)}
    texts = [text(network.find(given)) for given in ("torchvision.models:resnet18", f"{tmp_path / 'net.py'}:Net")]
    texts += [text(network.find(f"{tmp_path / 'late.py'}:Net"))]
    texts += [
        text(SOURCE, long),
        text(dataclasses.replace(SOURCE, ours="from models.parts.library_detector import PADDING")),
    ]
    for content in texts:
        command = [sys.executable, "-m", "ruff", "format", "--diff", "--line-length", "120", "-"]
        done = subprocess.run(command, input=content, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert content.startswith('"""')
        compile(content, "mine.py", "exec")
    (tmp_path / "card.py").write_text(OWN.replace("Net", "Card"))
    with pytest.raises(ModelImportError, match=one_line("card.py:Card: Card is defined there")):
        text(network.find(f"{tmp_path / 'card.py'}:Card"))


@pytest.mark.parametrize("name", ["class", "my-net", "9net", "_net", "card", "parts", "n\u00e4me"])
def test_names_that_no_model_can_have_are_refused(name):
    with pytest.raises(ModelImportError, match=one_line(f"{name}.*(can't be a model's name|is no model)")):
        model_file.check_name(name, "1.0", Path("models"))


def test_a_models_file_is_replaced_only_if_an_import_wrote_it(tmp_path):
    file, content = tmp_path / "mine.py", text(SOURCE)
    other = content.replace('"size": 32', '"size": 64')
    assert model_file.to_write(file, content, set(), replace=False)
    file.write_text(content.replace("batch_size=8", "batch_size=64"))
    assert not model_file.to_write(file, content, set(), replace=False), "the user's options of serving stay"
    file.write_text(other)
    for written, replace in (({model_file.digest(other)}, False), (set(), True)):
        with pytest.raises(ModelImportError, match=one_line("models/mine.py exists, ")):
            model_file.to_write(file, content, written, replace)
    assert model_file.to_write(file, content, {model_file.digest(other)}, replace=True)


def test_labels_are_lines_or_a_json_list(tmp_path):
    (tmp_path / "a.txt").write_text("cat\n big dog \n\n", encoding="utf-8")
    (tmp_path / "a.json").write_text('["cat", "big dog"]')
    found = [classifier.read_labels(tmp_path / name) for name in ("a.txt", "a.json")]
    assert found == [["cat", "big dog"]] * 2
    (tmp_path / "b.json").write_text('{"0": "cat"}')
    for name in ("b.json", "none.txt"):
        with pytest.raises(ModelImportError, match=one_line("--labels")):
            classifier.read_labels(tmp_path / name)
