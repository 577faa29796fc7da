"""COCO as it is published: polygons and run lengths, crowds, gaps between ids, images without annotations."""

import json

import numpy as np
import pytest
from pycocotools import mask as masks

from marina.training import data
from tests.support import coco_samples


def edges(rle) -> list[int]:
    """left, top, right, bottom of a mask, which must be a rectangle."""
    mask = masks.decode(rle)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    assert mask.sum() == len(rows) * len(columns)
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_boxes_are_edges_labels_have_no_gaps_and_masks_fill_the_boxes(elsewhere):
    size = (50, 30)
    one = [coco_samples.polygon(90, 3, 4, 20, 25), coco_samples.crowd(1, 30, 2, 50, 30, size)]
    coco_samples.write(elsewhere / "set", "train2017", [(size, one), (size, [])])
    coco_samples.write(elsewhere / "set", "val2017", [(size, [coco_samples.polygon(13, 0, 0, 50, 30)])], first=7)
    coco_samples.write(elsewhere / "set", "test2017", [(size, [])] * 3, first=9)
    found = data.find("./set")
    assert found.format.name == "coco"
    dataset = found.load()
    assert dataset.labels == ("person", "stop sign", "toothbrush")
    assert dataset.sizes == {"train": 2, "validation": 1, "test": 3}
    whole, nothing = dataset.train.targets
    assert whole["boxes"] == [[3, 4, 20, 25], [30, 2, 50, 30]]
    assert (whole["labels"], whole["difficult"]) == ([2, 0], [False, True])
    assert [edges(mask) for mask in whole["masks"]] == whole["boxes"]
    assert json.loads(json.dumps(whole)) == whole  # targets are JSON
    assert nothing == {"boxes": [], "labels": [], "difficult": [], "masks": []}
    assert edges(dataset.validation.targets[0]["masks"][0]) == [0, 0, 50, 30]


def test_without_annotated_test_images_val_is_for_testing(elsewhere):
    coco_samples.folder(elsewhere / "set")
    dataset = data.find("./set").load()
    assert dataset.sizes == {"train": 10, "validation": 2, "test": 4}
    again = data.find("./set").load()
    assert again.train.targets == dataset.train.targets


def test_the_newest_year_is_read_and_images_may_be_in_a_separate_folder(elsewhere):
    root = coco_samples.folder(elsewhere / "set")
    coco_samples.write(root, "train2014", [((50, 30), [])])
    (root / "images").mkdir()
    for split in ("train2017", "val2017"):
        (root / split).rename(root / "images" / split)
    assert data.find("./set").load().sizes == {"train": 10, "validation": 2, "test": 4}


def test_a_box_without_an_area_is_left_out(elsewhere):
    root = coco_samples.folder(elsewhere / "set")
    annotations = [coco_samples.polygon(1, 3, 3, 20, 20), coco_samples.polygon(1, 9, 9, 9, 20)]
    coco_samples.write(root, "test2017", [((50, 30), annotations)], first=50)
    assert data.find("./set").load().test.targets[0]["boxes"] == [[3, 3, 20, 20]]


def test_errors_name_the_malformed_file(elsewhere):
    root = coco_samples.folder(elsewhere / "set")
    file = root / "annotations" / "instances_val2017.json"
    whole = json.loads(file.read_text())
    broken = {name: json.loads(file.read_text()) for name in ("category", "image", "mask", "outline", "box", "list")}
    broken["category"]["annotations"][0]["category_id"] = 2
    broken["image"]["annotations"][0]["image_id"] = 99
    del broken["mask"]["annotations"][0]["segmentation"]
    broken["outline"]["annotations"][0]["segmentation"] = []
    broken["box"]["annotations"][0]["bbox"] = [1, 2, 3]
    broken["list"] = [1]
    for content in (file.read_text()[:200], *map(json.dumps, broken.values())):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"instances_val2017\.json"):
            data.find("./set").load()
    file.write_text(json.dumps(whole))
    (root / "val2017" / whole["images"][0]["file_name"]).unlink()
    with pytest.raises(ValueError, match=r"instances_val2017\.json lists 000000000013\.jpg"):
        data.find("./set").load()


def test_the_stand_in_has_the_scenes_of_voc_digits_with_masks_that_fill_the_boxes(elsewhere):
    dataset, boxes_only = data.find("coco_digits").load(), data.find("voc_digits").load()
    assert dataset.sizes == {"train": 1200, "validation": 200, "test": 300}
    assert dataset.labels == boxes_only.labels == tuple("0123456789")
    for split in ("train", "validation", "test"):
        ours, theirs = getattr(dataset, split), getattr(boxes_only, split)
        assert ours.inputs[0] == theirs.inputs[0]
        for target, same in zip(ours.targets, theirs.targets, strict=True):
            assert (target["boxes"], target["labels"]) == (same["boxes"], same["labels"])
            if target["masks"]:
                x, y, width, height = masks.toBbox(target["masks"]).T
                assert np.stack([x, y, x + width, y + height], axis=1).tolist() == target["boxes"]
                assert masks.iou(target["masks"], target["masks"], [0] * len(x)).sum() == pytest.approx(len(x))
