"""Text lines with transcripts, in both public forms, and the fonts and words of the stand-in."""

import numpy as np
import pytest

from tests.samples import picture
from training import data
from training.data import phrases
from training.data.sources import text_lines


def write(root, name, lines, bom=""):
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        for number in range(10):
            (root / split / f"word_{number}.png").write_bytes(picture(size=(20 + number, 10)))
        (root / split / name).write_text(bom + "\n".join(lines) + "\n", encoding="utf-8")


def test_tabs_as_the_tools_for_mjsynth_write_them(elsewhere):
    write(elsewhere / "mine", "labels.txt", [f"word_{n}.png\tTotal, {n}" for n in range(9)] + ["word_9.png\t发票"])
    dataset = data.find("./mine").load()
    assert dataset.sizes == {"train": 9, "validation": 1, "test": 10}
    assert dataset.test.targets[0] == "Total, 0"
    assert dataset.test.targets[9] == "发票"
    assert dataset.test.inputs[9] == (elsewhere / "mine" / "test" / "word_9.png").read_bytes()


def test_quotes_as_icdar_writes_them(elsewhere):
    lines = [f'word_{n}.png, "a{n}"' for n in range(8)] + [r'word_8.png, "say \"no\", or"', 'word_9.png, "é"']
    write(elsewhere / "icdar", "gt.txt", lines, bom="\ufeff")
    dataset = data.find("./icdar").load()
    assert list(dataset.test.targets[6:]) == ["a6", "a7", 'say "no", or', "é"]


def test_a_missing_image_is_refused(elsewhere):
    write(elsewhere / "mine", "gt.txt", ["word_0.png\ta", "word_99.png\tb"])
    with pytest.raises(ValueError, match=r"1 images that are not there, such as word_99\.png"):
        data.find("./mine").load()


def test_no_font_and_no_word_is_in_both_splits():
    fonts = [{font for family in families for font in family} for families in text_lines.LATIN.values()]
    assert not fonts[0] & fonts[1]
    for train, test in zip(text_lines.CHINESE["train"], text_lines.CHINESE["test"], strict=True):
        assert not set(train) & set(test)
    for words in (phrases.latin_words(), phrases.chinese_words()):
        assert not set(words[0]) & set(words[1])


def test_every_chinese_character_that_is_tested_was_trained_on():
    train, test = phrases.chinese_words()
    assert set("".join(test)) <= set("".join(train))
    random = np.random.default_rng(0)
    lines = phrases.Phrases(train, chinese=True)
    drawn = {one for _ in range(8000) for one in lines.line(random)}
    assert set("".join(test)) <= drawn
