"""Lines and messages of an import, word for word: they are all that a user sees of what was found."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import nn

from handlers.codecs.image import ImageCodec, png
from marina.errors import ModelImportError
from marina.packaging.imports import classifier, matching, network, program
from marina.packaging.imports.checkpoint import Checkpoint
from marina.packaging.imports.imported_model import ImportOptions
from tests.packaging.imports.test_programs import Net, written

IMAGES = {"size": 4, "channels": 3, "mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}


class Flat(nn.Module):
    """A linear layer over all pixels."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * 4 * 4, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.flatten(1))


FLAT = network.NetworkSource("net.py:Flat", "", "Flat", Flat)


@pytest.fixture
def flat(tmp_path, monkeypatch) -> Path:
    """A checkpoint of seven classes that was nested and wrapped; `net.py:Flat` is its network."""
    monkeypatch.setattr(network, "find", lambda given: FLAT)
    state = {f"module.{name}": value for name, value in Flat(7).state_dict().items()}
    torch.save({"net": {"state_dict": state}}, tmp_path / "w.pth")
    return tmp_path


def test_a_classifier_is_reported_with_its_origin(flat):
    file = flat / "w.pth"
    digest = sha256(file.read_bytes()).hexdigest()
    model = classifier.imported(ImportOptions(file, "net.py:Flat", images=IMAGES | {"resize": 6}))
    assert list(model.found) == [
        f"w.pth: 2 tensors, 343 values, under 'net.state_dict', prefix 'module.' removed; sha256 {digest[:12]}",
        "7 classes (fc.weight), numbered: no --labels",
        "images of 3 x 4 x 4, cropped from 6",
    ]
    assert model.origin == {"network": "net.py:Flat", "file": "w.pth", "sha256": digest}
    assert (model.input, model.arguments) == (IMAGES | {"resize": 6}, {"num_classes": 7})
    grey = torch.full((3, 4, 4), classifier.GREY, dtype=torch.uint8)
    assert model.example == (png(grey), "image/png")
    assert model.not_exported == ""
    assert Checkpoint(Path("w.pth"), "a" * 64, {}).summary("") == f"w.pth: 0 tensors, 0 values; sha256 {'a' * 12}"


def test_labels_are_named_and_repeated_ones_are_said(flat):
    file = flat / "labels.txt"
    options = ImportOptions(flat / "w.pth", "net.py:Flat", file, IMAGES)
    file.write_text("c\nb\na\na\nb\nd\ne\n")
    model = classifier.imported(options)
    assert list(model.found[1:]) == [
        f"7 classes (fc.weight), labels from {file}",
        "images of 3 x 4 x 4",
        "labels of several classes: a, b; an explanation explains the first of them",
    ]
    file.write_text("c\nb\na\nf\ng\nd\ne\n")
    assert len(classifier.imported(options).found) == 3
    file.write_text("a\nb\n")
    with pytest.raises(ModelImportError) as refused:
        classifier.imported(options)
    assert str(refused.value) == f"the weights have 7 classes (fc.weight is 7 x 48), {file} has 2 labels"


