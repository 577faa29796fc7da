"""Stand-ins are reproducible, written atomically, and distinguished from real data; unknown data is refused."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from marina.training import data
from marina.training.data import standins
from marina.training.data.provenance import SOURCE_FILE, checksum
from marina.training.data.standins import packaged


def folders(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.is_dir()]


@pytest.mark.parametrize("name", data.stand_ins())
def test_stand_ins_are_reproducible_and_distinguished_from_real_data(elsewhere, name):
    found = data.find(name)
    assert found.kind == "embedded"
    facts = json.loads((elsewhere / "data" / name / SOURCE_FILE).read_text())
    assert facts["licence"]
    assert facts["sha256"] == found.sha256 == checksum(elsewhere / "data" / name)
    assert folders(elsewhere / "data") == [name]  # and no temporary folder
    first, again = found.load(), data.find(name).load()
    seen = [{str(item) for item in split.inputs} for split in (first.train, first.validation, first.test)]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]
    assert list(first.test.inputs[:50]) == list(again.test.inputs[:50])
    assert list(first.train.targets) == list(again.train.targets)
    file = next(file for file in sorted(found.path.rglob("*")) if file.is_file() and file.name != SOURCE_FILE)
    file.write_bytes(file.read_bytes() + b"\n")
    assert data.find(name).kind == "real"
    assert data.find(name).sha256 != found.sha256


def test_a_failed_stand_in_leaves_no_folder(elsewhere, monkeypatch):
    monkeypatch.setattr("marina.training.data.standins.digits.write_idx", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        data.find("mnist")
    assert folders(elsewhere / "data") == []


def test_concurrent_processes_write_a_stand_in_once(elsewhere, monkeypatch):
    written, housing = [], packaged.STAND_INS["housing"]

    def slowly(folder: Path) -> None:
        written.append(folder)
        time.sleep(0.3)
        housing.write(folder)

    monkeypatch.setitem(packaged.STAND_INS, "housing", replace(housing, write=slowly))
    with ThreadPoolExecutor() as pool:  # the lock is of files: threads stand in for processes
        hashes = set(pool.map(lambda _: data.find("housing").sha256, range(2)))
    assert len(written) == len(hashes) == 1


@pytest.mark.parametrize("name", data.stand_ins())
def test_each_stand_in_is_in_the_module_that_lists_it(name):
    assert isinstance(standins.stand_in(name), standins.StandIn)


def test_files_of_no_known_format_are_refused_with_the_known_formats(elsewhere):
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "notes.rst").write_text("a,b\n1,2\n")
    with pytest.raises(data.UnknownDataError) as refused:
        data.find("mine")
    assert all(one.description in str(refused.value) for one in data.known_formats())
    with pytest.raises(data.UnknownDataError, match="mnist_m"):
        data.find("no_such_data")


def test_formats_have_unique_names_and_those_that_accept_any_files_are_tried_last():
    names = [one.name for one in data.known_formats()]
    assert len(set(names)) == len(names) == 21
    last = ["csv_table", "image_folder"]
    assert names == [*sorted(set(names) - set(last)), *last]
