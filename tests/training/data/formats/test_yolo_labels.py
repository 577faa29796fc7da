"""Darknet/YOLO text labels as tools write them: Ultralytics, Roboflow, labelImg; and malformed ones."""

from pathlib import Path

import pytest
from PIL import Image
from pycocotools import mask as coco

from marina.training import data
from tests.support.own_images import image_folders

NAMES = "names:\n  0: cat\n  1: dog\n"


def image(file: Path, size=(40, 20), orientation=1) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, "white").save(file, exif=exif)


def write(root: Path, images: str, labels: str, count: int = 4, line: str = "1 0.5 0.5 0.25 0.5\n") -> Path:
    """Images called 0.jpg, 1.jpg, ...; all but the last have labels."""
    for number in range(count):
        image(root / images / f"{number}.jpg")
        if number < count - 1 or count == 1:
            (root / labels).mkdir(parents=True, exist_ok=True)
            (root / labels / f"{number}.txt").write_text(line)
    return root


def ultralytics(
    root: Path, config: str = f"path: ../datasets/mine\ntrain: images/train\nval: images/val\ntest:\n{NAMES}"
):
    for split in ("train", "val"):
        write(root, f"images/{split}", f"labels/{split}")
    (root / "data.yaml").write_text(config)
    return root


def test_boxes_are_pixels_and_images_without_labels_are_background(elsewhere):
    ultralytics(elsewhere / "mine")
    image(elsewhere / "mine" / "images/val/turned.jpg", orientation=6)  # shown as 20 wide and 40 high
    (elsewhere / "mine" / "labels/val/turned.txt").write_text("0 0.5 0.5 1 0.5\n\n1 0.1 0.5 0.4 0.5\n")
    found = data.find("./mine")
    assert found.format.name == "yolo"
    dataset = found.load("object_detection")
    assert dataset.labels == ("cat", "dog")
    assert dataset.sizes == {"train": 3, "validation": 5, "test": 1}
    assert dataset.splits == {"train": "given", "validation": "given", "test": "held out"}
    assert dataset.validation.targets[0] == {"boxes": [[15, 5, 25, 15]], "labels": [1], "difficult": [False]}
    assert dataset.validation.targets[3] == {"boxes": [], "labels": [], "difficult": []}
    turned = dataset.validation.targets[4]
    assert turned["labels"] == [0, 1]
    assert turned["boxes"][0] == [0, 10, 20, 30]
    assert turned["boxes"][1] == pytest.approx([0, 10, 6, 30])  # clipped to the image
    assert dataset.unused == {}
    assert "yolo, 2 classes (cat, dog), 3 + 5 + 1 examples" in found.summary(dataset)


def test_roboflow_paths_and_a_list_of_names(elsewhere):
    root = elsewhere / "mine"
    for split in ("train", "valid", "test"):
        write(root, f"{split}/images", f"{split}/labels")
    (root / "README.roboflow.txt").write_text("about")
    config = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\nnames: ['cat', 'dog']\n"
    (root / "data.yaml").write_text(config)
    dataset = data.find("./mine").load()
    assert dataset.sizes == {"train": 4, "validation": 4, "test": 4}
    assert (dataset.labels, dataset.unused) == (("cat", "dog"), {"other files": 1})


