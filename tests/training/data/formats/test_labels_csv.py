"""The format labels_csv: CSV files of image names and labels, as in Kaggle's competitions, and errors in them."""

import pytest

from marina.training import data
from tests.support.own_images import image_folders
from tests.support.samples import picture


def write(root, table, rows, images="images", header="file,label"):
    """Write the CSV file `table` into the folder `root`, and an image into `root/images` for each row, "name,label"."""
    for row in rows:
        file = root / images / row.split(",")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(size=(9, 8)))
    (root / table).write_text("\n".join([header, *rows]) + "\n")


def rows(prefix, count) -> list[str]:
    """Return `count` rows of dogs, then `count` rows of cats.

    >>> rows("v", 1)
    ['v0.png,dog', 'vc0.png,cat']
    """
    return [f"{prefix}{start}{n}.png,{label}" for start, label in (("", "dog"), ("c", "cat")) for n in range(count)]


@pytest.mark.parametrize(
    "header", ["file,label", "filename,class", "Image,Target", "path,label", '"file_name","label"']
)
def test_one_table_is_split_into_train_validation_and_test(elsewhere, header):
    write(elsewhere / "mine", "labels.csv", rows("", 15), header=header)
    (elsewhere / "mine" / "images" / "extra.png").write_bytes(picture())
    found = data.find("./mine")
    assert found.format.name == "labels_csv"
    dataset = found.load("image_classification")
    assert dataset.labels == ("cat", "dog")
    assert dataset.sizes == {"train": 21, "validation": 3, "test": 6}
    assert dataset.splits["test"] == "held out"
    assert dataset.unused == {"images": 1}
    assert dataset.train.inputs[0] == picture(size=(9, 8))
    assert [dataset.labels[target] for target in dataset.test.targets].count("cat") == 3


def test_a_table_for_each_split_with_another_delimiter_and_column_order(elsewhere):
    write(elsewhere / "mine", "Train.csv", rows("", 10), images="train")
    write(elsewhere / "mine", "val.csv", rows("v", 3), images="val")
    text = "id;class;path\n" + "".join(f"{number};dog;images\\t{number}.png\n" for number in range(4))
    (elsewhere / "mine" / "images").mkdir()
    for number in range(4):
        (elsewhere / "mine" / "images" / f"t{number}.png").write_bytes(picture())
    (elsewhere / "mine" / "test.csv").write_text(text)
    dataset = data.find("./mine").load()
    assert dataset.sizes == {"train": 20, "validation": 6, "test": 4}
    assert set(dataset.splits.values()) == {"given"}
    assert set(dataset.test.targets) == {1}
    assert dataset.unused == {}


def test_a_test_table_without_labels_is_unused(elsewhere):
    write(elsewhere / "mine", "train.csv", rows("", 10), images="train")
    (elsewhere / "mine" / "test.csv").write_text("file\n1.png\n")
    dataset = data.find("./mine").load()
    assert dataset.splits == {"train": "given", "validation": "held out", "test": "held out"}
    assert dataset.unused == {"other files": 1}


def test_numeric_labels_are_sorted_by_value(elsewhere):
    write(elsewhere / "mine", "labels.csv", [f"{label}_{n}.png,{label}" for label in (10, 9, 2) for n in range(10)])
    assert data.find("./mine").load().labels == ("2", "9", "10")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "none.png,cat",
            r"labels\.csv, line 22: no file none\.png in .*mine; expected it beside the table or in images/",
        ),
        ("0.png,", r"labels\.csv, line 22: an empty label"),
        ("0.png", r"labels\.csv, line 22: an empty label"),
        (",cat", r"labels\.csv, line 22: an empty file name"),
        ("0.png,cat", r"labels\.csv, line 22: 0\.png again, after .*labels\.csv, line 2; expected one label an image"),
        ("../outside.png,cat", r"line 22: no file \.\./outside\.png"),
        ("extra.png,fox", r"labels\.csv: 1 images of fox; the minimum is 3"),
    ],
)
def test_the_message_names_the_row_with_the_error(elsewhere, row, message):
    write(elsewhere / "mine", "labels.csv", rows("", 10))
    (elsewhere / "outside.png").write_bytes(picture())
    (elsewhere / "mine" / "images" / "extra.png").write_bytes(picture())
    with (elsewhere / "mine" / "labels.csv").open("a") as stream:
        stream.write(row + "\n")
    with pytest.raises(ValueError, match=message):
        data.find("./mine").load()


