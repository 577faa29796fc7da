"""A summary in one line: format, classes, sizes, the origin of each split, unused files."""

import json
from dataclasses import replace

import pytest

from marina.training import data, run
from marina.training.data.dataset import ALL_GIVEN, GIVEN, HELD_OUT, UNDIVIDED, Split, divided, with_validation
from tests.support import coco_samples
from tests.support.own_images import image_folders
from tests.support.voc_samples import devkit


def test_the_origin_of_each_split_is_recorded():
    train, test = Split(list(range(20)), [0, 1] * 10), Split([1], [0])
    assert with_validation(train, test).splits == {**ALL_GIVEN, "validation": HELD_OUT}
    assert divided(train, 0.2).splits == UNDIVIDED
    assert data.Dataset(train, test, test).splits == {"train": GIVEN, "validation": GIVEN, "test": GIVEN}


def test_a_summary_is_one_line(elsewhere):
    image_folders(elsewhere / "mine", ("cat", "dog"), count=15)
    found = data.find("./mine")
    line = found.summary(found.load())
    assert line == (
        "mine: image_folder, 2 classes (cat, dog), 21 + 3 + 6 examples (train, validation, test): "
        "test and validation held out"
    )
    given = replace(found.load(), splits=ALL_GIVEN, unused={"other files": 2}, labels=tuple("abcdefghijkl"))
    line = found.summary(given)
    assert "12 classes (a, b, c, d, e, f, g, h, i, j, ...), " in line
    assert line.endswith(": test and validation as given; 2 files unused (2 other files)")


def test_an_inner_folder_is_named(elsewhere):
    image_folders(elsewhere / "mine" / "unpacked")
    found = data.find("./mine")
    assert found.summary(found.load()).startswith("mine: image_folder in unpacked/, 2 classes")


@pytest.mark.parametrize(("write", "labels"), [(devkit, 2), (coco_samples.folder, 3)], ids=["VOC", "COCO"])
def test_val_for_testing_is_recorded(elsewhere, write, labels):
    root = write(elsewhere / "mine")
    for unwanted in root.rglob("test.txt"):
        unwanted.unlink()
    found = data.find("./mine")
    loaded = found.load()
    assert loaded.splits == {"train": GIVEN, "validation": HELD_OUT, "test": "given as val"}
    assert found.summary(loaded).endswith("test given as val, validation held out from train")
    assert f" {labels} classes (" in found.summary(loaded)


def test_training_prints_the_summary_and_the_card_records_the_splits(elsewhere, capsys):
    image_folders(elsewhere / "mine")
    folder = run.train("lenet", data="./mine", preset="quick")
    output = capsys.readouterr().out
    assert "  mine: image_folder, 2 classes (cat, dog), " in output
    assert "test and validation held out" in output
    facts = json.loads((folder / "card.json").read_text())["data"]
    assert facts["splits"] == UNDIVIDED
    assert "unused" not in facts
