"""Parallel texts of any two languages: files of one name with language codes."""

import json

import pytest

from handlers.codecs.subwords import SubwordCodec
from marina.training import data, tasks


def write(folder, stem: str, count: int, start: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    numbers = range(start, start + count)
    for code, text in (("el", "το σπίτι είναι το {}"), ("ru", "это наш дом номер {}")):
        (folder / f"{stem}.{code}").write_text("".join(text.format(n) + "\n" for n in numbers), encoding="utf-8")


def test_files_without_splits_are_divided_and_the_direction_is_printed(elsewhere):
    write(elsewhere / "mine", "corpus", 40)
    (elsewhere / "mine" / "README.md").write_text("A note.")
    found = data.find("./mine")
    assert found.format.name == "parallel_texts"
    dataset = found.load("translation")
    assert dataset.sizes == {"train": 32, "validation": 4, "test": 4}
    assert "el -> ru, 32 + 4 + 4 examples" in found.summary(dataset)
    source, target = dataset.test.inputs[0], dataset.test.targets[0]
    assert source.split()[-1] == target.text.split()[-1]
    assert (source.startswith("το σπίτι"), target.text.startswith("это"), target.part) == (True, True, "el_ru")


def test_splits_are_used_as_given_and_no_sentence_is_in_two(elsewhere):
    write(elsewhere / "mine", "train", 30)
    write(elsewhere / "mine", "dev", 5, start=100)
    write(elsewhere / "mine", "test", 8, start=25)  # five of them are in train, too
    dataset = data.find("./mine").load("translation")
    assert dataset.sizes == {"train": 25, "validation": 5, "test": 8}
    assert dataset.splits == {"train": "given", "validation": "given", "test": "given"}


def test_lines_that_do_not_match_are_an_error(elsewhere):
    write(elsewhere / "mine", "train", 30)
    with (elsewhere / "mine" / "train.ru").open("a") as file:
        file.write("ещё\n")
    with pytest.raises(ValueError, match=r"train\.el has 30 lines and train\.ru 31"):
        data.find("./mine").load()
    (elsewhere / "mine" / "train.fr").write_text("\n" * 30)
    with pytest.raises(ValueError, match="texts in el, fr, ru; expected two languages"):
        data.find("./mine").load()


def test_tatoeba_pairs_have_numbers_beside_the_sentences(elsewhere):
    rows = [f"{n}\tHus nummer {n}\t{n + 900}\tHaus Nummer {n}" for n in range(30)]
    (elsewhere / "pairs.tsv").write_text("\n".join(rows) + "\n")
    dataset = data.find("./pairs.tsv").load("translation")
    assert dataset.train.inputs[0].startswith("Hus")
    assert dataset.train.targets[0].text.startswith("Haus")


def test_two_languages_share_a_codec_and_are_scored(elsewhere):
    write(elsewhere / "mine", "corpus", 40)
    dataset = data.find("./mine").load("translation")
    texts = [*dataset.train.inputs, *(target.text for target in dataset.train.targets)]
    codec = SubwordCodec.fit(texts, 300, 500, 200)
    for text in texts[:2] + texts[-2:]:
        assert codec.text(codec.numbers(text)[:-1].tolist()) == text
        assert codec.unknown(text) == []
    kind = tasks.find("translation")
    requests = list(kind.requests(dataset))
    assert json.loads(requests[0].body)["text"] == dataset.test.inputs[0]
    right = [{"translations": [{"text": request.truth[0].text}]} for request in requests]
    metrics = kind.score([request.truth for request in requests], right)
    assert metrics["bleu_el_ru"] == pytest.approx(100)
    assert metrics["chrf_el_ru_greedy"] == pytest.approx(100)
