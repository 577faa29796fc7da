"""The data that a card names, for packing in int8: the training split calibrates, the test split measures."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from marina.errors import PackagingError
from marina.handler_lookup import batch_of, handler_class
from marina.training import quantization_data
from marina.training.data import find
from marina.training.quantization_data import TrainingData
from marina.training.run import data_facts
from tests.support.own_images import image_folders
from tests.support.worker import untrained

PNG = "image/png"


@pytest.fixture
def weights(tmp_path) -> Path:
    """Artifacts of a lenet for images of cats and dogs."""
    found = find(str(image_folders(tmp_path / "mine", count=20)))
    folder = untrained("lenet", tmp_path / "lenet")
    card = json.loads((folder / "card.json").read_text())
    labels = json.loads((folder / "labels.json").read_text())
    (folder / "labels.json").write_text(json.dumps(["cat", "dog", *labels[2:]]))
    (folder / "card.json").write_text(json.dumps({**card, "data": data_facts(found, found.load(card["task"]))}))
    return folder


def test_training_examples_calibrate_and_test_examples_measure(weights, monkeypatch):
    data = TrainingData(weights)
    handler = handler_class("image_classification")()
    handler.load(weights, torch.device("cpu"))

    def decoded(file: bytes) -> bytes:
        return batch_of(handler, [(file, PNG)])[0].numpy().tobytes()

    batches = list(data.batches(handler))
    assert sum(map(len, batches)) == len(data.dataset.train)
    assert all(torch.equal(*pair) for pair in zip(batches, TrainingData(weights).batches(handler), strict=True))
    assert {one.numpy().tobytes() for batch in batches for one in batch} == set(map(decoded, data.dataset.train.inputs))
    monkeypatch.setattr(quantization_data, "EXAMPLES", 5)
    assert [len(batch) for batch in data.batches(handler)] == [5]
    with torch.inference_mode():
        classes = [int(handler.network(batch_of(handler, [(f, PNG)])).argmax()) for f in data.dataset.test.inputs]
    right = [found == target for found, target in zip(classes, data.dataset.test.targets, strict=True)]
    assert data.metrics(weights)["accuracy"] == pytest.approx(sum(right) / len(right))


@pytest.mark.parametrize("change", ["imported", "moved", "changed", "no training split"])
def test_data_that_are_not_there_are_one_error(weights, change):
    file, mine = weights / "card.json", weights.parent / "mine"
    card = json.loads(file.read_text())
    if change == "imported":
        del card["data"]
    elif change == "moved":
        shutil.move(mine, weights.parent / "elsewhere")
    elif change == "changed":
        (mine / "cat" / "0.png").unlink()
    else:
        card["data"]["sizes"]["train"] = 0
    file.write_text(json.dumps(card))
    reason = {
        "imported": r'^lenet 1\.0: precision="int8" is calibrated and measured on data, and it was imported without',
        "moved": "mine is not on this machine",
        "changed": "the files of mine have changed",
        "no training split": "there is no training split",
    }[change]
    with pytest.raises(PackagingError, match=reason):
        next(TrainingData(weights).batches(None))
