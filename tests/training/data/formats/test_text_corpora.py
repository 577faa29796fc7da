"""Reviews, sentence pairs and plain text, read as they are published."""

from pathlib import Path

import pytest

from marina.training import data
from marina.training.data.formats.text_corpora import Translation, is_plain_text

PAIRS = "Go.\tVa !\tCC-BY 2.0 (France) Attribution: tatoeba.org #2877272 (CM) & #1158250 (Wittydev)\n"


def pairs(count, word="w"):
    return "".join(f"{word} {number}\t{word} {number} !\tsomebody\n" for number in range(count))


def reviews_in(folder: Path, rows: list[tuple[int, str]]) -> data.Dataset:
    """The data set of a CSV file with these rows."""
    (folder / "weibo.csv").write_text("label,review\n" + "".join(f'{label},"{text}"\n' for label, text in rows))
    return data.find(str(folder)).load()


def test_reviews_are_unique_and_those_with_both_labels_are_left_out(elsewhere):
    rows = [(number % 2, f"评论 {number}, 很长") for number in range(60)]
    dataset = reviews_in(elsewhere, [*rows, *rows, (0, "两可"), (1, "两可"), (1, "评论 1，  很长"), (1, "  ")])
    texts = [text for split in (dataset.train, dataset.validation, dataset.test) for text in split.inputs]
    assert sorted(texts) == sorted(text for _, text in rows)
    assert dataset.labels == ("negative", "positive")
    for text, target in zip(dataset.test.inputs, dataset.test.targets, strict=True):
        assert (target, text) in rows


def test_anki_pairs_keep_the_first_translation_of_each_sentence(elsewhere):
    (elsewhere / "fra-eng").mkdir()
    (elsewhere / "fra-eng" / "fra.txt").write_text(PAIRS + PAIRS.replace("Va", "Marche") + pairs(40), encoding="utf-8")
    (elsewhere / "fra-eng" / "_about.txt").write_text("Tab-delimited Bilingual Sentence Pairs", encoding="utf-8")
    found = data.find("./fra-eng")
    assert found.format.name == "sentence_pairs"
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


def test_plain_text_has_one_text_on_each_line_and_repeated_ones_once(elsewhere):
    (elsewhere / "book.txt").write_text("\n".join(["one", "", "two ", "one", *map(str, range(40))]), encoding="utf-8")
    found = data.find("./book.txt")
    assert found.format.name == "plain_text"
    loaded = found.load("text_generation")
    texts = [*loaded.train.inputs, *loaded.validation.inputs, *loaded.test.inputs]
    assert len(texts) == len(set(texts)) == 42
    assert list(loaded.test.inputs) == list(loaded.test.targets)


def test_a_note_beside_folders_is_not_plain_text(elsewhere):
    (elsewhere / "pictures" / "cats").mkdir(parents=True)
    (elsewhere / "pictures" / "NOTE.txt").write_text("drawn by hand", encoding="utf-8")
    assert not is_plain_text(elsewhere / "pictures")
    (elsewhere / "pictures" / "cats").rmdir()
    assert is_plain_text(elsewhere / "pictures")


@pytest.mark.parametrize("task", ["fill_mask", "text_generation", "word_similarity"])
def test_labelled_reviews_have_the_same_splits_for_tasks_without_labels(elsewhere, task):
    lines = [f"{number % 2},review {number}" for number in range(60)]
    (elsewhere / "weibo.csv").write_text("\n".join(["label,review", *lines]), encoding="utf-8")
    found = data.find("./weibo.csv")
    texts, labelled = found.load(task), found.load("text_classification")
    assert list(texts.test.inputs) == list(labelled.test.inputs) == list(texts.test.targets)
    assert texts.labels == ()
