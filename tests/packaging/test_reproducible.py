"""An archive is the same bytes whenever it is built from the same inputs, and records these."""

import hashlib
import json
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marina.packaging import build, records, reproducible
from marina.packaging.imports.archive_contents import MANIFEST
from marina.settings import ROOT
from tests.packaging.test_archive_build import weights_of

TRAINED = {"trained_at": "2026-11-30T20:00:58+00:00", "recipe": {"epochs": 2}}
DATA = {"name": "housing", "kind": "embedded", "sha256": "d" * 64}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The archive of the same weights, built twice: in other folders, from files of another time."""
    made = []
    for second in range(2):
        folder = tmp_path_factory.mktemp("built")
        _, weights = weights_of(folder / "artifacts" / "housing_mlp" / "1.0", data=DATA, **TRAINED)
        for file in weights.iterdir():
            os.utime(file, (1e9 + second * 1e6,) * 2)
        arguments = ("housing_mlp", "1.0", folder / "artifacts", folder / "store", folder / "keys", "full")
        made.append(build.build(*arguments))
    return made


def member(archive: Path, name: str) -> dict:
    with zipfile.ZipFile(archive) as mar:
        return json.loads(mar.read(name))


def test_a_rebuilt_archive_is_the_same_bytes(archives):
    first, second = (hashlib.sha256(archive.read_bytes()).hexdigest() for archive in archives)
    assert first == second


def test_no_member_has_the_time_of_the_build(archives):
    with zipfile.ZipFile(archives[0]) as mar:
        assert {info.date_time for info in mar.infolist()} == {(2026, 11, 30, 20, 0, 58)}
        assert mar.namelist() == sorted(mar.namelist())
        assert mar.testzip() is None
    assert member(archives[0], MANIFEST)["createdOn"] == "30/11/2026 20:00:58"


def test_source_date_epoch_wins(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert records.made_at(TRAINED) == datetime.fromtimestamp(1700000000, UTC)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert records.made_at(TRAINED) == records.EARLIEST
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert records.made_at({}) == records.EARLIEST


def test_the_provenance_names_every_file_the_data_and_the_commit(archives):
    statement = member(archives[0], "provenance.json")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    with zipfile.ZipFile(archives[0]) as mar:
        packed = {name: hashlib.sha256(mar.read(name)).hexdigest() for name in mar.namelist()}
    for made_by_the_archiver in (MANIFEST, "model-config.yaml", "sbom.json", "provenance.json"):
        packed.pop(made_by_the_archiver)
    assert {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]} == packed
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["recipe"] == {"epochs": 2}
    sources = {each["name"]: each for each in definition["resolvedDependencies"]}
    assert sources["data set housing"]["digest"] == {"sha256": "d" * 64}
    if (ROOT / ".git").exists():
        assert len(sources["source"]["digest"]["gitCommit"]) == 40
        assert isinstance(sources["source"]["annotations"]["dirty"], bool)


def test_the_records_name_no_person_and_no_machine(archives):
    text = json.dumps([member(archives[0], name) for name in ("provenance.json", "sbom.json")])
    for private in (str(Path.home()), os.uname().nodename, str(archives[0].parent), str(ROOT)):
        assert private not in text


def test_the_bill_of_an_archive_has_files_weights_and_packages(archives):
    bom = member(archives[0], "sbom.json")
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    components = {each["name"]: each for each in bom["components"]}
    weights = components["model.safetensors"]
    assert weights["type"] == "data"
    assert weights["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"of model.safetensors").hexdigest()}]
    assert components["torch"]["purl"].startswith("pkg:pypi/torch@2.")
    assert "tabular_regression.py" in components
    assert "pytest" not in components
    assert "captum" in components


def test_a_large_or_odd_member_is_copied_as_it_is(tmp_path):
    source, target = tmp_path / "a.mar", tmp_path / "b.mar"
    content = os.urandom(3 << 20)
    with zipfile.ZipFile(source, "w") as mar:
        mar.writestr("z/é.bin", content)
        mar.writestr(MANIFEST, '{"createdOn": "now", "model": {"modelName": "é"}}')
    reproducible.rewrite(source, target, records.EARLIEST)
    with zipfile.ZipFile(target) as mar:
        assert mar.read("z/é.bin") == content
        assert json.loads(mar.read(MANIFEST)) == {"createdOn": "01/01/1980 00:00:00", "model": {"modelName": "é"}}
