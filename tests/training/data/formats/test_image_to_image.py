"""Unpaired images of two domains, as in apple2orange, and style images with content images."""

import io

import pytest
from PIL import Image

from marina.training import data
from tests.support.samples import picture

COUNTS = {"trainA": 12, "trainB": 25, "testA": 3, "testB": 2}
APPLE, ORANGE = "n07740461", "n07749192"


def jpeg(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 8), (value, 9, 9)).save(buffer, "JPEG")
    return buffer.getvalue()


def apple2orange(folder, counts=COUNTS):
    for split, count in counts.items():
        place = folder / "apple2orange" / split
        place.mkdir(parents=True)
        for number in range(count):
            name = APPLE if split.endswith("A") else ORANGE
            (place / f"{name}_{number}.jpg").write_bytes(jpeg(6 * number if split.endswith("A") else 100 + 6 * number))
    return "./apple2orange"


def test_the_four_folders_are_read_as_unpaired_domains(elsewhere):
    found = data.find(apple2orange(elsewhere))
    assert found.format.name == "unpaired"
    dataset = found.load()
    assert dataset.labels == ("A", "B")
    assert dataset.sizes == {"train": 10 + 22, "validation": 2 + 3, "test": 5}
    assert [origin.domain for origin in dataset.test.targets] == [0, 1, 0, 1, 0]  # alternating
    assert {origin.name for origin in dataset.train.targets} == {APPLE, ORANGE}
    assert set(dataset.test.inputs) == {jpeg(0), jpeg(6), jpeg(12), jpeg(100), jpeg(106)}
    assert data.find("./apple2orange").load().train.inputs[:] == dataset.train.inputs[:]
    train, validation = (set(split.inputs) for split in (dataset.train, dataset.validation))
    assert not train & validation
    assert len(train | validation) == 12 + 25


def test_the_folder_that_an_archive_unpacks_to_is_found(elsewhere):
    apple2orange(elsewhere / "downloads")
    assert data.find("./downloads").format.name == "unpaired"


def test_a_file_without_a_class_in_its_name_has_none(elsewhere):
    path = apple2orange(elsewhere)
    (elsewhere / "apple2orange" / "testA" / "zebra.png").write_bytes(jpeg(7))
    assert sorted(origin.name for origin in data.find(path).load().test.targets) == ["", *[APPLE] * 3, *[ORANGE] * 2]


def test_three_of_the_four_folders_are_an_image_folder(elsewhere):
    path = apple2orange(elsewhere, {name: count for name, count in COUNTS.items() if name != "testB"})
    assert data.find(path).format.name == "image_folder"


def test_a_domain_with_a_single_image_is_refused(elsewhere):
    path = apple2orange(elsewhere, COUNTS | {"trainB": 1})
    with pytest.raises(ValueError, match="trainB holds 1 images"):
        data.find(path).load()


def write_pictures(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(size=(20 + len(name), 10)))


def test_styles_are_named_by_their_files_and_assigned_to_contents_in_turn(elsewhere):
    write_pictures(elsewhere / "mine", "style/waves.jpg", "style/stars.PNG", *(f"content/{n}.webp" for n in range(3)))
    (elsewhere / "mine" / "style" / "about.txt").write_text("mine")
    found = data.find("./mine")
    assert found.kind == "real"
    dataset = found.load()
    assert dataset.labels == ("stars", "waves")
    assert dataset.train.inputs[1] == (elsewhere / "mine" / "style" / "waves.jpg").read_bytes()
    assert (len(dataset.test), dataset.test.targets) == (3, [0, 1, 0])


def test_two_styles_with_the_same_name_are_refused(elsewhere):
    write_pictures(elsewhere / "mine", "style/waves.jpg", "style/waves.png", "content/me.png")
    with pytest.raises(ValueError, match="two images with the same name: waves"):
        data.find("./mine").load()


def test_folders_with_other_names_are_classes(elsewhere):
    write_pictures(elsewhere / "mine", *(f"{label}/{n}.png" for label in ("style", "other") for n in range(10)))
    assert data.find("./mine").load().labels == ("other", "style")
