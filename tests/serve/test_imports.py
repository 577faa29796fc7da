"""Imports of four kinds, served together by TorchServe: HTTP responses are the libraries' own outputs."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.transforms import v2
from torchvision.transforms.functional import to_tensor

from marina.packaging.imports import archive_contents
from tests.cli.test_import import COMMANDS
from tests.packaging.imports.test_detector import random_detector
from tests.serve.support.bundle import Bundle, bundle_in
from tests.support.checkout import copied, python

pytestmark = pytest.mark.serve
timm = pytest.importorskip("timm", reason="timm is not installed: the extra timm")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: the extra huggingface")

from tests.packaging.imports.test_hugging_face import bert, expected  # noqa: E402 - needs transformers

HANDLER = """import torch
from pathlib import Path

state = {}


def handle(data, context):
    if not state:
        state.update(torch.load(Path(context.system_properties["model_dir"]) / "weights.pth", weights_only=True))
    return [float(state["factor"]) * row["body"]["x"] for row in data or []]
"""
LIMITS = {"score_thresh": 0.0, "detections_per_img": 10}
TEXT = "The film is 很好!"


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A checkout with weights, folder and archive as other programs wrote them, and an image."""
    folder = copied(tmp_path_factory.mktemp("imports"))
    torch.manual_seed(0)
    torch.save(nn.DataParallel(detector()).state_dict(), folder / "detector.pth")
    torch.save({"state_dict": classifier().state_dict()}, folder / "timm.pth")
    bert(folder / "bert")
    torch.save({"factor": torch.tensor(2.5)}, folder / "weights.pth")
    model = {"modelName": "doubling", "modelVersion": "7", "handler": "handler.py:handle"}
    with zipfile.ZipFile(folder / "their.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model | {"serializedFile": "weights.pth"}}))
        archive.writestr("handler.py", HANDLER)
        archive.write(folder / "weights.pth", "weights.pth")
    noise = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC).save(folder / "image.png")
    return folder


def detector() -> nn.Module:
    return random_detector(ssdlite320_mobilenet_v3_large, **LIMITS)


def classifier() -> nn.Module:
    torch.manual_seed(1)
    return timm.create_model("test_resnet", num_classes=3).eval()


@pytest.fixture(scope="module")
def bundle(sources):
    """The bundle, with all four models imported, packed and served."""
    library = "torchvision.models.detection:ssdlite320_mobilenet_v3_large"
    found = ["--task", "object_detection", "--network", library, "--weights", "detector.pth"]
    found += [word for name, value in LIMITS.items() for word in ("--argument", f"{name}={value}")]
    seen = ["--network", "timm:test_resnet", "--weights", "timm.pth", "--size", "32"]
    seen += ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]
    signed = ["--weights", "their.mar", "--sign", archive_contents.inspect(sources / "their.mar").sha256[:12]]
    commands = [
        ["import", "found", *found],
        ["import", "seen", *seen],
        ["import", "read", "--task", "text_classification", "--weights", "bert"],
        *(["pack", name] for name in ("found", "seen", "read")),
        *(["import", "theirs", *signed, "--version", version] for version in ("1.0", "2.0")),
    ]
    done = python(sources, "-c", COMMANDS, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    assert "refused" not in done.stdout, done.stdout
    with bundle_in(sources, sources / "archive" / "store") as started:
        started.do("serve")
        yield started


def send(bundle: Bundle, path: str, body: bytes, kind: str) -> dict:
    response = bundle.http.post(path, content=body, headers={"content-type": kind}, timeout=120)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_detector_responds_as_torchvision_does(bundle, sources):
    image = (sources / "image.png").read_bytes()
    objects = send(bundle, "/predictions/found?threshold=0", image, "image/png")["objects"]
    with torch.inference_mode():
        (output,) = detector()([to_tensor(Image.open(io.BytesIO(image)))])
    assert [int(one["label"]) for one in objects] == output["labels"].tolist()
    assert len(objects) == 10
    for member, name in (("boxes", "box"), ("scores", "score")):
        torch.testing.assert_close(torch.tensor([one[name] for one in objects]), output[member], atol=1e-5, rtol=0)
    assert send(bundle, "/explanations/found?threshold=0", image, "image/png")["heatmap"]


def test_a_network_of_timm_responds_as_timm_does(bundle, sources):
    image = (sources / "image.png").read_bytes()
    pixels = torch.from_numpy(np.array(Image.open(io.BytesIO(image)))).permute(2, 0, 1)
    square = v2.Resize(32)(v2.CenterCrop(64)(pixels)) / 255
    with torch.inference_mode():
        output = classifier()(v2.Normalize([0.5] * 3, [0.2] * 3)(square).unsqueeze(0))
    probabilities = output[0].softmax(dim=0).tolist()
    predictions = send(bundle, "/predictions/seen", image, "image/png")["predictions"]
    assert {int(one["label"]): one["probability"] for one in predictions} == pytest.approx(
        dict(enumerate(probabilities)), abs=1e-5
    )
    assert send(bundle, "/explanations/seen", image, "image/png")["heatmap"]


def test_a_text_classifier_responds_as_transformers_does(bundle, sources):
    predictions = send(bundle, "/predictions/read", TEXT.encode(), "text/plain")["predictions"]
    found = {one["label"]: one["probability"] for one in predictions}
    assert found == pytest.approx(expected(sources / "bert", TEXT), abs=1e-5)
    words = send(bundle, "/explanations/read", TEXT.encode(), "text/plain")["words"]
    assert [one["word"] for one in words][:4] == ["[CLS]", "the", "film", "is"]


def test_the_archive_of_another_team_responds_by_its_own_handler(bundle):
    for path in ("/predictions/theirs", "/predictions/theirs/1.0", "/predictions/theirs/2.0"):
        response = bundle.http.post(path, json={"x": 3})
        assert (response.status_code, float(response.text)) == (200, 7.5)
    bundle.do("set-default", "theirs", "1.0")
    assert bundle.http.post("/predictions/theirs", json={"x": 1}).status_code == 200
