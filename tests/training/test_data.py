"""Stand-ins and splits: the same each time, nothing in two splits, nothing half-made."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training import data
from training.data.checksum import FACTS, checksum
from training.data.dataset import Split, part
from training.data.sources import housing
from training.data.sources.mnist_m import TEST_PHOTOS, TRAIN_PHOTOS


def folders(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.is_dir()]


def reviews_in(folder: Path, rows: list[tuple[int, str]]) -> data.Dataset:
    (folder / "weibo.csv").write_text("label,review\n" + "".join(f'{label},"{text}"\n' for label, text in rows))
    return data.find(str(folder)).load()


def test_reviews_are_unique_and_never_of_both_classes(elsewhere):
    rows = [(number % 2, f"评论 {number}, 很长") for number in range(60)]
    dataset = reviews_in(elsewhere, [*rows, *rows, (0, "两可"), (1, "两可"), (1, "评论 1，  很长"), (1, "  ")])
    texts = [text for split in (dataset.train, dataset.validation, dataset.test) for text in split.inputs]
    assert sorted(texts) == sorted(text for _, text in rows)
    assert dataset.labels == ("negative", "positive")
    for text, target in zip(dataset.test.inputs, dataset.test.targets, strict=True):
        assert (target, text) in rows


@pytest.mark.parametrize("name", data.stand_ins())
def test_stand_ins_are_the_same_each_time_whole_and_told_from_real_data(elsewhere, name):
    found = data.find(name)
    assert found.kind == "embedded"
    facts = json.loads((elsewhere / "data" / name / FACTS).read_text())
    assert facts["licence"]
    assert facts["sha256"] == found.sha256 == checksum(elsewhere / "data" / name)
    assert folders(elsewhere / "data") == [name]  # nothing half-made beside it
    first, again = found.load(), data.find(name).load()
    seen = [{str(item) for item in split.inputs} for split in (first.train, first.validation, first.test)]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]
    assert list(first.test.inputs[:50]) == list(again.test.inputs[:50])
    assert list(first.train.targets) == list(again.train.targets)
    file = next(file for file in sorted(found.path.rglob("*")) if file.is_file() and file.name != FACTS)
    file.write_bytes(file.read_bytes() + b"\n")
    assert data.find(name).kind == "real"
    assert data.find(name).sha256 != found.sha256


def test_a_stand_in_that_fails_half_way_leaves_nothing(elsewhere, monkeypatch):
    monkeypatch.setattr("training.data.sources.mnist.write_idx", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        data.find("mnist")
    assert folders(elsewhere / "data") == []


def test_two_processes_that_want_the_same_stand_in_make_it_once(elsewhere, monkeypatch):
    written, write = [], housing.write

    def slowly(folder: Path) -> None:
        written.append(folder)
        time.sleep(0.3)
        write(folder)

    monkeypatch.setattr(housing, "write", slowly)
    with ThreadPoolExecutor() as pool:  # the lock is of files: threads stand in for processes
        hashes = set(pool.map(lambda _: data.find("housing").sha256, range(2)))
    assert len(written) == len(hashes) == 1


def test_no_photograph_of_mnist_m_is_in_both_splits():
    assert not set(TRAIN_PHOTOS) & set(TEST_PHOTOS)


def test_splits_take_the_same_share_of_each_class():
    split = Split(list(range(100)), [0] * 80 + [1] * 20)
    rest, taken = part(split, 0.1)
    assert (list(taken.targets).count(0), list(taken.targets).count(1)) == (8, 2)
    assert sorted([*rest.inputs, *taken.inputs]) == list(range(100))
    assert list(part(split, 0.1)[1].inputs) == list(taken.inputs)


def test_files_of_no_layout_are_refused_with_the_layouts_there_are(elsewhere):
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(data.UnknownData) as refused:
        data.find("mine")
    assert all(layout.DESCRIPTION in str(refused.value) for layout in data.known_layouts())
    with pytest.raises(data.UnknownData, match="mnist_m"):
        data.find("no_such_data")
