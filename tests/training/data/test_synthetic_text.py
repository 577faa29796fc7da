"""Fonts, words and boxes of the synthetic text lines and pages."""

import numpy as np

from marina.training.data.standins import synthetic_text
from marina.training.data.synthesis import line_phrases


def test_no_font_and_no_word_is_in_both_splits():
    fonts = [{font for family in families for font in family} for families in synthetic_text.LATIN.values()]
    assert not fonts[0] & fonts[1]
    for train, test in zip(synthetic_text.CHINESE["train"], synthetic_text.CHINESE["test"], strict=True):
        assert not set(train) & set(test)
    for words in (line_phrases.latin_words(), line_phrases.chinese_words()):
        assert not set(words[0]) & set(words[1])


def test_every_chinese_character_of_the_test_split_is_trained_on():
    train, test = line_phrases.chinese_words()
    assert set("".join(test)) <= set("".join(train))
    random = np.random.default_rng(0)
    lines = line_phrases.PhraseGenerator(train, chinese=True)
    drawn = {one for _ in range(8000) for one in lines.line(random)}
    assert set("".join(test)) <= drawn


def test_the_boxes_of_a_page_contain_all_ink():
    random = np.random.default_rng(0)
    scripts = synthetic_text.phrase_generators("train")
    white = np.full((256, 256), 250.0)
    image, drawn = synthetic_text.page(white, scripts, "train", random)
    pixels = np.asarray(image)
    assert drawn
    for (x1, y1, x2, y2), _ in drawn:
        assert pixels[y1:y2, x1:x2].min() < 160
        pixels = pixels.copy()
        pixels[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = 250
    assert pixels.min() > 160
