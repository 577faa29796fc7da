"""Pages with boxes of text, as ICDAR 2013 and 2015 write them, and the stand-in."""

import numpy as np
import pytest

from tests.samples import picture
from training import data
from training.data.layouts.text_pages import boxes
from training.data.phrases import Phrases, chinese_words, latin_words
from training.data.sources import text_pages

ICDAR_2013 = ('38, 43, 920, 215, "Tiredness"\n275, 264, 665, 450, "kills, they say"\n', '158 128 411 181 "Foot path"\n')
ICDAR_2015 = "\ufeff377,117,463,115,465,130,378,131,Genaxis Theatre, 2\r\n493,115,519,115,519,131,493,131,###\r\n"


def write(root, content, apart):
    for split in ("train", "test"):
        images, truths = (root / split / name if apart else root / split for name in ("images", "gt"))
        for folder in {images, truths}:
            folder.mkdir(parents=True)
        for number in range(1, 11):
            (images / f"img_{number}.png").write_bytes(picture(size=(20 + number, 30)))
            (truths / f"gt_img_{number}.txt").write_text(content, encoding="utf-8")


@pytest.mark.parametrize("apart", [True, False])
def test_both_years_are_read_whatever_the_folders(elsewhere, apart):
    write(elsewhere / "y2013", ICDAR_2013[0], apart)
    write(elsewhere / "y2015", ICDAR_2015, apart)
    first, second = data.find("./y2013").load(), data.find("./y2015").load()
    assert first.sizes == second.sizes == {"train": 9, "validation": 1, "test": 10}
    assert first.test.targets[0] == [[38, 43, 920, 215], [275, 264, 665, 450]]
    assert second.test.targets[0] == [[377, 115, 465, 131]]  # upright, and without what nobody can read


def test_spaces_between_coordinates_as_in_icdar_2013_for_training(tmp_path):
    (tmp_path / "gt_100.txt").write_text(ICDAR_2013[1])
    assert boxes(tmp_path / "gt_100.txt") == [[158, 128, 411, 181]]


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d,text", "1,2,3,x,text"])
def test_what_is_not_of_the_layout_is_refused(tmp_path, line):
    (tmp_path / "gt_1.txt").write_text(line)
    with pytest.raises(ValueError, match="neither 4 nor 8 coordinates"):
        boxes(tmp_path / "gt_1.txt")


def test_an_image_without_a_gt_file_is_refused(elsewhere):
    write(elsewhere / "mine", ICDAR_2015, apart=False)
    (elsewhere / "mine" / "test" / "gt_img_3.txt").unlink()
    with pytest.raises(ValueError, match=r"1 images without a gt file, such as img_3\.png"):
        data.find("./mine").load()


def test_boxes_of_drawn_pages_hold_the_ink():
    random = np.random.default_rng(0)
    scripts = [Phrases(latin_words()[0], chinese=False), Phrases(chinese_words()[0], chinese=True)]
    white = np.full((256, 256), 250.0)
    image, drawn = text_pages.page(white, scripts, "train", random)
    pixels = np.asarray(image)
    assert drawn
    for (x1, y1, x2, y2), _ in drawn:
        assert pixels[y1:y2, x1:x2].min() < 160
        pixels = pixels.copy()
        pixels[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = 250
    assert pixels.min() > 160