def test_the_message_names_the_table_with_the_error(elsewhere):
    write(elsewhere / "one", "labels.csv", ["1.png,cat"])
    write(elsewhere / "two", "train.csv", rows("", 5))
    write(elsewhere / "two", "test.csv", ["9.png,fox"])
    write(elsewhere / "three", "test.csv", rows("", 5))
    for folder, message in {
        "one": r"one.labels\.csv: 1 class; expected 2 or more",
        "two": r"two.test\.csv, line 2: label fox, which train lacks; expected one of: cat, dog",
        "three": r"three has test\.csv, but neither train\.csv nor labels\.csv",
    }.items():
        with pytest.raises(ValueError, match=message):
            data.find(f"./{folder}").load()
    (elsewhere / "one" / "labels.csv").write_bytes("file,label\n1.png,\xe9t\xe9\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"labels\.csv: not UTF-8"):
        data.find("./one").load()


def test_a_labels_csv_does_not_change_the_format_of_other_folders(elsewhere):
    image_folders(elsewhere / "folders")
    (elsewhere / "folders" / "labels.csv").write_text("file,label\ncat/0.png,cat\n")
    assert data.find("./folders").format.name == "image_folder"
    image_folders(elsewhere / "splits" / "train")
    (elsewhere / "splits" / "train.csv").write_text("file,label\ncat/0.png,cat\n")
    assert data.find("./splits").format.name == "image_folder"
    (elsewhere / "texts").mkdir()
    (elsewhere / "texts" / "labels.csv").write_text("label,review\n1,good\n")
    assert data.find("./texts").format.name == "label_review_csv"


@pytest.mark.parametrize("separator", ["|", ";", " | "])
def test_a_cell_may_hold_several_labels(elsewhere, separator):
    table = [f"{n}.png,{separator.join(['cat', 'dog'][: n % 3])}" for n in range(30)]  # none, one or both
    write(elsewhere / "mine", "labels.csv", table)
    dataset = data.find("./mine").load("image_tagging")
    assert dataset.labels == ("cat", "dog")
    assert dataset.sizes == {"train": 21, "validation": 3, "test": 6}
    targets = [*dataset.train.targets, *dataset.validation.targets, *dataset.test.targets]
    assert sorted(targets) == [[]] * 10 + [[0]] * 10 + [[0, 1]] * 10


def test_each_label_may_have_a_column(elsewhere):
    for split, count in (("train", 20), ("test", 4)):
        write(
            elsewhere / "mine",
            f"{split}.csv",
            [f"{split}{n}.png,{n % 2},1,0" for n in range(count)],
            header="image,a,b,c",
        )
    found = data.find("./mine")
    assert found.format.name == "labels_csv"
    dataset = found.load("image_tagging")
    assert dataset.labels == ("a", "b")
    assert dataset.test.targets == [[1], [0, 1], [1], [0, 1]]
    with pytest.raises(ValueError, match=r"train\.csv, line 2: a column of 0 and 1 for each label"):
        found.load("image_classification")
    (elsewhere / "mine" / "test.csv").write_text("image,a,b,c\ntest0.png,1,0,0\ntest1.png,1,yes,0\n")
    with pytest.raises(ValueError, match=r"test\.csv, line 3: yes in the column b; expected 0 or 1"):
        data.find("./mine").load("image_tagging")
