"""An archive holds what it needs and no more, is signed, and is refused when it is not what was signed."""

import json
import re
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

import marina.packaging.sign as signing
import models
from marina.errors import PackagingError
from marina.packaging import freshness
from marina.packaging.build import build
from marina.packaging.freshness import closure
from marina.packaging.sign import sign
from marina.packaging.verify import PUBLIC, NotVerifiedError, signature_of, verify
from marina.settings import ROOT
from tests.support.worker import untrained

NAMES = models.names()


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """`store(name)` -> (archive, folder of the keys): an archive of random weights."""
    root = tmp_path_factory.mktemp("bundle")
    made: dict[str, Path] = {}

    def of(name: str) -> tuple[Path, Path]:
        if name not in made:
            untrained(name, root / "artifacts" / name / "1.0")
            (root / "artifacts" / name / "1.0" / "example.json").write_text("{}")
            made[name] = build(name, "1.0", root / "artifacts", root / "store", root / "keys", "quick")
        return made[name], root / "keys"

    return of


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_holds_its_code_and_data_and_no_other_model(store, name):
    archive, _ = store(name)
    with zipfile.ZipFile(archive) as mar:
        held = set(mar.namelist())
        manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]
        config = yaml.safe_load(mar.read("model-config.yaml"))
        card = json.loads(mar.read("card.json"))
    task = models.find(name).task
    assert {f"{task}.py", f"models/{name}.py", "models/__init__.py", "models/card.py", "handlers/base.py"} <= held
    assert {"model.safetensors", "codec.json", "card.json", "example.json"} <= held
    own = (ROOT / "models" / f"{name}.py").read_text(encoding="utf-8")
    composed = set(re.findall(r"^from models\.(\w+) import", own, re.MULTILINE)) | {name}
    assert held.isdisjoint(f"models/{other}.py" for other in set(NAMES) - composed)
    assert (manifest["modelName"], manifest["modelVersion"], manifest["handler"]) == (name, "1.0", f"{task}.py")
    serving = models.find(name).serving
    assert config["batchSize"] == serving.batch_size
    assert config["maxBatchDelay"] == 1
    assert config.keys() >= {"responseTimeout", "startupTimeout", "deviceType", "minWorkers"}
    assert set(card["api"]) == {"request", "reply", "explanation"}
    assert card["api"]["request"]["application/json"]["example"] == {}
    assert card["api"]["reply"]["example"] == {"prediction": 1.0}


def test_the_closure_follows_imports_to_parts_and_packages():
    found = closure(Path("models/text_lstm.py"))
    assert Path("models/parts/text.py") in found
    assert Path("models/parts/__init__.py") in found
    assert Path("models/text_cnn.py") not in found
    handlers = closure(Path("handlers/tabular_regression.py"))
    assert Path("handlers/codecs/tabular.py") in handlers
    assert Path("handlers/codecs/image.py") not in handlers


def test_an_archive_records_its_inputs(store):
    archive, _ = store("lenet")
    inputs = set(json.loads(freshness.record_of(archive).read_text()))
    assert "handlers/image_classification.py" in inputs
    assert "handlers/text_classification.py" not in inputs
    assert any(path.endswith("artifacts/lenet/1.0/card.json") for path in inputs)


def test_an_archive_is_up_to_date_until_the_content_of_an_input_changes(store):
    archive, _ = store("lenet")
    (card,) = (path for path in json.loads(freshness.record_of(archive).read_text()) if path.endswith("card.json"))
    file = ROOT / card
    assert freshness.is_up_to_date(archive, ROOT)
    content = file.read_text()
    file.touch()
    assert freshness.is_up_to_date(archive, ROOT)
    file.write_text(content + " ")
    assert not freshness.is_up_to_date(archive, ROOT)
    file.write_text(content)
    assert freshness.is_up_to_date(archive, ROOT)
    archive.rename(archive.with_suffix(".away"))
    assert not freshness.is_up_to_date(archive, ROOT)


def test_a_model_that_is_not_trained_or_below_its_floor_is_refused(tmp_path):
    for metrics, preset, requested, reason in [
        ({"accuracy": 0.1}, "full", "full", "below its floor: accuracy is 0.1"),
        ({}, "full", "full", "below its floor: accuracy is None"),
        ({"accuracy": 1.0}, "quick", "full", "PRESET=quick"),
    ]:
        data = {"name": "mnist", "kind": "embedded"}
        folder = tmp_path / f"{preset}{requested}{len(metrics)}{metrics.get('accuracy')}"
        weights = untrained("lenet", folder / "lenet" / "1.0")
        card = json.loads((weights / "card.json").read_text())
        (weights / "card.json").write_text(json.dumps({**card, "preset": preset, "metrics": metrics, "data": data}))
        with pytest.raises(PackagingError, match=reason):
            build("lenet", "1.0", folder, tmp_path / "store", tmp_path / "keys", requested)
    with pytest.raises(PackagingError, match=r"make train MODEL=lenet VERSION=2\.0"):
        build("lenet", "2.0", tmp_path, tmp_path / "store", tmp_path / "keys", "full")
    assert not list((tmp_path / "store").glob("*"))


