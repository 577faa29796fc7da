"""The file models/NAME.py of an import, as text, and the rules by which one that exists is kept."""

import sys
from pathlib import Path

import pytest
from torch import nn

import models
from marina.errors import ModelImportError
from marina.packaging.imports import imported_model, model_file, network

IMAGES = {"size": 32, "mean": (0.5, 0.5, 0.5)}
LONG = IMAGES | {"resize": 36, "channels": 3, "std": (0.26862954, 0.26130258, 0.27577711), "background": "white"}
RESNET = network.find("torchvision.models:resnet18")
RESNET_FILE = '''"""resnet18 of torchvision.models, with imported weights."""

from torchvision.models import resnet18

from models.card import Card, Serving

CARD = Card(
    name="mine",
    task="image_classification",
    network=resnet18,
    input={"size": 32, "mean": (0.5, 0.5, 0.5)},
    serving=Serving(batch_size=8),
    source="torchvision.models:resnet18, imported",
)
'''
OWN = '''"""A network of the user's own."""

from torch import nn

WIDTH = 3


class Net(nn.Linear):
    """One layer."""

    def __init__(self):
        """Of WIDTH."""
        super().__init__(WIDTH, 2)
'''


def text(source: network.NetworkSource, images=IMAGES, **more) -> str:
    given = {"arguments": {}, "labels": [], "codec": None, "example": (b"", "image/png"), "origin": {}, "found": []}
    model = imported_model.ImportedModel(source=source, network=nn.Identity(), input=images, **given | more)
    return model_file.text("mine", "image_classification", model)


def own(code: str) -> network.NetworkSource:
    return network.NetworkSource("net.py:Net", code, "Net", nn.Identity)


def test_a_card_follows_the_import_of_the_network():
    assert text(RESNET) == RESNET_FILE


def test_options_of_serving_and_the_reason_against_exports_are_in_the_card():
    content = text(RESNET, serving={"batch_size": 1, "response_timeout": 120}, not_exported="it scales images")
    assert content.splitlines()[11:] == [
        "    serving=Serving(batch_size=1, response_timeout=120),",
        '    source="torchvision.models:resnet18, imported",',
        '    not_exported="it scales images",',
        ")",
    ]


def test_arguments_longer_than_a_line_have_one_each():
    shown = text(RESNET, LONG)
    first = shown.index("    input=")
    assert shown[first : shown.index("    serving=")].splitlines() == [
        "    input={",
        '        "size": 32,',
        '        "mean": (0.5, 0.5, 0.5),',
        '        "resize": 36,',
        '        "channels": 3,',
        '        "std": (0.26862954, 0.26130258, 0.27577711),',
        "        \"background\": 'white',",
        "    },",
    ]
    spare = model_file.WIDTH - len('    input={"a": ""},')
    assert f"\n    input={{\"a\": '{'x' * spare}'}},\n" in text(RESNET, {"a": "x" * spare}), "as long as a line may be"
    assert "\n    input={\n" in text(RESNET, {"a": "x" * (spare + 1)})


def test_a_users_code_stays_whole_between_the_imports_and_the_card():
    found = text(own(OWN))
    before, _, after = OWN.partition("\n\nWIDTH")
    assert found.startswith(f"{before}\n\nfrom models.card import Card, Serving\n\n\nWIDTH{after}\n\nCARD = Card(\n")


def test_the_import_of_ours_stands_beside_the_cards():
    ours = "from models.parts.library_detector import LibraryDetector"
    source = network.NetworkSource("net.py:Net", '"""A detector."""\n', "LibraryDetector", nn.Identity, ours)
    assert text(source).startswith(f'"""A detector."""\n\n{model_file.CARD_IMPORT}\n{ours}\n\nCARD = Card(\n')


@pytest.mark.parametrize("line", ["Card = 3", "def Serving(): ...", "class CARD: ...", "a = CARD = 1"])
def test_names_that_the_card_uses_are_refused(line):
    name = next(each for each in ("Card", "Serving", "CARD") if each in line)
    with pytest.raises(ModelImportError) as refused:
        text(own(f"{OWN}\n{line}\n"))
    assert str(refused.value) == f"net.py:Net: {name} is defined there, and models/ uses that name"


