"""Sentence pairs and plain text are read as they are published."""

import pytest

from training import data
from training.data.layouts import plain_text
from training.data.layouts.sentence_pairs import Translation

PAIRS = "Go.\tVa !\tCC-BY 2.0 (France) Attribution: tatoeba.org #2877272 (CM) & #1158250 (Wittydev)\n"


def pairs(count, word="w"):
    return "".join(f"{word} {number}\t{word} {number} !\tsomebody\n" for number in range(count))


def test_pairs_of_anki_are_read_with_the_first_translation_of_each(elsewhere):
    (elsewhere / "fra-eng").mkdir()
    (elsewhere / "fra-eng" / "fra.txt").write_text(PAIRS + PAIRS.replace("Va", "Marche") + pairs(40), encoding="utf-8")
    (elsewhere / "fra-eng" / "_about.txt").write_text("Tab-delimited Bilingual Sentence Pairs", encoding="utf-8")
    found = data.find("./fra-eng")
    assert found.layout.__name__.endswith("sentence_pairs")
    loaded = found.load("translation")
    rows = {
        source: target
        for split in (loaded.train, loaded.validation, loaded.test)
        for source, target in zip(split.inputs, split.targets, strict=True)
    }
    assert len(rows) == sum(loaded.sizes.values()) == 41  # nothing is in two splits
    assert rows["Go."] == Translation("Va !", "fra")


def test_every_part_is_in_every_split(elsewhere):
    (elsewhere / "two").mkdir()
    (elsewhere / "two" / "a.txt").write_text(pairs(200, "a"), encoding="utf-8")
    (elsewhere / "two" / "b.tsv").write_text(pairs(40, "b"), encoding="utf-8")
    loaded = data.find("./two").load("translation")
    for split in (loaded.train, loaded.validation, loaded.test, loaded.test.head(12)):
        assert {target.part for target in split.targets} == {"a", "b"}


def test_plain_text_is_a_text_a_line_once(elsewhere):
    (elsewhere / "book.txt").write_text("\n".join(["one", "", "two ", "one", *map(str, range(40))]), encoding="utf-8")
    found = data.find("./book.txt")
    assert found.layout.__name__.endswith("plain_text")
    loaded = found.load("text_generation")
    texts = [*loaded.train.inputs, *loaded.validation.inputs, *loaded.test.inputs]
    assert len(texts) == len(set(texts)) == 42
    assert list(loaded.test.inputs) == list(loaded.test.targets)


def test_a_note_beside_other_data_is_no_text(elsewhere):
    (elsewhere / "pictures" / "cats").mkdir(parents=True)
    (elsewhere / "pictures" / "NOTE.txt").write_text("drawn by hand", encoding="utf-8")
    assert not plain_text.matches(elsewhere / "pictures")
    (elsewhere / "pictures" / "cats").rmdir()
    assert plain_text.matches(elsewhere / "pictures")


@pytest.mark.parametrize("task", ["fill_mask", "text_generation", "word_similarity"])
def test_labelled_reviews_are_texts_too_with_the_same_splits(elsewhere, task):
    lines = [f"{number % 2},review {number}" for number in range(60)]
    (elsewhere / "weibo.csv").write_text("\n".join(["label,review", *lines]), encoding="utf-8")
    found = data.find("./weibo.csv")
    texts, labelled = found.load(task), found.load("text_classification")
    assert list(texts.test.inputs) == list(labelled.test.inputs) == list(texts.test.targets)
    assert texts.labels == ()
