"""Styles and contents, a folder each."""

import pytest

from tests.samples import picture
from training import data


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(size=(20 + len(name), 10)))


def test_styles_have_their_files_names_and_contents_a_style_each_in_turn(elsewhere):
    write(elsewhere / "mine", "style/waves.jpg", "style/stars.PNG", *(f"content/{n}.webp" for n in range(3)))
    (elsewhere / "mine" / "style" / "about.txt").write_text("mine")
    found = data.find("./mine")
    assert found.kind == "real"
    dataset = found.load()
    assert dataset.labels == ("stars", "waves")
    assert dataset.train.inputs[1] == (elsewhere / "mine" / "style" / "waves.jpg").read_bytes()
    assert (len(dataset.test), dataset.test.targets) == (3, [0, 1, 0])


def test_two_styles_of_one_name_are_refused(elsewhere):
    write(elsewhere / "mine", "style/waves.jpg", "style/waves.png", "content/me.png")
    with pytest.raises(ValueError, match="two pictures of one name: waves"):
        data.find("./mine").load()


def test_folders_of_other_names_are_classes(elsewhere):
    write(elsewhere / "mine", *(f"{label}/{n}.png" for label in ("style", "other") for n in range(10)))
    assert data.find("./mine").load().labels == ("other", "style")
