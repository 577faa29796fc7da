"""`marina import` in a user's checkout: from weights of elsewhere to an archive that responds as their own program."""

import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18
from torchvision.transforms import v2

from marina.cli import import_model
from marina.errors import ModelImportError
from marina.settings import ROOT
from tests.serve.support.guide import blocks
from tests.support.checkout import copied, marina, python
from tests.support.own_images import image_folders

MEAN, STD = "0.485,0.456,0.406", "0.229,0.224,0.225"
# Responses of the archive: all classes, and an explanation.
RESPOND = """
import json, sys
from pathlib import Path
from marina.hosting.host import Host, HostedRequest
body = Path("image.png").read_bytes()
with Host.of_archive(Path("archive/store/mine-1.0.mar"), Path("var/keys/signing.pub")) as host:
    requests = [HostedRequest.of_body(body, "image/png", {"top": "1000"}, explain) for explain in (False, True)]
    (prediction,), (explanation,) = (host.batch([request]) for request in requests)
print(json.dumps([prediction.json, explanation.json]))
"""
# Several commands in one process: an import of torch and Lightning takes seconds.
COMMANDS = """
import json, sys
from marina.cli.main import app
from marina.errors import MarinaError
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments, standalone_mode=False)
    except MarinaError as exc:
        print("refused:", exc)
"""
NET = '''"""A network of the user's own."""

import torch
from torch import nn


class Net(nn.Module):
    """Mean colours, and a linear layer."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.fc = nn.Linear(3, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.mean(dim=(2, 3)))


if __name__ == "__main__":
    import argparse

    print(Net(), argparse)
'''


@pytest.fixture
def checkout(tmp_path) -> Path:
    return copied(tmp_path)


def guide_commands() -> list[list[str]]:
    """Return the arguments of `marina` in the first block of the guide, for small images."""
    text = blocks("docs/guides/import.md", "sh")[0].replace("\\\n", " ")
    found = []
    for line in text.replace("SIZE=224", "SIZE=64").replace("--resize 256", "--resize 72").splitlines():
        command = ["make", "-n", *shlex.split(line)[1:]]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        found += [shlex.split(each.partition(" -m marina ")[2]) for each in shown.splitlines() if " -m marina " in each]
    return found


def test_the_archive_of_imported_weights_responds_as_torchvision_does(checkout):
    torch.manual_seed(0)
    network = resnet18(num_classes=1000).eval()
    torch.save({"epoch": 3, "state_dict": nn.DataParallel(network).state_dict()}, checkout / "weights.pth")
    (checkout / "labels.txt").write_text("\n".join(f"class {number}" for number in range(1000)) + "\n")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(checkout / "image.png")
    importing, packing = guide_commands()[:2]
    imported = marina(checkout, *importing)
    assert imported.returncode == 0, imported.stderr
    assert "under 'state_dict', prefix 'module.' removed" in imported.stdout
    assert "1000 classes (fc.weight), labels from labels.txt" in imported.stdout
    packed = marina(checkout, *packing)
    assert packed.returncode == 0, packed.stderr
    assert "imported without --data: no metrics" in packed.stdout
    responded = python(checkout, "-c", RESPOND)
    assert responded.returncode == 0, responded.stderr
    prediction, explanation = json.loads(responded.stdout.splitlines()[-1])
    moments = (tuple(map(float, words.split(","))) for words in (MEAN, STD))
    steps = (v2.Resize(72), v2.CenterCrop(64), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*moments))
    transform = v2.Compose(steps)
    with torch.inference_mode():
        expected = network(transform(torch.from_numpy(pixels).permute(2, 0, 1)).unsqueeze(0))[0].softmax(dim=0)
    found = {each["label"]: each["probability"] for each in prediction["predictions"]}
    assert len(found) == 1000
    assert max(abs(found[f"class {number}"] - float(expected[number])) for number in range(1000)) < 1e-5
    assert explanation["target"]["label"] == f"class {int(expected.argmax())}"
    assert explanation["heatmap"]