@pytest.fixture
def signed(store, tmp_path):
    """A copy of a good archive with its signature, and the public key."""
    archive, keys = store("housing_mlp")
    copy = tmp_path / archive.name
    copy.write_bytes(archive.read_bytes())
    signature_of(copy).write_bytes(signature_of(archive).read_bytes())
    return copy, keys / PUBLIC


def test_what_was_signed_is_accepted(signed):
    assert verify(*signed) == signed[1]


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_flipped_byte_is_refused_by_name(signed, place):
    archive, key = signed
    data = bytearray(archive.read_bytes())
    data[place] ^= 1
    archive.write_bytes(data)
    with pytest.raises(NotVerifiedError, match=r"housing_mlp-1.0.mar: signature mismatch"):
        verify(archive, key)


@pytest.mark.parametrize("name", ["housing_mlp-2.0.mar", "other-1.0.mar"])
def test_a_renamed_archive_is_refused(signed, name):
    archive, key = signed
    renamed = archive.with_name(name)
    signature_of(archive).rename(signature_of(renamed))
    archive.rename(renamed)
    with pytest.raises(NotVerifiedError, match="renamed"):
        verify(renamed, key)


def test_an_archive_signed_under_another_name_is_refused(signed, tmp_path):
    archive, _ = signed
    renamed = archive.rename(archive.with_name("other-1.0.mar"))
    sign(renamed, tmp_path / "keys")
    with pytest.raises(NotVerifiedError, match="manifest"):
        verify(renamed, tmp_path / "keys" / PUBLIC)


def test_no_signature_another_key_and_a_broken_signature_are_refused(signed, tmp_path):
    archive, key = signed
    sign_elsewhere = tmp_path / "elsewhere" / archive.name
    sign_elsewhere.parent.mkdir()
    sign_elsewhere.write_bytes(archive.read_bytes())
    with pytest.raises(NotVerifiedError, match="not signed"):
        verify(sign_elsewhere, key)
    sign(sign_elsewhere, tmp_path / "other-keys")
    with pytest.raises(NotVerifiedError, match="signature mismatch"):
        verify(sign_elsewhere, key)
    signature_of(archive).write_text("?")
    with pytest.raises(NotVerifiedError, match="signature mismatch"):
        verify(archive, key)


def test_the_private_key_is_readable_by_its_owner_alone(store):
    _, keys = store("lenet")
    assert (keys / "signing.pem").stat().st_mode & 0o077 == 0


def test_archives_signed_at_the_same_time_share_one_key_pair(tmp_path, monkeypatch):
    def slowly(keys: Path, make_pair=signing.make_pair) -> None:
        time.sleep(0.3)
        make_pair(keys)

    monkeypatch.setattr(signing, "make_pair", slowly)
    with ThreadPoolExecutor() as pool:  # the lock is of a file: threads stand in for processes
        keys = list(pool.map(lambda _: signing.private_key(tmp_path / "keys"), range(2)))
    assert len({key.public_key().public_bytes_raw() for key in keys}) == 1


def test_verify_stands_alone(signed):
    """Run as a script from elsewhere, isolated, it needs nothing of ours."""
    archive, key = signed
    script = ROOT / "marina" / "packaging" / "verify.py"
    good = subprocess.run(
        [sys.executable, "-I", script, key, archive], cwd=archive.parent, capture_output=True, text=True, check=False
    )
    assert (good.returncode, good.stdout) == (0, "ok      housing_mlp-1.0.mar  signed with signing.pub\n")
    archive.write_bytes(archive.read_bytes() + b"x")
    bad = subprocess.run([sys.executable, "-I", script, key, archive], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout.startswith("REFUSED housing_mlp-1.0.mar")


def test_a_foreign_archive_is_signed_under_its_own_name_and_version(signed, tmp_path):
    archive, _ = signed
    foreign = archive.rename(tmp_path / "from-the-net.mar")
    command = [
        sys.executable,
        "-m",
        "marina",
        "sign",
        foreign,
        "--store",
        tmp_path / "s",
        "--keys",
        tmp_path / "k",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    verify(tmp_path / "s" / "housing_mlp-1.0.mar", tmp_path / "k" / PUBLIC)
    foreign.write_bytes(b"not a zip")
    refused = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "no TorchServe archive" in refused.stderr
