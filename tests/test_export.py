"""Every network that can leaves in every format, and says the same there."""

import json

import pytest
import torch

import models
from archive import export
from handlers.codecs.image import png
from tests.worker import untrained

EXAMPLES = {
    "image_classification": ("example.png", "image/png", png(torch.arange(3072, dtype=torch.uint8).view(3, 32, 32))),
    "text_classification": ("example.json", "application/json", '{"text": "房间很好，服务不错"}'.encode()),
    "text_recognition": ("example.png", "image/png", png(torch.arange(3072, dtype=torch.uint8).view(1, 32, 96))),
    "text_detection": ("example.png", "image/png", png(torch.arange(3072, dtype=torch.uint8).view(1, 32, 96))),
    "tabular_regression": ("example.json", "application/json", b'{"features": [1,2,3,4,5,6,7,8,9,10,11,12,13]}'),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    made = {}

    def of(name: str):
        if name not in made:
            folder = untrained(name, tmp_path_factory.mktemp("export") / name)
            file, content_type, body = EXAMPLES[models.find(name).task]
            (folder / file).write_bytes(body)
            card = json.loads((folder / "card.json").read_text())
            card["example"] |= {"file": file, "content_type": content_type}
            (folder / "card.json").write_text(json.dumps(card))
            made[name] = folder
        return made[name]

    return of


@pytest.mark.parametrize("kind", export.FORMATS)
@pytest.mark.parametrize("name", models.names())
def test_an_exported_network_agrees_with_the_eager_one(weights, name, kind):
    file, difference = export.export(weights(name), kind)
    assert file.stat().st_size > 1000
    assert difference <= export.TOLERANCE


def test_a_network_that_differs_is_refused(weights, monkeypatch):
    def broken(network, batch, file):
        return lambda x: network(x) + 1

    monkeypatch.setitem(export.FORMATS, "onnx", (".onnx", broken))
    with pytest.raises(ValueError, match="differs from the eager network"):
        export.export(weights("housing_mlp"), "onnx")