def test_at_most_five_repeated_labels_are_shown():
    labels = [str(number // 2) for number in range(14)]
    fitted = classifier.ImportedClassifier(Flat(14), {}, labels, "", "")
    read = Checkpoint(Path("w.pth"), "", {})
    model = classifier.model_of(FLAT, read, ImageCodec(**IMAGES), fitted, ImportOptions(Path("w.pth")), "why")
    assert model.found[1] == "14 classes, numbered: no --labels"
    assert model.found[3].startswith("labels of several classes: 0, 1, 2, 3, 4; ")
    assert (model.input, model.not_exported) == ({}, "why")


class Pooled(nn.Module):
    """No layer has as many rows as there are classes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def test_a_network_without_a_last_layer_is_reported_without_it():
    source = network.NetworkSource("net.py:Pooled", "", "Pooled", Pooled)
    fitted = classifier.fit(source, Checkpoint(Path("w.pth"), "", {}), ImageCodec(**IMAGES), {}, None)
    assert (fitted.head, fitted.arguments, fitted.labels) == ("", {}, ["0", "1", "2"])
    with pytest.raises(ModelImportError) as refused:
        classifier.fit(source, Checkpoint(Path("w.pth"), "", {}), ImageCodec(**IMAGES), {}, ["a"], "l.txt")
    assert str(refused.value) == "the weights have 3 classes, l.txt has 1 labels"


class Silent(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (Silent, "n fails on images of 3 x 4 x 4: ValueError"),
        (nn.Identity, "n returns a tensor of 2 x 3 x 4 x 4 for 2 images; image_classification needs logits, 2 x cl"),
        (nn.Flatten, ""),
        (lambda: nn.Unflatten(0, (1, 2)), "n returns a tensor of 1 x 2 x 3 x 4 x 4 for 2 images"),
    ],
)
def test_an_output_that_is_no_classifiers_is_described(builder, message):
    source = network.NetworkSource("n", "", "n", builder)
    if not message:
        assert classifier._output("n", source.build({}), ImageCodec(**IMAGES)).shape == (2, 48)
        return
    with pytest.raises(ModelImportError) as refused:
        classifier._output("n", source.build({}), ImageCodec(**IMAGES))
    assert str(refused.value).startswith(message)


def test_labels_that_cannot_be_read_are_refused(tmp_path):
    for name, content, reason in (
        ("a.json", b"{", "Expecting property name"),
        ("b.txt", b"\xff\xfe", "'utf-8' codec can't decode"),
        ("c.json", b'{"0": "cat"}', "a JSON file of labels holds a list of strings"),
        ("d.json", b'["cat", 3]', "a JSON file of labels holds a list of strings"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelImportError) as refused:
            classifier.read_labels(tmp_path / name)
        assert str(refused.value).startswith(f"--labels {tmp_path / name}: {reason}")
    with pytest.raises(ModelImportError) as refused:
        classifier.read_labels(tmp_path / "none.txt")
    assert str(refused.value) == f"--labels: no file {tmp_path / 'none.txt'}"


def tensors(*names: str, size: int = 1) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(size) for name in names}


@pytest.mark.parametrize(
    ("given", "expected", "message"),
    [
        (tensors(), tensors("a"), "1 of 1 key is missing: a"),
        (tensors("a"), tensors("a", "b"), "1 of 2 keys are missing: b"),
        (tensors("a", "c"), tensors("a"), "1 of 2 keys are unexpected: c"),
        (
            tensors("encoder.weights"),
            tensors("encoder.weight", "a"),
            "2 of 2 keys are missing: encoder.weight (nearest: encoder.weights), a; "
            "1 of 1 key is unexpected: encoder.weights (nearest: encoder.weight)",
        ),
        (tensors(), tensors("a", "b", "c"), "3 of 3 keys are missing: a, b, c"),
        (tensors(), tensors("a", "b", "c", "d"), "4 of 4 keys are missing: a, b, c, ..."),
        (tensors("abcde"), tensors("abcxy"), "1 of 1 key is missing: abcxy; 1 of 1 key is unexpected: abcde"),
        (
            tensors(*"abcd", size=2),
            tensors(*"abcd"),
            "4 of 4 keys are of another shape: a is 2, in the network 1, b is 2, in the network 1, "
            "c is 2, in the network 1, ...",
        ),
        ({"a": torch.tensor(0.0)}, {"a": torch.zeros(2, 3)}, "1 of 1 key is of another shape: a is a scalar, in the n"),
    ],
)
def test_keys_that_do_not_match_are_counted_and_named(given, expected, message):
    with pytest.raises(ModelImportError) as refused:
        matching.check("w.pth", "net.py:Net", given, expected)
    found = str(refused.value)
    assert found.startswith(f"w.pth does not fit net.py:Net: {message}")
    assert found.endswith(message) or message.endswith("in the n")


def test_a_missing_count_of_batches_is_no_problem():
    matching.check("w.pth", "n", tensors("a"), tensors("a", "bn.num_batches_tracked"))


def test_a_program_takes_labels_and_no_arguments(tmp_path):
    images = IMAGES | {"size": 16}
    file, labels = written(tmp_path / "net.pt", Net()), tmp_path / "labels.txt"
    labels.write_text("\n".join("abcde"))
    assert program.imported(ImportOptions(file, labels=labels, images=images)).labels == list("abcde")
    with pytest.raises(ModelImportError) as refused:
        program.imported(ImportOptions(file, images=images, arguments={"depth": 3}))
    assert str(refused.value) == "--argument depth: a program takes none; leave it out, or name the --network"
    with pytest.raises(ModelImportError) as refused:
        program.imported(ImportOptions(file))
    assert str(refused.value) == "--task image_classification needs --size, --mean and --std, as in training"


def test_a_users_file_is_copied_without_its_script(tmp_path):
    file = tmp_path / "net.py"
    code = "import os.path\nfrom torch import nn\n\n\nclass Net(nn.Identity):\n    home = os.path.sep\n"
    file.write_text(f"{code}\n\nif __name__ == '__main__':\n    Net()\n    print(3)\n\n\n")
    source = network.find(f"{file}:Net")
    assert source.code == f'"""Net of net.py, with imported weights."""\n\n{code}'
    assert (source.given, source.expression, source.builder.__name__) == ("net.py:Net", "Net", "Net")
    file.write_text(f"{code}\n\nif __name__ == '__main__': Net()\nWIDTH = 3\n")
    assert network.find(f"{file}:Net").code.endswith(f"{code}\n\nWIDTH = 3\n")
    file.write_text("from . import parts\n")
    with pytest.raises(ModelImportError, match=r"net.py:1 imports a file beside it: an archive contains this file alo"):
        network.find(f"{file}:Net")


def test_dataclasses_in_a_users_file_are_found_by_their_module(tmp_path):
    code = "from __future__ import annotations\nfrom dataclasses import KW_ONLY, dataclass\nfrom torch import nn\n\n\n"
    code += "@dataclass(eq=False)\nclass Net(nn.Module):\n    _: KW_ONLY\n    width: int = 3\n"
    (tmp_path / "net.py").write_text(code)
    assert network.find(f"{tmp_path / 'net.py'}:Net").accepts("width")
