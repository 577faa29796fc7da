"""Archives that others made, by TorchServe's own recipes: served once somebody signs for them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from marina.packaging.sign import private_key
from marina.settings import ROOT
from tests.serve.support.bundle import bundle_in
from tests.support.samples import picture

pytestmark = pytest.mark.serve
CLASSES = ["cat", "dog", "ship", "frog", "bird"]  # five: the upstream handler always names the five best
MODEL_FILE = """from torchvision.models.resnet import BasicBlock, ResNet


class ImageClassifier(ResNet):
    def __init__(self):
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=5)
"""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory) -> Path:
    """The image_classifier example of TorchServe's documentation: its default handler, an eager network, no card."""
    folder = tmp_path_factory.mktemp("upstream")
    torch.manual_seed(0)
    torch.save(resnet18(num_classes=5).state_dict(), folder / "weights.pth")
    (folder / "model.py").write_text(MODEL_FILE)
    (folder / "index_to_name.json").write_text(json.dumps(dict(enumerate(CLASSES))))
    archiver = Path(sys.executable).with_name("torch-model-archiver")
    command = [archiver, "--model-name", "upstream", "--version", "1.0", "--model-file", folder / "model.py"]
    command += ["--serialized-file", folder / "weights.pth", "--handler", "image_classifier"]
    (folder / "model-config.yaml").write_text("acceptForms: true\n")  # curl -F works as well
    command += ["--config-file", folder / "model-config.yaml"]
    command += ["--extra-files", folder / "index_to_name.json", "--export-path", folder]
    subprocess.run(command, check=True, env={**os.environ, "TMPDIR": str(folder)})
    return folder / "upstream.mar"


def test_an_upstream_example_works_unchanged_once_it_is_signed(upstream, tmp_path_factory):
    root = tmp_path_factory.mktemp("f")
    store = root / "store"
    store.mkdir()
    (store / "upstream-1.0.mar").write_bytes(upstream.read_bytes())
    with bundle_in(root, store) as bundle:
        private_key(bundle.keys)  # there is a key, but it has not signed this
        refused = bundle.run("serve")
        assert refused.returncode != 0
        assert "upstream-1.0.mar" in refused.stdout + refused.stderr
        bundle.run("stop")
        sign = [sys.executable, "-m", "marina", "sign", upstream, "--store", store, "--keys", bundle.keys]
        subprocess.run(sign, check=True, cwd=ROOT)
        bundle.do("serve")
        assert bundle.http.get("/ready").status_code == 200
        for path in ("/predictions/upstream", "/predictions/upstream/1.0"):
            put = bundle.http.put(path, content=picture())  # curl -T
            form = bundle.http.post(path, files={"data": picture()})  # curl -F data=@
            assert put.status_code == form.status_code == 200, put.text
            assert put.json() == form.json()
            assert set(put.json()) == set(CLASSES)
            assert sum(put.json().values()) == pytest.approx(1, abs=1e-3)
        assert bundle.http.get("/ping").json() == {"status": "Healthy"}
        assert "/predictions/{model_name}" in bundle.http.options("/").text
