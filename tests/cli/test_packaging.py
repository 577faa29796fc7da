"""The commands pack, sign, verify, export and zoo: their output, and their errors."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import typer

from marina.cli import packaging
from marina.cli.security import trust
from marina.errors import MarinaError, ModelImportError, PackagingError, WeightsExistError
from marina.packaging import build, export, zoo
from marina.packaging import trust as trusted
from marina.packaging.sign import sign
from marina.packaging.verify import NotVerifiedError, signature_of, verify
from marina.training.quantization_data import TrainingData


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_archive(file: Path, name: str = "m", version: str = "1.0") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        model = {"modelName": name, "modelVersion": version, "handler": "base_handler"}
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model}))
    return file


def test_pack_builds_one_model(monkeypatch, tmp_path, capsys):
    built = []

    def fake_build(*arguments) -> Path:
        built.append(arguments)
        file = tmp_path / "m.mar"
        file.write_bytes(bytes(2_340_000))
        return file

    monkeypatch.setattr(build, "build", fake_build)
    packaging.pack("cat")
    paths, data = (Path("artifacts"), Path("archive/store"), Path("var/keys")), TrainingData(Path("artifacts/cat/1.0"))
    assert built == [("cat", "1.0", *paths, "full", {}, False, data)]
    printed = capsys.readouterr().out.replace("\n", "")
    assert "archive cat 1.0, model 1 of 1" in printed
    assert "m.mar  2.3 MB, signed" in printed
    folders = (Path("a"), Path("s"), Path("k"))
    packaging.pack("cat", "2.0", packaging.Preset.quick, "3 of 7", *folders, floor=["f1=0.8"], accept=True)
    assert built[1] == ("cat", "2.0", *folders, "quick", {"f1": 0.8}, True, TrainingData(Path("a/cat/2.0")))
    assert "archive cat 2.0, model 3 of 7" in capsys.readouterr().out


def test_floor_and_accept_reach_the_packing(monkeypatch):
    seen = []
    monkeypatch.setattr(packaging.jobs, "run", lambda jobs, _: seen.extend(jobs))
    packaging.archive(["resnet18"], floor=["accuracy=0.9", "f1=0.8"], accept=True)
    words = " ".join(seen[-1].arguments)
    assert "--floor accuracy=0.9 --floor f1=0.8 --accept" in words
    assert not {"--floor", "--accept"} & set(seen[0].arguments), "training has no floors"
    with pytest.raises(PackagingError, match=r"^FLOOR=high: "):
        packaging.archive(["resnet18"], floor=["high"])


def test_a_foreign_archive_is_copied_and_signed(tmp_path):
    foreign = write_archive(tmp_path / "from-the-net.mar", "dog", "2.0")
    packaging.sign(foreign)
    signed = Path("archive/store/dog-2.0.mar")
    assert signed.read_bytes() == foreign.read_bytes()
    verify(signed, Path("var/keys/signing.pub"))
    packaging.sign(signed)  # in its place already


@pytest.mark.parametrize(
    ("name", "version"),
    [
        *(("../../evil", "1.0"), ("/etc/evil", "1.0"), ("a/b", "1.0"), ("..", "1.0"), ("", "1.0"), ("a\nb", "1.0")),
        *(("dog", "1.0-beta"), ("dog", "../1"), ("dog", ""), ("dog", "1..0"), (".dog", "1.0"), ("d" * 101, "1.0")),
    ],
)
def test_a_manifest_whose_name_is_no_name_is_not_signed(tmp_path, name, version):
    """The name in the manifest becomes a path below the store; what `sign` accepts, `verify` accepts."""
    before = set(tmp_path.rglob("*"))
    foreign = write_archive(tmp_path / "f.mar", name, version)
    with pytest.raises(NotVerifiedError, match="can't be a "):
        packaging.sign(foreign)
    assert set(tmp_path.rglob("*")) - before == {foreign}


def test_another_archive_is_replaced_only_on_request(tmp_path):
    store = Path("archive/store")
    packaging.sign(write_archive(tmp_path / "lenet.mar", "lenet"))
    ours = (store / "lenet-1.0.mar").read_bytes()
    harmless = write_archive(tmp_path / "harmless.mar", "lenet")
    with zipfile.ZipFile(harmless, "a") as archive:
        archive.writestr("more.txt", "evil")
    with pytest.raises(WeightsExistError, match=r"lenet-1\.0\.mar exists and is another archive: REPLACE=1"):
        packaging.sign(harmless)
    assert (store / "lenet-1.0.mar").read_bytes() == ours
    packaging.sign(tmp_path / "lenet.mar")  # the same archive again
    packaging.sign(harmless, replace=True)
    assert (store / "lenet-1.0.mar").read_bytes() == harmless.read_bytes()
    assert {file.name for file in store.iterdir()} == {"lenet-1.0.mar", "lenet-1.0.mar.sig"}


class Command:
    """An object whose pickle runs a command when it is loaded."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def test_dangerous_pickles_are_not_signed_unless_somebody_trusts_them(tmp_path):
    foreign = write_archive(tmp_path / "f.mar", "dog")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as torch_file:
        torch_file.writestr("archive/data.pkl", pickle.dumps(Command()))
    with zipfile.ZipFile(foreign, "a") as archive:
        archive.writestr("weights.pth", inner.getvalue())
        archive.writestr("notes.txt", pickle.dumps(Command(), protocol=4))  # by its first bytes
        archive.writestr("good.pkl", pickle.dumps({"a": 1}))
    with pytest.raises(ModelImportError) as refused:
        packaging.sign(foreign)
    assert "weights.pth: posix.system, notes.txt: posix.system." in str(refused.value)
    assert "good.pkl" not in str(refused.value)
    assert not Path("archive/store/dog-1.0.mar").exists()
    packaging.sign(foreign, trust_pickles=True)
    assert Path("archive/store/dog-1.0.mar").exists()
    assert not Path("ran").exists()


