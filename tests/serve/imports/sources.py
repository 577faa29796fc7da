"""Ten files of elsewhere, written as other programs do, and the arguments of `marina import` for each."""

import json
import zipfile
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.transforms import v2

from marina.packaging.imports import archive_contents
from tests.packaging.imports.test_detector import random_detector
from tests.packaging.imports.test_hugging_face import bert
from tests.packaging.imports.test_programs import Net, written
from tests.support.exported_files import exported
from tests.support.pipelines import people

LIMITS = {"score_thresh": 0.0, "detections_per_img": 10}
NORMALIZED = ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]
PROGRAMS = {"traced": "net.pt", "graph": "net.onnx", "exported": "net.pt2"}
OWN = '''"""A network of the user's own."""

import torch
from torch import nn


class Flat(nn.Module):
    """A linear layer over all pixels."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * 16 * 16, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.flatten(1))
'''
HANDLER = """import torch
from pathlib import Path

state = {}


def handle(data, context):
    if not state:
        state.update(torch.load(Path(context.system_properties["model_dir"]) / "weights.pth", weights_only=True))
    if data and context.get_request_header(0, "explain") == "True":
        return [{"slope": float(state["factor"])} for row in data]
    return [float(state["factor"]) * row["body"]["x"] for row in data or []]
"""


def thousand() -> nn.Module:
    torch.manual_seed(2)
    return resnet18(num_classes=1000).eval()


def flat() -> nn.Module:
    """The network of OWN."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4)).eval()


def of_timm() -> nn.Module:
    torch.manual_seed(1)
    return timm.create_model("test_resnet", num_classes=3).eval()


def detector() -> nn.Module:
    return random_detector(ssdlite320_mobilenet_v3_large, **LIMITS)


def preprocessed(image: Path, size: int) -> Tensor:
    """Return the image normalized as in NORMALIZED, (1, 3, size, size): the shorter side scaled, the centre cut out."""
    pixels = torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1)
    square = v2.Resize(size)(v2.CenterCrop(min(pixels.shape[1:]))(pixels)) / 255
    found: Tensor = v2.Normalize([0.5] * 3, [0.2] * 3)(square).unsqueeze(0)
    return found


def write(folder: Path) -> None:
    """Write all weights, programs, folders and archives, and an image."""
    save_file(thousand().state_dict(), folder / "thousand.safetensors")
    (folder / "own.py").write_text(OWN)
    state = {name.replace("1.", "fc."): value for name, value in flat().state_dict().items()}
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, folder / "parallel.pth")
    torch.save({"state_dict": of_timm().state_dict()}, folder / "timm.pth")
    torch.save(detector().state_dict(), folder / "detector.pth")
    for file in list(PROGRAMS.values())[:2]:
        written(folder / file, Net())
    exported(folder / "net.pt2", Net().eval(), torch.zeros(2, 3, 16, 16))
    bert(folder / "bert")
    people(folder / "people.onnx")
    torch.save({"factor": torch.tensor(2.5)}, folder / "weights.pth")
    model = {"modelName": "doubling", "modelVersion": "7", "handler": "handler.py:handle"}
    with zipfile.ZipFile(folder / "their.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model | {"serializedFile": "weights.pth"}}))
        archive.writestr("handler.py", HANDLER)
        archive.write(folder / "weights.pth", "weights.pth")
    noise = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC).save(folder / "image.png")


def commands(folder: Path) -> list[list[str]]:
    """Return the arguments of `marina` that import and pack them all; the foreign archive in two versions."""
    network = "torchvision.models.detection:ssdlite320_mobilenet_v3_large"
    limits = [word for name, value in LIMITS.items() for word in ("--argument", f"{name}={value}")]
    imports = {
        "thousand": ["--network", "torchvision.models:resnet18", "--weights", "thousand.safetensors", "--size", "32"],
        "parallel": ["--network", "own.py:Flat", "--weights", "parallel.pth", "--size", "16"],
        "seen": ["--network", "timm:test_resnet", "--weights", "timm.pth", "--size", "32"],
        **{name: ["--weights", file, "--size", "16"] for name, file in PROGRAMS.items()},
    }
    found = [["import", name, *words, *NORMALIZED] for name, words in imports.items()]
    found += [
        ["import", "found", "--task", "object_detection", "--network", network, "--weights", "detector.pth", *limits],
        ["import", "read", "--task", "text_classification", "--weights", "bert"],
        ["import", "people", "--task", "tabular_prediction", "--weights", "people.onnx"],
    ]
    signed = ["--weights", "their.mar", "--sign", archive_contents.inspect(folder / "their.mar").sha256[:12]]
    theirs = [["import", "theirs", *signed, "--version", version] for version in ("1.0", "2.0")]
    return [*found, ["archive", *(each[1] for each in found)], *theirs]
