"""Unpaired images of two domains, from tiny files made by hand, as apple2orange's."""

import io

import pytest
from PIL import Image

from training import data

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


def test_the_four_folders_are_read_and_not_taken_for_an_image_folder(elsewhere):
    found = data.find(apple2orange(elsewhere))
    assert found.layout.__name__.endswith("unpaired")
    dataset = found.load()
    assert dataset.labels == ("A", "B")
    assert dataset.sizes == {"train": 10 + 22, "validation": 2 + 3, "test": 5}
    assert [origin.domain for origin in dataset.test.targets] == [0, 1, 0, 1, 0]  # in turns
    assert {origin.name for origin in dataset.train.targets} == {APPLE, ORANGE}
    assert set(dataset.test.inputs) == {jpeg(0), jpeg(6), jpeg(12), jpeg(100), jpeg(106)}
    assert data.find("./apple2orange").load().train.inputs[:] == dataset.train.inputs[:]
    train, validation = (set(split.inputs) for split in (dataset.train, dataset.validation))
    assert not train & validation
    assert len(train | validation) == 12 + 25


def test_it_is_found_in_the_folder_that_an_archive_unpacks_to(elsewhere):
    apple2orange(elsewhere / "downloads")
    assert data.find("./downloads").layout.__name__.endswith("unpaired")


def test_a_file_without_a_class_in_its_name_has_none(elsewhere):
    path = apple2orange(elsewhere)
    (elsewhere / "apple2orange" / "testA" / "zebra.png").write_bytes(jpeg(7))
    assert sorted(origin.name for origin in data.find(path).load().test.targets) == ["", *[APPLE] * 3, *[ORANGE] * 2]


def test_folders_that_are_not_all_four_are_another_layout(elsewhere):
    path = apple2orange(elsewhere, {name: count for name, count in COUNTS.items() if name != "testB"})
    assert data.find(path).layout.__name__.endswith("image_folder")


def test_a_domain_with_a_single_image_is_refused(elsewhere):
    path = apple2orange(elsewhere, COUNTS | {"trainB": 1})
    with pytest.raises(ValueError, match="trainB holds 1 images"):
        data.find(path).load()


def test_no_digit_of_the_stand_in_is_in_both_domains(elsewhere):
    """B is |patch - digit|: where a digit of A is black, B shows its patch. Told by the digits that were written."""
    from training.data.sources import digits_ab, mnist_m

    seen = []
    blend = mnist_m.blend
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_m, "blend", lambda images, *rest: (seen.append(images), blend(images, *rest))[1])
        (elsewhere / "ab").mkdir()
        digits_ab.write(elsewhere / "ab")
    in_b = {image.tobytes() for images in seen for image in images}
    in_a = set()
    for file in (elsewhere / "ab").glob("*A/*.png"):
        in_a.add(Image.open(file).crop((2, 2, 30, 30)).tobytes())
    assert (len(in_a), len(in_b)) == (2500, 2500)
    assert not in_a & in_b
