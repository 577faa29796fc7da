"""Folders of faces from tiny files made by hand, as AT&T's and LFW's."""

import io

import pytest
from PIL import Image

from training import data

PEOPLE = [f"Person_{letter}" for letter in "ABCDEFGHIJ"]


def face(kind: str, value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (9, 11), value).save(buffer, kind)
    return buffer.getvalue()


def test_people_are_in_one_split_only_and_pgm_files_come_as_png(elsewhere):
    for number, _ in enumerate(PEOPLE, start=1):
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
    image = Image.open(io.BytesIO(dataset.test.inputs[1]))
    assert (image.format, image.size, image.getpixel((0, 0))) == ("PNG", (9, 11), 12)


def test_lfw_is_told_from_an_image_folder_by_its_names(elsewhere):
    for number, person in enumerate(PEOPLE):
        for path in (f"lfw/{person}/{person}_0001", f"lfw/{person}/{person}_0002", f"pictures/{person}/first"):
            file = elsewhere / f"{path}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(face("JPEG", number))
    assert data.find("./lfw").layout.__name__.endswith("face_folder")
    assert data.find("./pictures").layout.__name__.endswith("image_folder")
    assert data.find("./lfw").load().test.inputs[0] == face("JPEG", 0)  # as it is


def test_too_few_people_are_refused(elsewhere):
    for person in PEOPLE[:7]:
        (elsewhere / "lfw" / person).mkdir(parents=True)
        (elsewhere / "lfw" / person / f"{person}_0001.png").write_bytes(face("PNG", 0))
    with pytest.raises(ValueError, match="7 people"):
        data.find("./lfw").load()