def test_a_users_own_file_is_measured_and_never_overwritten(checkout):
    image_folders(checkout / "images")
    (checkout / "net.py").write_text(NET)
    weights = {"fc.weight": torch.eye(2, 3), "fc.bias": torch.zeros(2)}
    torch.save(weights, checkout / "net.pth")
    (checkout / "labels.json").write_text('["cat", "dog"]')
    own = ["--network", "net.py:Net", "--weights", "net.pth", "--labels", "labels.json"]
    own += ["--size", "8", "--mean", "0,0,0", "--std", "1,1,1"]
    other = [*own[:6], "--size", "16", *own[8:]]
    commands = [
        ["import", "mine", *own, "--data", "images"],
        ["import", "mine", *own],
        ["import", "mine", *own, "--replace"],
        ["import", "mine", *own, "--version", "2.0"],
        ["import", "mine", *other, "--version", "3.0"],
        ["import", "lenet", *own],
        ["train", "mine"],
        ["archive", "mine", "--version", "4.0"],
        ["import", "yours", *own, "--labels", "net.py"],
    ]
    done = python(checkout, "-c", COMMANDS, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    assert "accuracy " in done.stdout
    assert " on images, " in done.stdout
    refused = [line.removeprefix("refused: ") for line in done.stdout.splitlines() if line.startswith("refused: ")]
    assert [line.split(":")[0] for line in refused] == [
        "mine 1.0 exists",
        "models/mine.py exists, with another network or input",
        "models/lenet.py exists, and `marina import` did not write it as it is",
        "mine can't be trained here",
        "mine can't be trained here",
        "the weights have 2 classes (fc.weight is 2 x 3), net.py has 13 labels",
    ]
    assert done.stdout.count("kept models/mine.py") == 2
    assert not (checkout / "models" / "yours.py").exists()
    cards = [json.loads((checkout / f"artifacts/mine/{version}/card.json").read_text()) for version in ("1.0", "2.0")]
    assert [card["metrics"] for card in cards] == [{}, {}], "version 1.0 was replaced, without data"
    assert cards[1]["imported"]["file"] == "net.pth"
    assert cards[1]["example"]["reply"]["predictions"][0]["label"] in ("cat", "dog")
    text = (checkout / "models" / "mine.py").read_text()
    assert "__main__" not in text
    for command in (["format", "--check"], ["check"]):
        formatted = python(checkout, "-m", "ruff", *command, "models/mine.py")
        assert formatted.returncode == 0, formatted.stdout


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((64, 32, 3, MEAN, STD), "--resize 32 is less than --size 64"),
        ((64, None, 1, MEAN, STD), r"--mean 0\.485,0\.456,0\.406: 3 numbers for 1 channels"),
        ((64, None, 3, "a,b,c", STD), "--mean a,b,c: it takes numbers with commas"),
        ((64, None, 3, MEAN, "1,0,1"), "--std 1,0,1: it divides"),
        ((64, None, 2, MEAN, STD), "--channels 2"),
        ((64, None, 3, MEAN, None), "give all three"),
    ],
)
def test_preprocessing_that_no_image_has_is_refused(values, message):
    with pytest.raises(ModelImportError, match=message):
        import_model.codec_arguments(*values)


def test_other_tasks_are_refused_with_those_that_are_supported():
    with pytest.raises(ModelImportError, match=r"translation can't be imported yet; supported: image_class"):
        import_model.import_("mine", Path("w.pth"), task="translation")


def test_arguments_are_literals_or_text():
    assert import_model.arguments_of(["a=1", "b=relu", "c=(1, 2)"]) == {"a": 1, "b": "relu", "c": (1, 2)}
    with pytest.raises(ModelImportError, match="--argument a: the form is name=value"):
        import_model.arguments_of(["a"])
