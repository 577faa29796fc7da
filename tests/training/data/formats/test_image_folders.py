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


def write(root, **counts):
    """`write(root, TRAIN=10)`: the images of two classes in each folder of a split; a path has "__" for each slash."""
    for folder, count in counts.items():
        for label in ("cat", "dog"):
            for number in range(count):
                file = root / folder.replace("__", "/") / label / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(image("PNG", number))


@pytest.mark.parametrize(
    ("counts", "sizes", "splits"),
    [
        ({"TRAIN": 10, "TEST": 4}, (18, 2, 8), ("given", "held out", "given")),
        ({"Train": 10, "Valid": 3, "Test": 4}, (20, 6, 8), ("given", "given", "given")),
        ({"training": 10, "validation": 3, "testing": 1}, (20, 6, 2), ("given", "given", "given")),
        ({"train": 10, "val": 3}, (16, 6, 4), ("given", "given", "held out")),
        ({"train": 10}, (14, 2, 4), ("given", "held out", "held out")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_folders_of_splits_in_any_case_are_used_as_given(elsewhere, counts, sizes, splits):
    write(elsewhere / "CIFAR10", **counts)
    found = data.find("./CIFAR10")
    assert (found.format.name, found.path.name) == ("image_folder", "CIFAR10")
    dataset = found.load()
    assert dataset.labels == ("cat", "dog")
    assert tuple(dataset.sizes.values()) == sizes
    assert tuple(dataset.splits.values()) == splits


def test_unusable_splits_are_named(elsewhere):
    write(elsewhere / "one", TEST=4)
    (elsewhere / "two" / "TRAIN").mkdir(parents=True)
    (elsewhere / "two" / "TRAIN" / "1.png").write_bytes(image("PNG", 1))
    write(elsewhere / "three", train=4)
    (elsewhere / "three" / "test").mkdir()
    write(elsewhere / "four", train=4, val=2, validation=2)
    write(elsewhere / "five", train=4, test__fox=2)
    for folder, message in {
        "one": r"one has unusable splits \(TEST/: 2 classes\); expected train/<class>/",
        "two": r"two has unusable splits \(TRAIN/: 0 classes\)",
        "three": r"three.test has no folders of images; expected the classes of train: cat, dog",
        "four": "two folders for validation: val and validation; expected one",
        "five": "test has no folders of images",
    }.items():
        with pytest.raises(ValueError, match=message):
            data.find(f"./{folder}").load()
    write(elsewhere / "six", train=4, test=3)
    (elsewhere / "six" / "test" / "cat").rename(elsewhere / "six" / "test" / "Cat")
    with pytest.raises(ValueError, match="test has classes that train lacks: Cat"):
        data.find("./six").load()


def test_train_may_be_a_class(elsewhere):
    for label in ("train", "bus", "tram"):
        for number in range(10):
            (elsewhere / "vehicles" / label).mkdir(parents=True, exist_ok=True)
            (elsewhere / "vehicles" / label / f"{number}.png").write_bytes(image("PNG", number))
    assert data.find("./vehicles").load().labels == ("bus", "train", "tram")


def test_unused_files_are_counted(elsewhere):
    write(elsewhere / "mine", TRAIN=10, TEST=4)
    for name in ("TRAIN/outside.png", "TRAIN/cat/notes.txt", "README.md", ".hidden", "drafts/1.jpg"):
        (elsewhere / "mine" / name).parent.mkdir(exist_ok=True)
        (elsewhere / "mine" / name).write_bytes(b"x")
    found = data.find("./mine")
    dataset = found.load()
    assert dataset.unused == {"images": 2, "other files": 2}
    assert found.summary(dataset).endswith("held out from train; 4 files unused (2 images, 2 other files)")
    assert dataset.head({"train": 2}).unused == dataset.unused


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
