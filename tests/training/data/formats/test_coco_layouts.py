"""COCO annotations under other names, and beside the images as Roboflow exports them."""

import json

import pytest

from marina.training import data
from tests.support import coco_samples

BOX = coco_samples.polygon(1, 3, 3, 20, 20)


def write(root, *splits, count=4):
    for place, split in enumerate(splits):
        coco_samples.write(root, split, [((50, 30), [BOX])] * count, first=1 + 100 * place)
    return root


def roboflow(root, *splits, count=4):
    for split in splits:
        write(root, split, count=count)
        file = root / "annotations" / f"instances_{split}.json"
        file.rename(root / split / "_annotations.coco.json")
    (root / "annotations").rmdir()
    return root


@pytest.mark.parametrize("pattern", ["{}.json", "instances_{}.json", "custom-{}.json", "{}_annotations.json"])
def test_annotations_have_any_name_that_contains_the_split(elsewhere, pattern):
    root = write(elsewhere / "mine", "train", "valid", "test")
    for split in ("train", "valid", "test"):
        file = root / "annotations" / f"instances_{split}.json"
        file.rename(file.with_name(pattern.format(split)))
    (root / "annotations" / "captions_train2017.json").write_text("{}")
    found = data.find("./mine")
    assert found.format.name == "coco"
    dataset = found.load()
    assert dataset.sizes == {"train": 4, "validation": 4, "test": 4}
    assert set(dataset.splits.values()) == {"given"}


def test_images_may_be_in_one_folder_for_all_splits(elsewhere):
    root = write(elsewhere / "mine", "train", "val")
    (root / "images").mkdir()
    for file in [*root.glob("train/*.jpg"), *root.glob("val/*.jpg")]:
        file.rename(root / "images" / file.name)
    for split in ("train", "val"):
        (root / split).rmdir()
    assert data.find("./mine").load().splits["test"] == "given as val"


def test_roboflow_keeps_annotations_beside_the_images(elsewhere):
    roboflow(elsewhere / "mine", "train", "valid", "test")
    found = data.find("./mine")
    assert found.format.name == "coco"
    assert found.load().sizes == {"train": 4, "validation": 4, "test": 4}


def test_without_val_it_is_held_out(elsewhere):
    roboflow(elsewhere / "mine", "train", count=20)
    dataset = data.find("./mine").load()
    assert dataset.sizes == {"train": 14, "validation": 2, "test": 4}
    assert dataset.splits == {"train": "given", "validation": "held out", "test": "held out"}


def test_detection_needs_no_masks(elsewhere):
    root = roboflow(elsewhere / "mine", "train", "valid", "test")
    for file in root.rglob("*.json"):
        whole = json.loads(file.read_text())
        for annotation in whole["annotations"]:
            annotation["segmentation"] = []  # as drawn boxes are exported
        file.write_text(json.dumps(whole))
    found = data.find("./mine")
    target = found.load("object_detection").train.targets[0]
    assert target == {"boxes": [[3, 3, 20, 20]], "labels": [0], "difficult": [False]}
    with pytest.raises(ValueError, match=r"_annotations\.coco\.json: malformed annotation of image 1"):
        found.load("instance_segmentation")


def test_other_json_files_are_not_annotations(elsewhere):
    (elsewhere / "mine" / "annotations").mkdir(parents=True)
    (elsewhere / "mine" / "annotations" / "captions_train2017.json").write_text("{}")
    (elsewhere / "mine" / "annotations" / "constraints.json").write_text("{}")
    with pytest.raises(data.UnknownDataError):
        data.find("./mine")
