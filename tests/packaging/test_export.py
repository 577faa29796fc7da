"""Every network that can be exported is, in every format, with the same outputs."""

import json

import pytest

import models
from marina.errors import PackagingError
from marina.packaging import export
from tests import tasks
from tests.support.worker import untrained

STAY = [name for name in models.names() if models.find(name).not_exported]
ONE_OF_EACH = {models.find(name).network: name for name in models.names() if name not in STAY}  # network -> a model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    made = {}

    def of(name: str):
        if name not in made:
            folder = untrained(name, tmp_path_factory.mktemp("export") / name)
            file, content_type, body = tasks.find(models.find(name).task).EXPORTED
            (folder / file).write_bytes(body)
            card = json.loads((folder / "card.json").read_text())
            card["example"] |= {"file": file, "content_type": content_type}
            (folder / "card.json").write_text(json.dumps(card))
            made[name] = folder
        return made[name]

    return of


@pytest.mark.parametrize("kind", export.FORMATS)
@pytest.mark.parametrize("name", ONE_OF_EACH.values())
def test_an_exported_network_agrees_with_the_eager_one(weights, name, kind):
    file, difference = export.export(weights(name), kind)
    assert file.stat().st_size > 1000
    assert difference <= export.TOLERANCE


@pytest.mark.parametrize("name", STAY)
def test_a_network_that_stays_in_pytorch_says_why(weights, name):
    with pytest.raises(PackagingError, match=models.find(name).not_exported):
        export.export(weights(name), "onnx")


def test_a_network_that_differs_is_refused(weights, monkeypatch):
    def broken(network, batch, file):
        return lambda x: network(x) + 1

    monkeypatch.setitem(export.FORMATS, "onnx", (".onnx", broken))
    with pytest.raises(PackagingError, match="differs from the eager network"):
        export.export(weights("housing_mlp"), "onnx")