@pytest.mark.parametrize("version", ["1.0", "2", "2026.11.30", "v1_a"])
def test_versions_are_words_with_dots(version, tmp_path):
    model_file.check_name("my_resnet", version, tmp_path)


@pytest.mark.parametrize("version", ["", "1.", ".1", "1..0", "1/0", "../1", "1.0\n", "1 0", "\u0661"])
def test_other_versions_are_refused(version, tmp_path):
    with pytest.raises(ModelImportError) as refused:
        model_file.check_name("my_resnet", version, tmp_path)
    assert str(refused.value) == f"{version!r} can't be a version: it is numbers or words with dots, such as 1.0"


def test_names_are_refused_with_the_reason(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "taken.py").touch()
    model_file.check_name("taken", "1.0", tmp_path)  # whether it may be written is decided later, by its content
    for name in ("card", "parts"):
        with pytest.raises(ModelImportError) as refused:
            model_file.check_name(name, "1.0", tmp_path)
        assert str(refused.value) == f"models/{name} exists, and is no model: choose another name"
    with pytest.raises(ModelImportError) as refused:
        model_file.check_name("my-net", "1.0", tmp_path)
    assert str(refused.value) == "'my-net' can't be a model's name: it is a Python name, such as my_resnet"


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("One layer.", "Two layers.", True),
        ("Of WIDTH.", "Of a width.", True),
        ("imported", "from our own training", True),
        ("batch_size=8", "batch_size=64", True),
        ("WIDTH = 3", "WIDTH = 4", False),
        ('"size": 32', '"size": 64', False),
        ("network=Net", "network=nn.Identity", False),
        ('name="mine"', 'name="other"', False),
        ('task="image_classification"', 'task="image_tagging"', False),
        ("    serving=", "    recipe=Recipe(epochs=3),\n    serving=", False),
    ],
)
def test_code_that_weights_depend_on_decides_whether_a_file_is_written(tmp_path, before, after, same):
    file, content = tmp_path / "mine.py", text(own(OWN))
    changed = content.replace(before, after, 1) if before != "imported" else content.replace(", imported", after)
    assert changed != content
    file.write_text(changed, encoding="utf-8")
    known = {model_file.digest(changed)}
    assert model_file.to_write(file, content, known, replace=True) is not same


def test_a_file_that_stays_is_explained(tmp_path):
    file, content = tmp_path / "mine.py", text(own(OWN))
    file.write_text("CARD = None\n", encoding="utf-8")
    with pytest.raises(ModelImportError) as edited:
        model_file.to_write(file, content, {model_file.digest("other")}, replace=True)
    title = "models/mine.py exists, "
    assert str(edited.value) == f"{title}and `marina import` did not write it as it is: choose another name"
    with pytest.raises(ModelImportError) as written:
        model_file.to_write(file, content, {model_file.digest("CARD = None\n")}, replace=False)
    advice = "choose another name, or pass --replace (REPLACE=1)"
    assert str(written.value) == f"{title}with another network or input: {advice}"


def test_a_failed_import_leaves_the_file_as_it_was(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("new", encoding="utf-8")
    model_file.restore(file, "before \u5148\n")
    assert file.read_bytes() == "before \u5148\n".encode()
    for _ in range(2):
        model_file.restore(file, None)
        assert not file.exists()


def test_a_card_that_was_written_again_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    monkeypatch.setattr(models, "names", lambda: ["rewritten"])
    file = tmp_path / "rewritten.py"
    found = []
    try:
        for size in (32, 64):
            file.write_text(RESNET_FILE.replace("32", str(size)).replace("mine", "rewritten"), encoding="utf-8")
            forget(file)
            found.append(model_file.reloaded("rewritten").input["size"])
    finally:
        sys.modules.pop("models.rewritten", None)
    assert found == [32, 64]


def forget(file: Path) -> None:
    """Remove the bytecode of a file: one that was written twice in a second has the time of the first."""
    for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
        compiled.unlink()
