"""Imports of ten kinds, served together by TorchServe: HTTP responses are the libraries' own outputs."""

import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

from tests.cli.test_import import COMMANDS
from tests.serve.support.bundle import Bundle, bundle_in
from tests.support.checkout import copied, python
from tests.support.pipelines import people

pytestmark = pytest.mark.serve
pytest.importorskip("timm", reason="timm is not installed: the extra timm")
pytest.importorskip("transformers", reason="transformers is not installed: the extra huggingface")

from tests.packaging.imports.test_hugging_face import expected  # noqa: E402 - needs transformers
from tests.packaging.imports.test_programs import Net  # noqa: E402
from tests.serve.imports import sources  # noqa: E402 - needs timm

TEXT = "The film is 很好!"
NETWORKS = {  # of an image of this size
    "thousand": (sources.thousand, 32),
    "parallel": (sources.flat, 16),
    "seen": (sources.of_timm, 32),
    **dict.fromkeys(sources.PROGRAMS, (lambda: Net().eval(), 16)),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    folder = copied(tmp_path_factory.mktemp("imports"))
    sources.write(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(checkout):
    """The bundle, with all models imported, packed and served."""
    done = python(checkout, "-c", COMMANDS, json.dumps(sources.commands(checkout)))
    assert done.returncode == 0, done.stderr
    assert "refused" not in done.stdout, done.stdout
    with bundle_in(checkout, checkout / "archive" / "store") as started:
        started.do("serve")
        yield started


def send(bundle: Bundle, path: str, body: bytes, kind: str) -> dict:
    response = bundle.http.post(path, content=body, headers={"content-type": kind}, timeout=120)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_classifier_responds_as_its_library_does(bundle, checkout, name):
    build, size = NETWORKS[name]
    with torch.inference_mode():
        probabilities = build()(sources.preprocessed(checkout / "image.png", size))[0].softmax(dim=0).tolist()
    image = (checkout / "image.png").read_bytes()
    predictions = send(bundle, f"/predictions/{name}?top=1000", image, "image/png")["predictions"]
    found = {int(one["label"]): one["probability"] for one in predictions}
    assert found == pytest.approx(dict(enumerate(probabilities)), abs=1e-5)
    explanation = send(bundle, f"/explanations/{name}", image, "image/png")
    assert explanation["heatmap"]
    assert int(explanation["target"]["label"]) == max(found, key=found.__getitem__)


def test_a_detector_responds_as_torchvision_does(bundle, checkout):
    image = (checkout / "image.png").read_bytes()
    objects = send(bundle, "/predictions/found?threshold=0", image, "image/png")["objects"]
    with torch.inference_mode():
        (output,) = sources.detector()([to_tensor(Image.open(io.BytesIO(image)))])
    assert [int(one["label"]) for one in objects] == output["labels"].tolist()
    assert len(objects) == 10
    sides = torch.tensor([96, 64, 96, 64])  # boxes are in pixels
    boxes, scores = (torch.tensor([one[name] for one in objects]) for name in ("box", "score"))
    torch.testing.assert_close(boxes / sides, output["boxes"] / sides, atol=1e-5, rtol=0)
    torch.testing.assert_close(scores, output["scores"], atol=1e-5, rtol=0)
    assert send(bundle, "/explanations/found?threshold=0", image, "image/png")["heatmap"]


def test_a_text_classifier_responds_as_transformers_does(bundle, checkout):
    predictions = send(bundle, "/predictions/read", TEXT.encode(), "text/plain")["predictions"]
    found = {one["label"]: one["probability"] for one in predictions}
    assert found == pytest.approx(expected(checkout / "bert", TEXT), abs=1e-5)
    words = send(bundle, "/explanations/read", TEXT.encode(), "text/plain")["words"]
    assert [one["word"] for one in words][:4] == ["[CLS]", "the", "film", "is"]


def test_a_pipeline_responds_as_scikit_learn_does(bundle, tmp_path):
    pipeline, rows = people(tmp_path / "people.onnx")
    for row, probabilities in zip(rows.to_dict("records"), pipeline.predict_proba(rows), strict=True):
        body = json.dumps({"features": row}).encode()
        predictions = send(bundle, "/predictions/people", body, "application/json")["predictions"]
        found = {one["label"]: one["probability"] for one in predictions}
        assert found == pytest.approx({"0": probabilities[0], "1": probabilities[1]}, abs=1e-5)
    columns = send(bundle, "/explanations/people", body, "application/json")["columns"]
    assert {one["column"] for one in columns if one["weight"]} == {"age", "city"}


def test_the_archive_of_another_team_responds_by_its_own_handler(bundle):
    for path in ("/predictions/theirs", "/predictions/theirs/1.0", "/predictions/theirs/2.0"):
        response = bundle.http.post(path, json={"x": 3})
        assert (response.status_code, float(response.text)) == (200, 7.5)
    assert bundle.http.post("/explanations/theirs", json={"x": 3}).json() == {"slope": 2.5}
    bundle.do("set-default", "theirs", "1.0")
    assert bundle.http.post("/predictions/theirs", json={"x": 1}).status_code == 200
