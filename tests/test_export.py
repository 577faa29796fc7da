"""Every network that can leaves in every format, and says the same there."""

import json

import pytest

import models
from archive import export
from tests import tasks
from tests.worker import untrained

# Networks that stay in PyTorch, and why.
EAGER_ONLY = {
    "faster_rcnn": "how many proposals are left of thousands depends on what is in the image",
    "invoice": "how many lines there are to read depends on what is on the page",
}


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
@pytest.mark.parametrize("name", [name for name in models.names() if name not in EAGER_ONLY])
def test_an_exported_network_agrees_with_the_eager_one(weights, name, kind):
    file, difference = export.export(weights(name), kind)
    assert file.stat().st_size > 1000
    assert difference <= export.TOLERANCE


@pytest.mark.parametrize("name", EAGER_ONLY)
def test_a_network_that_stays_in_pytorch_says_why(name):
    assert EAGER_ONLY[name] in " ".join(str(models.find(name).network.__doc__).split())


def test_a_network_that_differs_is_refused(weights, monkeypatch):
    def broken(network, batch, file):
        return lambda x: network(x) + 1

    monkeypatch.setitem(export.FORMATS, "onnx", (".onnx", broken))
    with pytest.raises(ValueError, match="differs from the eager network"):
        export.export(weights("housing_mlp"), "onnx")
