"""Pascal VOC as it is published: boxes, difficult objects, years; and real photographs with such annotations."""

import io
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marina.training import data
from marina.training.data.formats.voc import BORDER
from tests.support.voc_samples import annotated, devkit, listed


def test_boxes_are_edges_counted_from_0_and_difficult_objects_are_marked(elsewhere):
    root = elsewhere / "VOC2007"
    annotated(root, "000001", [("dog", (1, 1, 50, 30), 0), ("cat", (11, 6, 20, 15), 1)])
    for stem in ("000002", "000003", "000004"):
        annotated(root, stem, [("cat", (2, 3, 4, 5), 0)])
    annotated(root, "000005", [])
    listed(root, train=["000001", "000005"], val=["000002"], test=["000003", "000004"])
    dataset = data.find("./VOC2007").load()
    assert dataset.labels == ("cat", "dog")
    assert dataset.sizes == {"train": 2, "validation": 1, "test": 2}
    whole, nothing = dataset.train.targets
    assert whole == {"boxes": [[0, 0, 50, 30], [10, 5, 20, 15]], "labels": [1, 0], "difficult": [False, True]}
    assert nothing == {"boxes": [], "labels": [], "difficult": []}
    image = np.array(Image.open(io.BytesIO(dataset.train.inputs[0])).convert("L"))  # orange is bright, navy dark
    left, top, right, bottom = map(int, whole["boxes"][1])
    assert image[top + 1 : bottom - 1, left + 1 : right - 1].min() > 120
    assert max(image[top - 2, left], image[bottom + 1, left], image[top, left - 2], image[top, right + 1]) < 60


def test_a_devkit_a_year_and_the_folder_around_them_are_all_found(elsewhere):
    place = devkit(elsewhere / "set")
    (place / "VOC2007" / "SegmentationClass").mkdir()
    shutil.copy(place / "VOC2007" / "JPEGImages" / "000001.jpg", place / "VOC2007" / "SegmentationClass" / "1.png")
    for path in (place.parent, place, place / "VOC2007"):
        found = data.find(str(path))
        assert found.format.name == "voc"
        assert found.load().sizes == {"train": 12, "validation": 4, "test": 4}


def test_years_are_concatenated_and_test_images_without_annotations_left_out(elsewhere):
    place = devkit(elsewhere)
    shutil.copytree(place / "VOC2007", place / "VOC2012")
    for stem in (place / "VOC2012" / "ImageSets" / "Main" / "test.txt").read_text().split():
        (place / "VOC2012" / "Annotations" / f"{stem}.xml").unlink()
    assert data.find("./VOCdevkit").load().sizes == {"train": 24, "validation": 8, "test": 4}
    shutil.rmtree(place / "VOC2007")
    assert data.find("./VOCdevkit").load().sizes == {"train": 10, "validation": 2, "test": 4}  # val is for testing


def test_errors_name_the_malformed_file(elsewhere):
    place = devkit(elsewhere) / "VOC2007"
    file = place / "Annotations" / "000003.xml"
    whole = file.read_text()
    for broken in (whole[:100], whole.replace("<xmax>", "<xmux>").replace("</xmax>", "</xmux>"), "<a><object/></a>"):
        file.write_text(broken)
        with pytest.raises(ValueError, match=r"000003\.xml"):
            data.find("./VOCdevkit").load()
    file.write_text(whole)
    (place / "JPEGImages" / "000004.jpg").unlink()
    with pytest.raises(ValueError, match="000004"):
        data.find("./VOCdevkit").load()


def test_real_photographs_with_voc_annotations_are_read(elsewhere):
    """Aerial photographs of trees from the package deepforest, with other file names and suffixes."""
    package = find_spec("deepforest")
    if package is None or package.origin is None:
        pytest.skip("the package deepforest is not installed on this machine")
    root = elsewhere / "trees"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    stems = sorted(file.stem for file in (Path(package.origin).parent / "data").glob("*.xml"))
    for stem in stems:
        shutil.copy(Path(package.origin).parent / "data" / f"{stem}.xml", root / "Annotations")
        shutil.copy(Path(package.origin).parent / "data" / f"{stem}.png", root / "JPEGImages")
    listed(root, train=stems[:2], val=stems[2:3], test=stems[3:])
    dataset = data.find("./trees").load()
    assert dataset.labels == ("Alive", "Dead", "Tree")
    boxes = 0
    for split in (dataset.train, dataset.validation, dataset.test):
        for file, target in zip(split.inputs, split.targets, strict=True):
            width, height = Image.open(io.BytesIO(file)).size
            edges = np.array(target["boxes"])
            assert (edges[:, :2] < edges[:, 2:]).all()
            assert edges.min() >= -1
            assert (edges.max(axis=0)[2:] <= (width, height)).all()
            boxes += len(edges)
    assert (len(stems), boxes) == (4, 951)


def test_the_masks_of_the_stand_in_fill_its_boxes(elsewhere):
    found = data.find("voc_digits")
    dataset = found.load()
    assert dataset.sizes == {"train": 1200, "validation": 200, "test": 300}
    assert dataset.labels == tuple("0123456789")
    for split, name in ((dataset.train, "train"), (dataset.test, "test")):
        stems = (found.path / "VOC2007" / "ImageSets" / "Segmentation" / f"{name}.txt").read_text().split()
        for stem, target in zip(stems[:50], split.targets, strict=False):
            mask = Image.open(found.path / "VOC2007" / "SegmentationClass" / f"{stem}.png")
            assert mask.mode == "P"
            assert mask.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
            classes = np.array(mask)
            assert set(np.unique(classes)) <= {0, BORDER, *(label + 1 for label in target["labels"])}
            for (x1, y1, x2, y2), label in zip(target["boxes"], target["labels"], strict=True):
                rows, columns = np.nonzero(classes[int(y1) : int(y2), int(x1) : int(x2)] == label + 1)
                assert (rows.min(), columns.min()) == (0, 0)
                assert (rows.max() + 1, columns.max() + 1) == (y2 - y1, x2 - x1)
