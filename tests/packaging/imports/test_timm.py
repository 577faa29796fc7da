"""A network of timm: the response is the library's own output."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from handlers.codecs.image import ImageCodec
from marina.errors import ModelImportError
from marina.hosting.host import HostedRequest
from marina.packaging.imports import classifier
from marina.packaging.imports.imported_model import ImportOptions
from tests.packaging.imports.test_imports import IMAGES, one_line

timm = pytest.importorskip("timm", reason="timm is not installed: the extra timm")
NAME = "test_resnet"  # of timm's own tests: 0.5 million weights


def test_the_response_is_the_librarys_own_output(tmp_path, opened):
    torch.manual_seed(0)
    network = timm.create_model(NAME, num_classes=3).eval()
    torch.save(nn.DataParallel(network).state_dict(), tmp_path / "w.pth")
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird")
    model = classifier.imported(ImportOptions(tmp_path / "w.pth", f"timm:{NAME}", tmp_path / "labels.txt", IMAGES))
    assert model.arguments == {"num_classes": 3}
    assert "prefix 'module.' removed" in model.found[0]
    host = opened("image_classification", model)
    pixels, file = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    requests = [HostedRequest.of_body(file.getvalue(), "image/png", None, explain) for explain in (False, True)]
    prediction, explanation = host.batch(requests)
    codec = ImageCodec(**IMAGES)
    images = v2.Resize(codec.size)(torch.from_numpy(pixels).permute(2, 0, 1))
    with torch.inference_mode():
        expected = network(v2.Normalize(codec.mean, codec.std)(images / 255).unsqueeze(0))[0].softmax(dim=0).tolist()
    found = {each["label"]: each["probability"] for each in prediction.json["predictions"]}
    assert found == pytest.approx(dict(zip(["cat", "dog", "bird"], expected, strict=True)), abs=1e-5)
    assert explanation.json["heatmap"]


def test_an_unknown_network_is_refused_in_one_line(tmp_path):
    torch.save({"w": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(ModelImportError, match=one_line("timm:no_such_net.* fails: .*no_such_net")):
        classifier.imported(ImportOptions(tmp_path / "w.pth", "timm:no_such_net", images=IMAGES))