@pytest.mark.parametrize("names", ["classes.txt", "obj.names", "labels/classes.txt"])
def test_names_in_a_text_file_with_and_without_splits(elsewhere, names):
    write(elsewhere / "flat", "images", "labels", count=20)
    write(elsewhere / "split", "images/TRAIN", "labels/TRAIN", count=10)
    write(elsewhere / "split", "images/Test", "labels/Test", count=5)
    for root in ("flat", "split"):
        (elsewhere / root / names).write_text("cat\ndog\n")
    flat, split = data.find("./flat").load(), data.find("./split").load()
    assert flat.labels == split.labels == ("cat", "dog")
    assert flat.sizes == {"train": 14, "validation": 2, "test": 4}
    assert split.sizes == {"train": 9, "validation": 1, "test": 5}
    assert flat.unused == split.unused == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.25", r"labels/train/0\.txt, line 2: 4 values; expected 5: class x y width height"),
        ("1 0.1 0.1 0.2 0.1 0.2", r"line 2: 6 values; expected 5: class x y width height"),
        ("dog 0.5 0.5 0.25 0.5", r"line 2: 'dog 0.5 0.5 0.25 0.5' .*; expected"),
        ("2 0.5 0.5 0.25 0.5", r"line 2: class 2; expected 0 to 1 \(cat, dog\)"),
        ("-1 0.5 0.5 0.25 0.5", r"line 2: class -1; expected 0 to 1"),
        ("1 20 10 8 4", r"line 2: .* expected x and y from 0 to 1, width and height above 0 and at most 1"),
        ("1 0.5 0.5 0 0.5", "line 2: .* width and height above 0"),
        ("1 nan 0.5 0.2 0.5", "line 2: .* expected x and y from 0 to 1"),
    ],
)
def test_malformed_lines_are_named(elsewhere, line, message):
    root = ultralytics(elsewhere / "mine")
    (root / "labels/train/0.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(ValueError, match=message):
        data.find("./mine").load()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("train: images/train\nnames: [cat, dog\n", r"data\.yaml: not YAML"),
        ("train: images/train\nnames: {1: cat, 2: dog}\n", r"data\.yaml: names are numbered 1, 2; expected 0 to 1"),
        ("train: images/train\nnames: 3\n", r"data\.yaml: names: 3; expected a list or a mapping"),
        (f"train: images/train\nnc: 3\n{NAMES}", r"data\.yaml: nc is 3, but there are 2 names"),
        (f"train: images/none\n{NAMES}", r"data\.yaml: train: .*images/none.* no such folder"),
        (f"train: images/train.txt\n{NAMES}", r"data\.yaml: train: .*no such folder"),
        (f"val: images/val\n{NAMES}", r"data\.yaml: no train: ; expected|has no train split"),
        (f"train: labels/train\n{NAMES}", "labels/train holds no images"),
    ],
)
def test_a_malformed_configuration_is_named(elsewhere, config, message):
    ultralytics(elsewhere / "mine", config)
    with pytest.raises(ValueError, match=message):
        data.find("./mine").load()


def test_images_outside_the_folder_are_refused(elsewhere):
    """The checksum does not cover them."""
    write(elsewhere / "other", "images/train", "labels/train")
    ultralytics(elsewhere / "mine", f"path: ../other\ntrain: {elsewhere}/other/images/train\n{NAMES}")
    with pytest.raises(ValueError, match=r"train: .*other/images/train: no such folder; expected .* in "):
        data.find("./mine").load()


def test_without_any_label_file_the_labels_are_missing(elsewhere):
    root = ultralytics(elsewhere / "mine")
    (root / "labels").rename(root / "annotated")
    with pytest.raises(ValueError, match=r"images/train: no image has a label file; expected .*labels/train/0\.txt"):
        data.find("./mine").load()


def test_other_folders_are_not_taken_for_labels(elsewhere):
    image_folders(elsewhere / "birds" / "images")  # as CUB-200
    (elsewhere / "birds" / "classes.txt").write_text("1 cat\n2 dog\n")
    assert data.find("./birds").format.name == "image_folder"
    image_folders(elsewhere / "mine")
    (elsewhere / "mine" / "classes.txt").write_text("cat\ndog\n")
    assert data.find("./mine").format.name == "image_folder"


def test_polygons_are_masks_and_their_boxes(elsewhere):
    root = elsewhere / "mine"
    line = "1 0.25 0.2 0.75 0.2 0.75 0.6 0.25 0.6\n"  # of 40 x 20 pixels
    for split in ("train", "val"):
        write(root, f"images/{split}", f"labels/{split}", line=line)
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\n{NAMES}")
    targets = data.find("./mine").load("instance_segmentation").train.targets
    (place, *_) = (number for number, one in enumerate(targets) if one["labels"])  # the last image has no object
    target = targets[place]
    assert target["boxes"] == [pytest.approx([10, 4, 30, 12])]
    mask = coco.decode(target["masks"][0])
    assert mask.shape == (20, 40)
    assert mask.sum() == 20 * 8
    assert mask[4:12, 10:30].all()
    boxes = data.find("./mine").load("object_detection").train.targets[place]
    assert boxes == {name: value for name, value in target.items() if name != "masks"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", r"0\.txt, line 1: a box; instance_segmentation needs a polygon: class x1 y1"),
        ("0 0.1 0.1 0.2 0.2 0.3", "6 values; expected 5: class x y width height, or class x1 y1 x2 y2 x3 y3"),
        ("0 0.1 0.1 0.2 0.2 0.3 1.3", "not normalised"),
        ("0 0.1 0.1 0.1 0.2 0.1 0.3", "a polygon without an area"),
        ("0 0.1 0.1 0.1 0.2 0.1 x", "no numbers; expected class x1 y1"),
    ],
)
def test_a_malformed_polygon_is_named(elsewhere, line, message):
    root = write(elsewhere / "mine", "images/train", "labels/train", line=line)
    (root / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(ValueError, match=message):
        data.find("./mine").load("instance_segmentation")
