"""ImageNet's validation images with ReaL labels, and the photographs that stand in for them."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from marina.errors import MarinaError
from marina.training import data, run
from marina.training.data.formats.imagenet_real import categories, is_imagenet_real
from marina.training.data.standins.photographs import PHOTOGRAPHS
from tests.support.samples import picture


def validation_set(folder: Path, labels: object, inner: str = "val", numbers: tuple[int, ...] = (1, 2, 3)) -> str:
    """Write images with these numbers, and real.json."""
    images = folder / "imagenet" / inner
    images.mkdir(parents=True)
    for number in numbers:
        (images / f"ILSVRC2012_val_{number:08}.JPEG").write_bytes(picture(kind="JPEG") + bytes([number]))
    (folder / "imagenet" / "real.json").write_text(json.dumps(labels))
    return "./imagenet"


def test_the_categories_are_those_of_imagenet_in_the_usual_order():
    names = categories()
    assert (len(names), len(set(names))) == (1000, 1000)
    numbers = {"tench": 0, "tabby": 281, "Egyptian cat": 285, "espresso": 967, "toilet tissue": 999}
    assert {name: names.index(name) for name in numbers} == numbers


@pytest.mark.parametrize("inner", ["val", "."])
def test_all_images_are_for_testing_and_those_without_a_label_are_left_out(elsewhere, inner):
    found = data.find(validation_set(elsewhere, [[281, 285], [], [967]], inner))
    assert found.format.name == "imagenet_real"
    dataset = found.load("image_classification")
    assert dataset.labels == categories()
    assert dataset.test.targets == [(281, 285), (967,)]
    assert [file[-1] for file in dataset.test.inputs] == [1, 3]
    assert dataset.sizes == {"train": 0, "validation": 0, "test": 2}
    assert dataset.unused == {"images": 1}
    assert dataset.note == "2 images are too few to compare networks by"
    assert "0 + 0 + 2 examples (train, validation, test): test as given, validation empty" in found.summary(dataset)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[1], [2]], "has no labels for ILSVRC2012_val_00000003.JPEG; expected a list with one entry each"),
        ({"1": [2]}, "has no labels for ILSVRC2012_val_00000001.JPEG"),
        ([[1], [1000], [2]], r"\[1000\] for ILSVRC2012_val_00000002.JPEG; expected numbers from 0 to 999"),
        ([[1], ["cat"], [2]], r"\['cat'\] for ILSVRC2012_val_00000002.JPEG"),
        ([[1], 2, [2]], "2 for ILSVRC2012_val_00000002.JPEG"),
        ([[], [], []], "has no label for any of 3 images"),
    ],
)
def test_labels_that_do_not_fit_are_refused(elsewhere, labels, message):
    with pytest.raises(ValueError, match=message):
        data.find(validation_set(elsewhere, labels)).load()


def test_images_with_other_names_are_none_of_imagenet(elsewhere):
    path = Path(validation_set(elsewhere, [[1]], numbers=()))
    (path / "val" / "cat.jpg").write_bytes(picture(kind="JPEG"))
    assert not is_imagenet_real(path)
    (path / "val" / "ILSVRC2012_val_00000001.JPEG").write_bytes(picture(kind="JPEG"))
    assert is_imagenet_real(path)
    (path / "real.json").unlink()
    assert not is_imagenet_real(path)


def test_nothing_is_trained_on_data_that_are_for_testing_only(elsewhere):
    with pytest.raises(MarinaError, match=r"^lenet 1\.0: photographs has no training examples"):
        run.train("lenet", data="photographs")
    assert not (elsewhere / "artifacts" / "lenet" / "1.0").exists()


def test_the_stand_in_is_in_the_same_format_and_begins_with_the_cat(elsewhere):
    found = data.find("photographs")
    assert (found.format.name, found.kind) == ("imagenet_real", "embedded")
    dataset = found.load("image_classification")
    named = [tuple(dataset.labels[number] for number in target) for target in dataset.test.targets]
    assert named == list(PHOTOGRAPHS.values())
    assert "tabby" in named[0]
    for file in dataset.test.inputs:
        image = Image.open(io.BytesIO(file))
        assert image.format == "JPEG"
        assert min(image.size) >= 224