def test_archives_of_a_trusted_host_are_served_as_they_are(tmp_path, capsys):
    other, keys, store = tmp_path / "other", Path("var/keys"), Path("archive/store")
    packaging.sign(write_archive(tmp_path / "dog.mar", "dog"))
    packaging.sign(write_archive(tmp_path / "cat.mar", "cat"), other, other / "keys")
    theirs = other / "cat-1.0.mar"
    for file in (theirs, signature_of(theirs)):
        file.rename(store / file.name)
    with pytest.raises(NotVerifiedError, match="signature mismatch"):
        verify(store / "cat-1.0.mar", keys)
    trust.trust(other / "keys" / "signing.pub", name="build-host")
    with pytest.raises(PackagingError, match="another key has the name build-host"):
        trusted.trust(keys, keys / "signing.pub", "build-host")
    assert verify(store / "cat-1.0.mar", keys).name == "build-host.pub"
    assert verify(store / "dog-1.0.mar", keys).name == "signing.pub"
    with pytest.raises(NotVerifiedError):
        verify(store / "cat-1.0.mar", keys / "signing.pub")  # one key alone
    capsys.readouterr()
    with pytest.raises(typer.Exit):
        packaging.verify()
    assert capsys.readouterr().out.splitlines()[0] == "ok      cat-1.0.mar  signed with build-host.pub"
    trust.trust(list_=True)
    digest = trusted.fingerprint(other / "keys" / "signing.pub")[:16]
    assert capsys.readouterr().out == f"build-host  sha256 {digest}\n"
    trust.trust(remove="build-host")
    with pytest.raises(NotVerifiedError, match="signature mismatch"):
        verify(store / "cat-1.0.mar", keys)
    with pytest.raises(PackagingError, match="no trusted key is called build-host; there are: none"):
        trust.trust(remove="build-host")


@pytest.mark.parametrize("name", ["../up", "a/b", ""])
def test_what_is_no_key_or_no_name_is_not_trusted(tmp_path, name):
    (tmp_path / "x.pub").write_text("no key")
    with pytest.raises(PackagingError, match="holds no public key"):
        trust.trust(tmp_path / "x.pub")
    packaging.sign(write_archive(tmp_path / "dog.mar", "dog"))
    with pytest.raises(PackagingError, match="can't be a key's name"):
        trusted.trust(Path("var/keys"), Path("var/keys/signing.pub"), name or " ")
    with pytest.raises(MarinaError, match="give one of"):
        trust.trust()


def test_a_file_that_is_no_archive_is_not_signed(tmp_path):
    (tmp_path / "x.mar").write_bytes(b"?")
    with pytest.raises(ModelImportError, match=r"^x\.mar is truncated, damaged, or no TorchServe archive: "):
        packaging.sign(tmp_path / "x.mar")
    assert not Path("archive/store").exists()


def test_verify_checks_every_archive(capsys):
    with pytest.raises(MarinaError, match=r"^no archives in archive/store: `make archive` first$"):
        packaging.verify()
    Path("archive/store").mkdir(parents=True)
    for name in ("b", "a"):
        sign(write_archive(Path("archive/store") / f"{name}-1.0.mar", name), Path("var/keys"))
    with pytest.raises(typer.Exit) as accepted:
        packaging.verify()
    assert accepted.value.exit_code == 0
    assert capsys.readouterr().out.splitlines() == [f"ok      {name}-1.0.mar  signed with signing.pub" for name in "ab"]
    Path("archive/store/a-1.0.mar").write_bytes(b"?")
    with pytest.raises(typer.Exit) as refused:
        packaging.verify()
    assert refused.value.exit_code == 1


def test_export_prints_the_difference_from_the_eager_network(monkeypatch, capsys):
    exported = []
    monkeypatch.setattr(export, "export", lambda *of: exported.append(of) or (Path("x.onnx"), 1.2e-6))
    packaging.export("cat", "onnx")
    assert exported == [(Path("artifacts/cat/1.0"), "onnx")]
    assert capsys.readouterr().out == "x.onnx: largest difference from the eager network 1.2e-06\n"
    with pytest.raises(MarinaError, match=r"^FORMAT=tflite: it is one of onnx, torchscript, torch_export$"):
        packaging.export("cat", "tflite")

    def refuse(*_) -> None:
        raise PackagingError("it stays")

    monkeypatch.setattr(export, "export", refuse)
    with pytest.raises(PackagingError, match=r"^it stays$"):
        packaging.export("cat", "onnx")


@pytest.mark.parametrize("problems", [[], ["a", "b"]])
def test_the_zoo_is_written_with_its_pictures(monkeypatch, problems):
    written = []
    monkeypatch.setattr(zoo, "write_page", lambda *of: written.append(of) or problems)
    monkeypatch.setattr(zoo, "write_pictures", lambda *of: written.append(of))
    if problems:
        with pytest.raises(MarinaError, match=r"^a\nb$"):
            packaging.zoo()
    else:
        packaging.zoo()
    folder = Path("docs")
    assert written == [(Path("artifacts"), "1.0", folder / "zoo.md"), (Path("artifacts"), "1.0", folder / "pictures")]
