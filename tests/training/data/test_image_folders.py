"""ImageFolder and folders of faces, from tiny files written by the tests."""

import io

import pytest
from PIL import Image

from handlers.codecs.image import ImageCodec
from marina.training import data

PEOPLE = [f"Person_{letter}" for letter in "ABCDEFGHIJ"]


def image(kind: str, value: int) -> bytes:
    """A uniform grey image."""
    buffer = io.BytesIO()
    Image.new("L", (9, 11), value).save(buffer, kind)
    return buffer.getvalue()


def test_image_folder_with_and_without_splits(elsewhere):
    for label, count in (("cat", 10), ("dog", 20)):
        for number in range(count):
            for split in ("flat", "split/train", "split/test"):
                file = elsewhere / split / label / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(image("PNG", number))
    flat, split = data.find("./flat").load(), data.find("./split").load()
    assert flat.labels == split.labels == ("cat", "dog")
    assert flat.sizes == {"train": 21, "validation": 3, "test": 6}
    assert split.sizes == {"train": 27, "validation": 3, "test": 30}
    assert list(flat.test.targets).count(0) == 2  # a fifth of each class
    codec = ImageCodec(size=4, channels=1, mean=(0.5,), std=(0.5,))
    assert codec.pixels(flat.test.inputs[0]).shape == (1, 4, 4)


def test_image_folder_with_a_class_too_small_is_refused(elsewhere):
    for label, count in (("cat", 10), ("dog", 2)):
        for number in range(count):
            file = elsewhere / label / f"{number}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(image("PNG", number))
    with pytest.raises(ValueError, match="dog holds 2 images"):
        data.find(".").load()


def test_each_person_is_in_one_split_and_pgm_files_are_converted_to_png(elsewhere):
    for number in range(1, 11):
        (elsewhere / "faces" / f"s{number}").mkdir(parents=True)
        for picture in (1, 2):
            (elsewhere / "faces" / f"s{number}" / f"{picture}.pgm").write_bytes(
                b"P5\n9 11\n255\n" + bytes([number * 10 + picture]) * 99
            )
    dataset = data.find("./faces").load()
    assert dataset.sizes == {"train": 10, "validation": 4, "test": 6}
    people = [set(split.targets) for split in (dataset.train, dataset.validation, dataset.test)]
    assert people[2] == {"s1", "s4", "s8"}  # in the order of the names: s1, s10, s2, ...
    assert len(people[0] | people[1] | people[2]) == sum(map(len, people)) == 10
    first = Image.open(io.BytesIO(dataset.test.inputs[1]))
    assert (first.format, first.size, first.getpixel((0, 0))) == ("PNG", (9, 11), 12)


def test_lfw_is_distinguished_from_an_image_folder_by_its_file_names(elsewhere):
    for number, person in enumerate(PEOPLE):
        for path in (f"lfw/{person}/{person}_0001", f"lfw/{person}/{person}_0002", f"pictures/{person}/first"):
            file = elsewhere / f"{path}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(image("JPEG", number))
    assert data.find("./lfw").format.name == "face_folder"
    assert data.find("./pictures").format.name == "image_folder"
    assert data.find("./lfw").load().test.inputs[0] == image("JPEG", 0)  # unchanged


def test_too_few_people_are_refused(elsewhere):
    for person in PEOPLE[:7]:
        (elsewhere / "lfw" / person).mkdir(parents=True)
        (elsewhere / "lfw" / person / f"{person}_0001.png").write_bytes(image("PNG", 0))
    with pytest.raises(ValueError, match="7 people"):
        data.find("./lfw").load()
