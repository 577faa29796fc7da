"""Unpaired domains as train/A, train/B, test/A, test/B: two domains for image_translation, two classes otherwise."""

import pytest

from marina.training import data
from tests.support.samples import picture

TASK = "image_translation"


def write(root, **counts):
    """`write(root, train__A=3)`; a path has "__" for each slash."""
    for folder, count in counts.items():
        for number in range(count):
            file = root / folder.replace("__", "/") / f"n{number}_1.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture(size=(8 + len(folder), 9 + number)))


def test_folders_in_splits_are_domains_for_image_translation_and_classes_otherwise(elsewhere):
    write(elsewhere / "mine", train__A=12, train__B=25, test__A=3, test__B=2)
    found = data.find("./mine")
    assert found.format.name == "image_folder"
    domains, classes = found.load(TASK), found.load("image_classification")
    assert domains.labels == classes.labels == ("A", "B")
    assert domains.sizes == {"train": 10 + 22, "validation": 2 + 3, "test": 5}
    assert [origin.domain for origin in domains.test.targets] == [0, 1, 0, 1, 0]
    assert "unpaired images of two domains (A, B), 32 + 5 + 5 examples" in found.summary(domains)
    assert "2 classes (A, B)" in found.summary(classes)


def test_both_layouts_are_the_same_data(elsewhere):
    write(elsewhere / "one", trainA=12, trainB=25, testA=3, testB=2)
    write(elsewhere / "other", TRAIN__a=12, TRAIN__b=25, Test__a=3, Test__b=2)
    one, other = data.find("./one").load(TASK), data.find("./other").load(TASK)
    for split in ("train", "validation", "test"):
        pairs = zip(getattr(one, split).inputs.paths, getattr(other, split).inputs.paths, strict=True)
        assert all(a.name == b.name for a, b in pairs)
        assert getattr(one, split).targets == getattr(other, split).targets
    assert one.splits == other.splits == {"train": "given", "validation": "held out", "test": "given"}


def test_validation_images_are_used_as_given_and_others_are_counted(elsewhere):
    write(elsewhere / "mine", train__A=12, train__B=12, val__A=4, val__B=3, test__A=3, test__B=2, more=1)
    dataset = data.find("./mine").load(TASK)
    assert dataset.sizes == {"train": 24, "validation": 7, "test": 5}
    assert (dataset.splits["validation"], dataset.unused) == ("given", {"images": 1})


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train__horse": 5, "train__zebra": 5, "test__horse": 2}, r"mine/train has no images in A/; expected trainA/"),
        ({"train__A": 5, "train__B": 5}, "mine has no test split; expected trainA/, .* or train/A/"),
        ({"train__A": 5, "train__B": 1, "test__A": 2, "test__B": 2}, "train/B holds 1 images; the minimum is 2"),
        ({"horse": 5, "zebra": 5}, "mine has no train split; expected trainA/"),
    ],
    ids=["names", "test", "few", "flat"],
)
def test_folders_that_are_no_domains_are_refused(elsewhere, counts, message):
    write(elsewhere / "mine", **counts)
    with pytest.raises(ValueError, match=message):
        data.find("./mine").load(TASK)
