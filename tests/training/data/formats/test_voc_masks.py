"""Pascal VOC's masks: their lists, borders, and the labels of their class indices."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from marina.training import data
from marina.training.data.formats.voc import decode_mask
from tests.support.voc_samples import BORDER, annotated, devkit, listed, segmented

TASK = "semantic_segmentation"


def test_masks_have_separate_lists_and_other_tasks_read_boxes(elsewhere):
    place = devkit(elsewhere, masks=True)
    for path in (place, place / "VOC2007"):
        found = data.find(str(path))
        dataset = found.load(TASK)
        assert dataset.sizes == {"train": 8, "validation": 3, "test": 3}
        assert dataset.labels == ("background", "cat", "dog")
        assert found.load().sizes == found.load("object_detection").sizes == {"train": 12, "validation": 4, "test": 4}
        assert found.load("object_detection").labels == ("cat", "dog")
    stems = (place / "VOC2007" / "ImageSets" / "Segmentation" / "test.txt").read_text().split()
    for stem, image, mask in zip(stems, dataset.test.inputs, dataset.test.targets, strict=True):
        assert image == (place / "VOC2007" / "JPEGImages" / f"{stem}.jpg").read_bytes()
        assert mask == (place / "VOC2007" / "SegmentationClass" / f"{stem}.png").read_bytes()
        assert decode_mask(mask).shape == Image.open(io.BytesIO(image)).size[::-1]


def test_pixels_are_indices_of_labels_and_borders_are_255(elsewhere):
    root = elsewhere / "VOC2007"
    objects = [("dog", (11, 6, 20, 15), 0), ("cat", (31, 1, 50, 30), 0)]
    for stem in ("000001", "000002", "000003"):
        annotated(root, stem, objects)
        segmented(root, stem, objects)
    listed(root, "Segmentation", train=["000001"], val=["000002"], test=["000003"])
    dataset = data.find("./VOC2007").load(TASK)
    mask = decode_mask(dataset.train.targets[0])
    assert (mask[4, 9], mask[5, 10], mask[6, 11], mask[13, 18], mask[14, 19]) == (0, BORDER, 2, 2, BORDER)
    assert (mask[10, 40], dataset.labels[mask[10, 40]]) == (1, "cat")
    assert set(np.unique(mask)) == {0, 1, 2, BORDER}


def test_labels_come_from_all_annotations_not_only_from_listed_images(elsewhere):
    """Masks of a subset without cats: dog keeps index 2."""
    root = elsewhere / "VOC2007"
    for number in range(1, 5):
        label = "cat" if number == 4 else "dog"
        annotated(root, f"00000{number}", [(label, (11, 6, 20, 15), 0)])
        segmented(root, f"00000{number}", [(label, (11, 6, 20, 15), 0)])
    listed(root, "Segmentation", train=["000001"], val=["000002"], test=["000003"])
    assert data.find("./VOC2007").load(TASK).labels == ("background", "cat", "dog")
    (root / "Annotations" / "000004.xml").unlink()
    with pytest.raises(ValueError, match=r"has class 2, but the last label is 1, dog"):
        data.find("./VOC2007").load(TASK)
    annotated(root, "000005", [("cat", (1, 1, 9, 9), 0), ("dog", (1, 1, 9, 9), 0)])
    for stem in ("000001", "000002", "000003"):
        file = root / "Annotations" / f"{stem}.xml"
        file.write_text(file.read_text().replace("<name>dog</name>", "<name>cat</name>"))
    with pytest.raises(ValueError, match=r"class 2 are of images without a 'dog'"):
        data.find("./VOC2007").load(TASK)


def test_without_test_masks_val_is_for_testing(elsewhere):
    place = devkit(elsewhere, masks=True)
    shutil.copytree(place / "VOC2007", place / "VOC2012")
    (place / "VOC2012" / "ImageSets" / "Segmentation" / "test.txt").unlink()
    assert data.find("./VOCdevkit").load(TASK).sizes == {"train": 16, "validation": 6, "test": 3}  # both years
    shutil.rmtree(place / "VOC2007")
    assert data.find("./VOCdevkit").load(TASK).sizes == {"train": 7, "validation": 1, "test": 3}


def test_errors_name_the_malformed_file(elsewhere):
    place = devkit(elsewhere, masks=True) / "VOC2007"
    file = place / "SegmentationClass" / "000002.png"
    whole = file.read_bytes()
    Image.open(file).convert("RGB").save(file)
    with pytest.raises(ValueError, match=r"000002\.png: a mask of mode RGB"):
        data.find("./VOCdevkit").load(TASK)
    file.write_bytes(b"not a mask")
    with pytest.raises(ValueError, match=r"000002\.png"):
        data.find("./VOCdevkit").load(TASK)
    file.write_bytes(whole)
    (place / "JPEGImages" / "000002.jpg").unlink()
    with pytest.raises(ValueError, match="000002"):
        data.find("./VOCdevkit").load(TASK)
    shutil.rmtree(place / "ImageSets" / "Segmentation")
    with pytest.raises(ValueError, match="lists no images with masks"):
        data.find("./VOCdevkit").load(TASK)


def test_the_stand_in_has_masks_of_its_ten_digits(elsewhere):
    dataset = data.find("voc_digits").load(TASK)
    assert dataset.sizes == {"train": 1200, "validation": 200, "test": 300}
    assert dataset.labels == ("background", *"0123456789")
    found = np.unique(np.concatenate([np.unique(decode_mask(mask)) for mask in dataset.test.targets]))
    assert found.tolist() == [*range(11), BORDER]
